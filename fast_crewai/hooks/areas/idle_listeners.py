"""CrewAI's own listeners of an event, when none of them has anything to do.

Its console listener prints nothing of a crew that isn't verbose, and its old trace collector
leaves everything to the tracing of the kickoff, where there is one. Whether that is so is asked
of the very objects that they ask, when the event is emitted.
"""

from __future__ import annotations

import concurrent.futures.thread
import sys
import types
from collections.abc import Callable
from typing import Any

from fast_crewai.hooks.route import TargetError

_LISTENER = "crewai.events.event_listener"
_TRACES = "crewai.events.listeners.tracing.trace_listener"
_CONSOLE = "crewai.events.utils.console_formatter"
_HANDLERS = "crewai.events.utils.handlers"
_PRINTS = (
    "handle_agent_logs_started",
    "handle_agent_logs_execution",
    "handle_tool_usage_started",
    "handle_tool_usage_finished",
)
READS = (
    f"{_LISTENER}:EventListener.setup_listeners",
    f"{_TRACES}:TraceCollectionListener._on",
    "crewai.execution:get_execution_uuid",
    f"{_HANDLERS}:is_call_handler_safe",
    f"{_HANDLERS}:_get_param_count",
    *(f"{_CONSOLE}:ConsoleFormatter.{name}" for name in _PRINTS),
    f"{_CONSOLE}:ConsoleFormatter.should_render_success_panel",
)

# Event class → what its handler in setup_listeners is called; "" where there is none.
_EVENTS = {
    "crewai.events.types.logging_events:AgentLogsStartedEvent": "on_agent_logs_started",
    "crewai.events.types.logging_events:AgentLogsExecutionEvent": "on_agent_logs_execution",
    "crewai.events.types.tool_usage_events:ToolUsageStartedEvent": "on_tool_usage_started",
    "crewai.events.types.tool_usage_events:ToolUsageFinishedEvent": "on_tool_usage_finished",
    "crewai.events.types.agent_events:AgentExecutionStartedEvent": "",
    "crewai.events.types.agent_events:AgentExecutionCompletedEvent": "",
}

Check = Callable[[Any, Any, Any], bool]  # (handler, source, event) → it would do nothing


