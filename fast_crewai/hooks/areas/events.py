"""Routes of CrewAI's events and what is shown of them (component ``events``)."""

from __future__ import annotations

from fast_crewai.hooks.areas import console

ROUTES = (*console.ROUTES,)
"""Routes of ``crewai.events`` and of the record that events are kept in (component ``events``)."""

from __future__ import annotations

from fast_crewai.hooks.areas.event_emission import EMIT
from fast_crewai.hooks.areas.event_record import ADD

ROUTES = (EMIT, ADD)
