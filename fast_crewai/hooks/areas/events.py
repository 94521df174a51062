"""Routes of ``crewai.events`` and of the record that events are kept in (component ``events``)."""

from __future__ import annotations

from fast_crewai.hooks.areas import console
from fast_crewai.hooks.areas.event_emission import EMIT
from fast_crewai.hooks.areas.event_record import ADD

ROUTES = (EMIT, ADD, *console.ROUTES)