class IdleListeners:
    """Recognises handlers by their code, and knows what each of them depends on."""

    def __init__(self, bus_module: types.ModuleType) -> None:
        self._bus_module = vars(bus_module)
        self._listener = sys.modules[_LISTENER]
        self._handlers = vars(sys.modules[_HANDLERS])
        self._safe_call = self._handlers["is_call_handler_safe"]
        self._count = self._handlers["_get_param_count"]
        self._get_uuid = vars(sys.modules["crewai.execution"])["get_execution_uuid"]
        self._pool = concurrent.futures.ThreadPoolExecutor
        self._submit = self._pool.submit
        self._is_own_pool = _is_standard(self._pool)
        self._owner = self._listener.EventListener
        self._formatter = vars(sys.modules[_CONSOLE])["ConsoleFormatter"]
        names = (*_PRINTS, "should_render_success_panel")
        self._printing = [(name, vars(self._formatter)[name]) for name in names]
        legacy = _inner(vars(sys.modules[_TRACES])["TraceCollectionListener"]._on)
        self._legacy = legacy["legacy_handler"]
        own = _inner(self._owner.setup_listeners)
        self._uuid_cell = self._legacy.co_freevars.index("get_execution_uuid")
        # Codes are compared by identity, and kept so that their ids are not used again.
        self._codes = [self._legacy]
        self._checks: dict[Any, dict[int, Check]] = {}
        for target, name in _EVENTS.items():
            module, _, kind = target.partition(":")
            checks = self._checks[vars(sys.modules[module])[kind]] = {
                id(self._legacy): self._leaves_traces_to_the_kickoff
            }
            if name:
                if own[name].co_freevars != ("self",):
                    raise TargetError(f"{name} is not what it was")
                self._codes.append(own[name])
                checks[id(own[name])] = getattr(self, f"_{name.removeprefix('on_')}")

    def are_all(self, bus: Any, source: Any, event: Any, handlers: Any) -> bool:
        """Whether none of these handlers of the event would do anything."""
        checks = self._checks.get(type(event))
        if checks is None:
            return False
        try:
            for handler in handlers:
                if type(handler) is not types.FunctionType:
                    return False
                check = checks.get(id(handler.__code__))
                if check is None or not check(handler, source, event):
                    return False
            return self._calls_go_through(bus)
        except Exception:  # the handler, too, may fail at it: that is printed
            return False

    def _calls_go_through(self, bus: Any) -> bool:
        pool = bus._sync_executor
        return (
            self._is_own_pool
            and type(pool) is self._pool
            and self._pool.submit is self._submit
            and "submit" not in pool.__dict__
            and not (pool._shutdown or pool._broken or concurrent.futures.thread._shutdown)
            and self._bus_module["is_call_handler_safe"] is self._safe_call
            and self._handlers["_get_param_count"] is self._count
        )

    def _leaves_traces_to_the_kickoff(self, handler: Any, source: Any, event: Any) -> bool:
        get_uuid = handler.__closure__[self._uuid_cell].cell_contents
        return (
            get_uuid is self._get_uuid
            and handler.__dict__.keys() == {"__wrapped__"}
            and get_uuid() is not None
        )

    def _console(self, handler: Any) -> Any:
        """The formatter that a listener prints with, if it is CrewAI's; else None."""
        listener = handler.__closure__[0].cell_contents
        if type(listener) is not self._owner:
            return None
        for owner in self._owner.__mro__:
            if "formatter" in owner.__dict__:
                return None
        formatter, kind = listener.__dict__["formatter"], self._formatter
        if type(formatter) is not kind or handler.__dict__:
            return None
        own, state = kind.__dict__, formatter.__dict__
        if "verbose" in own:
            return None
        for name, function in self._printing:
            if own[name] is not function or name in state:
                return None
        return formatter

    def _agent_logs_started(self, handler: Any, source: Any, event: Any) -> bool:
        values = event.__dict__
        return (
            values.get("verbose") is False
            and "agent_role" in values
            and "task_description" in values
            and self._console(handler) is not None
        )

    def _agent_logs_execution(self, handler: Any, source: Any, event: Any) -> bool:
        values = event.__dict__
        return (
            values.get("verbose") is False
            and "agent_role" in values
            and "formatted_answer" in values
            and self._console(handler) is not None
        )

    def _tool_usage_started(self, handler: Any, source: Any, event: Any) -> bool:
        values = event.__dict__
        return (
            "tool_name" in values
            and "tool_args" in values
            and "run_attempts" in values
            and self._silent(handler)
            and not isinstance(source, vars(self._listener)["LLM"])
        )

    def _tool_usage_finished(self, handler: Any, source: Any, event: Any) -> bool:
        values = event.__dict__
        return (
            "tool_name" in values
            and "output" in values
            and "failure" in values
            and self._silent(handler)
            and not isinstance(source, vars(self._listener)["LLM"])
        )

    def _silent(self, handler: Any) -> bool:
        formatter = self._console(handler)
        return formatter is not None and formatter.__dict__["verbose"] is False


def _is_standard(pool: type) -> bool:
    """Whether nobody had replaced the class or a method of it before us, to see what it does."""
    own = vars(concurrent.futures.thread)
    methods = [vars(pool).get(name) for name in ("__init__", "submit", "_adjust_thread_count")]
    return all(getattr(method, "__globals__", None) is own for method in methods)


def _inner(function: types.FunctionType) -> dict[str, types.CodeType]:
    """All functions that a function defines, by name. Raises TargetError for a name used twice."""
    found: dict[str, types.CodeType] = {}
    codes = [function.__code__]
    for code in codes:
        inner = [value for value in code.co_consts if isinstance(value, types.CodeType)]
        codes += inner
        for named in (one for one in inner if one.co_name.isidentifier()):
            if found.setdefault(named.co_name, named) is not named:
                raise TargetError(f"two functions are called {named.co_name}")
    return found
