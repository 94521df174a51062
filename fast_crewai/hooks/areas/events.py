"""Routes of ``crewai.events`` and of the record that events are kept in (component ``events``)."""

from __future__ import annotations

from fast_crewai.hooks.areas import console
from fast_crewai.hooks.areas.event_emission import EMIT
from fast_crewai.hooks.areas.event_record import ADD
from fast_crewai.hooks.areas.private_attributes import private_attributes

ROUTES = (
    EMIT,
    ADD,
    private_attributes("events", "crewai.state.runtime:RuntimeState"),
    *console.ROUTES,
)
