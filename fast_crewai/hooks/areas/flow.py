"""Routes of ``crewai.flow.runtime`` (component ``flow``)."""

from __future__ import annotations

from fast_crewai import _core
from fast_crewai.hooks.areas.flow_binding import BINDING
from fast_crewai.hooks.areas.flow_chain import CHAIN
from fast_crewai.hooks.areas.flow_kickoff import KICKOFF_ASYNC
from fast_crewai.hooks.areas.flow_methods import EXECUTE_METHOD
from fast_crewai.hooks.areas.private_attributes import private_attributes
from fast_crewai.hooks.route import Route

_RUNTIME = "crewai.flow.runtime"

ROUTES = (
    Route(
        name="flow.trigger-search",
        target=f"{_RUNTIME}:Flow._find_triggered_methods",
        why="26 searches over all listeners per agent step (25 % of a ReAct step)",
        build=lambda site: _core.find_triggered_methods,
        reads=(
            f"{_RUNTIME}:Flow._listener_methods",
            f"{_RUNTIME}:Flow._condition_met",
            f"{_RUNTIME}:_condition_satisfied",
            f"{_RUNTIME}:_condition_branches",
            f"{_RUNTIME}:_is_multi_event_or",
        ),
    ),
    Route(
        name="flow.start-methods",
        target=f"{_RUNTIME}:Flow._start_method_names",
        why="asked for at every router result",
        build=lambda site: _core.start_method_names,
        reads=("crewai.flow.flow_definition:FlowMethodDefinition.is_start",),
    ),
    EXECUTE_METHOD,
    KICKOFF_ASYNC,
    BINDING,
    CHAIN,
    private_attributes("flow", f"{_RUNTIME}:Flow"),
)
