"""Routes of CrewAI's events and what is shown of them (component ``events``)."""

from __future__ import annotations

from fast_crewai.hooks.areas import console

ROUTES = (*console.ROUTES,)
