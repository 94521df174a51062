"""CrewAI's telemetry, when it records nothing: never set up, or the environment says no."""

from __future__ import annotations

import sys
from typing import Any

_TELEMETRY = "crewai.telemetry.telemetry"
_CORE = "crewai_core.telemetry"
_OWN = (
    "_safe_telemetry_operation",
    "_should_execute_telemetry",
    "_is_telemetry_disabled",
    "_safe_error_type",
    "coding_agent_span",
    "crew_completed_span",
    "crew_creation",
    "crew_execution_span",
    "end_crew",
    "env_context_span",
    "feature_usage_span",
    "flow_completed_span",
    "flow_execution_span",
    "task_ended",
    "task_started",
)
_ENVIRONMENT = ("_is_telemetry_disabled", "_env_flag_enabled")
READS = (
    *(f"{_TELEMETRY}:Telemetry.{name}" for name in _OWN),
    *(f"{_CORE}:Telemetry.{name}" for name in _ENVIRONMENT),
)


class IdleTelemetry:
    def __init__(self) -> None:
        self._kind = vars(sys.modules[_TELEMETRY])["Telemetry"]
        self._core = vars(sys.modules[_CORE])["Telemetry"]
        self._own = [(name, vars(self._kind)[name]) for name in _OWN]
        self._environment = [(name, vars(self._core)[name]) for name in _ENVIRONMENT]

    def is_off(self, telemetry: Any) -> bool:
        """Whether all spans that the listeners ask for are for nothing."""
        kind = self._kind
        if type(telemetry) is not kind:
            return False
        state, own, core = telemetry.__dict__, kind.__dict__, self._core.__dict__
        for name, function in self._own:
            if own[name] is not function or name in state:
                return False
        for name, function in self._environment:
            if core[name] is not function:
                return False
        # What helps to write the code is reported once, whatever the environment says.
        return state["_coding_agent_reported"] is True and not telemetry._should_execute_telemetry()
