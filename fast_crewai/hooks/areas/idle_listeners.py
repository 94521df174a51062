"""CrewAI's own listeners of an event, when none of them has anything to do for a thread.

Its console listener prints nothing of a crew that isn't verbose, and its old trace collector
leaves everything to the tracing of the kickoff, where there is one. Without telemetry the starts
and ends of crews, tasks and agents only leave a note in the listener or the crew. Whether that is
so is asked of the very objects that they ask, when the event is emitted.
"""

from __future__ import annotations

import concurrent.futures.thread
import sys
import types
from collections.abc import Callable
from typing import Any

from fast_crewai.hooks.areas import idle_telemetry, usage_listener
from fast_crewai.hooks.areas.agent_executor import is_of_crewai
from fast_crewai.hooks.route import TargetError, locate

_LISTENER = "crewai.events.event_listener"
_TRACES = "crewai.events.listeners.tracing.trace_listener"
_CONSOLE = "crewai.events.utils.console_formatter"
_HANDLERS = "crewai.events.utils.handlers"
LOADED = "crewai.crew"  # with it, all of them are
_SOURCES = {
    "crew": "crewai.crew:Crew",
    "output": "crewai.tasks.task_output:TaskOutput",
    "task": "crewai.task:Task",
    "agent": "crewai.agent.core:Agent",
}
_HOOKS = (
    "crewai.hooks.llm_hooks:get_before_llm_call_hooks",
    "crewai.hooks.llm_hooks:get_after_llm_call_hooks",
    "crewai.hooks.tool_hooks:get_before_tool_call_hooks",
    "crewai.hooks.tool_hooks:get_after_tool_call_hooks",
)
_PRINTS = (
    "handle_agent_logs_started",
    "handle_agent_logs_execution",
    "handle_tool_usage_started",
    "handle_tool_usage_finished",
    "handle_crew_started",
    "handle_crew_status",
    "handle_task_started",
    "handle_task_status",
    "handle_lite_agent_execution",
    "handle_llm_stream_completed",
)
READS = (
    f"{_LISTENER}:EventListener.setup_listeners",
    f"{_TRACES}:TraceCollectionListener._on",
    "crewai.execution:get_execution_uuid",
    f"{_HANDLERS}:is_call_handler_safe",
    f"{_HANDLERS}:_get_param_count",
    *(f"{_CONSOLE}:ConsoleFormatter.{name}" for name in _PRINTS),
    f"{_CONSOLE}:ConsoleFormatter.should_render_success_panel",
    "crewai.events.event_bus:CrewAIEventsBus._call_handlers",  # compared by the dispatcher
    *_HOOKS,
    *usage_listener.READS,
    *idle_telemetry.READS,
)

# Event class → what its handlers in setup_listeners are called.
_EVENTS: dict[str, tuple[str, ...]] = {
    "logging_events:AgentLogsStartedEvent": ("on_agent_logs_started",),
    "logging_events:AgentLogsExecutionEvent": ("on_agent_logs_execution",),
    "tool_usage_events:ToolUsageStartedEvent": ("on_tool_usage_started",),
    "tool_usage_events:ToolUsageFinishedEvent": ("on_tool_usage_finished",),
    "agent_events:AgentExecutionStartedEvent": (),
    "agent_events:AgentExecutionCompletedEvent": (),
    "agent_events:LiteAgentExecutionStartedEvent": ("on_lite_agent_execution_started",),
    "agent_events:LiteAgentExecutionCompletedEvent": ("on_lite_agent_execution_completed",),
    "crew_events:CrewKickoffStartedEvent": ("on_crew_started", "on_crew_kickoff_hooks"),
    "crew_events:CrewKickoffCompletedEvent": ("on_crew_completed",),
    "task_events:TaskStartedEvent": ("on_task_started",),
    "task_events:TaskCompletedEvent": ("on_task_completed",),
    "flow_events:FlowStartedEvent": ("on_flow_started",),
    "flow_events:FlowFinishedEvent": ("on_flow_finished",),
    "llm_events:LLMCallStartedEvent": ("on_llm_call_started",),
    "llm_events:LLMCallCompletedEvent": ("on_llm_call_completed",),
    "env_events:DefaultEnvEvent": ("on_default_env",),
    "env_events:CCEnvEvent": ("on_cc_env",),
    "env_events:CodexEnvEvent": ("on_codex_env",),
    "env_events:CursorEnvEvent": ("on_cursor_env",),
}
# Handlers that are known by another name than their own.
_METHODS = {
    "on_cc_env": "_env",
    "on_codex_env": "_env",
    "on_cursor_env": "_env",
    "on_default_env": "_env",
    "on_flow_finished": "_flow",
    "on_flow_started": "_flow",
    "on_lite_agent_execution_completed": "_lite_agent_execution",
    "on_lite_agent_execution_started": "_lite_agent_execution",
    "on_task_completed": "_task",
    "on_task_started": "_task",
}

# What a handler would do: nothing; a note or two, in no time, the same in any thread; or more.
NOTHING, NOTES, MORE = 0, 1, 2
Check = Callable[[Any, Any, Any], int]  # (handler, source, event) → one of them


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
        self._telemetry = idle_telemetry.IdleTelemetry()
        self._sources = {name: _class(target) for name, target in _SOURCES.items()}
        self._hooks = [
            (vars(site.module), site.name, site.original) for site in map(locate, _HOOKS)
        ]
        legacy = _inner(vars(sys.modules[_TRACES])["TraceCollectionListener"]._on)
        self._legacy = legacy["legacy_handler"]
        self._uuid_cell = self._legacy.co_freevars.index("get_execution_uuid")
        # Codes are compared by identity, and kept so that their ids are not used again.
        self._codes = [self._legacy]
        self._checks: dict[Any, dict[int, Check]] = {}
        own = _inner(self._owner.setup_listeners)
        for target, handlers in _EVENTS.items():
            checks = self._checks[_class(f"crewai.events.types.{target}")] = {
                id(self._legacy): self._leaves_traces_to_the_kickoff
            }
            for name in handlers:
                self._codes.append(own[name])
                checks[id(own[name])] = self._check(name, own[name])

        usage = usage_listener.UsageListener(_inner)
        self._codes.append(usage.code)
        counted = self._checks[_class(usage_listener.EVENT)]
        counted[id(usage.code)] = lambda handler, _, event: (
            NOTES if usage.only_counts(handler, event) else MORE
        )

    def _check(self, name: str, code: types.CodeType) -> Check:
        """The method for the handler, given CrewAI's listener instead of the handler."""
        if "self" not in code.co_freevars:
            raise TargetError(f"{name} is not what it was")
        cell = code.co_freevars.index("self")
        method: Check = getattr(self, _METHODS.get(name, f"_{name.removeprefix('on_')}"))
        owner = self._owner

        def check(handler: Any, source: Any, event: Any) -> int:
            listener = handler.__closure__[cell].cell_contents
            if type(listener) is not owner or handler.__dict__:
                return MORE
            return method(listener, source, event)

        return check

    def work_of(self, bus: Any, source: Any, event: Any, handlers: Any) -> int:
        """What these handlers of the event would do, taken together."""
        checks = self._checks.get(type(event))
        if checks is None:
            return MORE
        most = NOTHING
        try:
            for handler in handlers:
                if type(handler) is not types.FunctionType:
                    return MORE
                check = checks.get(id(handler.__code__))
                work = MORE if check is None else check(handler, source, event)
                if work is MORE:
                    return MORE
                if work is NOTES:
                    most = NOTES
            if not self._calls_go_through(bus) or (most is NOTES and not _is_at_rest(bus)):
                return MORE
        except Exception:  # the handler, too, may fail at it: that is printed
            return MORE
        return most

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

    def _leaves_traces_to_the_kickoff(self, handler: Any, source: Any, event: Any) -> int:
        get_uuid = handler.__closure__[self._uuid_cell].cell_contents
        if (
            get_uuid is self._get_uuid
            and handler.__dict__.keys() == {"__wrapped__"}
            and get_uuid() is not None
        ):
            return NOTHING
        return MORE

    def _prints(self, listener: Any) -> Any:
        """The formatter that a listener prints with, if it is CrewAI's; else None."""
        for owner in self._owner.__mro__:
            if "formatter" in owner.__dict__:
                return None
        formatter, kind = listener.__dict__["formatter"], self._formatter
        if type(formatter) is not kind:
            return None
        own, state = kind.__dict__, formatter.__dict__
        if "verbose" in own:
            return None
        for name, function in self._printing:
            if own[name] is not function or name in state:
                return None
        return formatter

    def _is_silent(self, listener: Any) -> bool:
        formatter = self._prints(listener)
        return formatter is not None and formatter.__dict__["verbose"] is False

    def _records_nothing(self, listener: Any) -> bool:
        return self._telemetry.is_off(listener.__dict__["_telemetry"])

    # ---------------------------------------------------------- one method for each handler

    def _agent_logs_started(self, listener: Any, source: Any, event: Any) -> int:
        values = event.__dict__
        if (
            values.get("verbose") is False
            and "agent_role" in values
            and "task_description" in values
            and self._prints(listener) is not None
        ):
            return NOTHING
        return MORE

    def _agent_logs_execution(self, listener: Any, source: Any, event: Any) -> int:
        values = event.__dict__
        if (
            values.get("verbose") is False
            and "agent_role" in values
            and "formatted_answer" in values
            and self._prints(listener) is not None
        ):
            return NOTHING
        return MORE

    def _tool_usage_started(self, listener: Any, source: Any, event: Any) -> int:
        values = event.__dict__
        if (
            "tool_name" in values
            and "tool_args" in values
            and "run_attempts" in values
            and self._is_silent(listener)
            and not isinstance(source, vars(self._listener)["LLM"])
        ):
            return NOTHING
        return MORE

    def _tool_usage_finished(self, listener: Any, source: Any, event: Any) -> int:
        values = event.__dict__
        if (
            "tool_name" in values
            and "output" in values
            and "failure" in values
            and self._is_silent(listener)
            and not isinstance(source, vars(self._listener)["LLM"])
        ):
            return NOTHING
        return MORE

    def _lite_agent_execution(self, listener: Any, source: Any, event: Any) -> int:
        info = event.__dict__["agent_info"]
        return NOTES if type(info) is dict and self._is_silent(listener) else MORE

    def _llm_call_started(self, listener: Any, source: Any, event: Any) -> int:
        return NOTES

    def _llm_call_completed(self, listener: Any, source: Any, event: Any) -> int:
        formatter = self._prints(listener)
        if formatter is None or formatter.__dict__["_streaming_live"] is not None:
            return MORE
        return NOTES

    def _env(self, listener: Any, source: Any, event: Any) -> int:
        return NOTES if self._records_nothing(listener) else MORE

    def _crew_started(self, listener: Any, source: Any, event: Any) -> int:
        plain = type(source) is self._sources["crew"] and self._is_silent(listener)
        return NOTES if plain and self._records_nothing(listener) else MORE

    def _crew_kickoff_hooks(self, listener: Any, source: Any, event: Any) -> int:
        if any(module[name] is not function for module, name, function in self._hooks):
            return MORE
        return NOTES if self._records_nothing(listener) else MORE

    def _crew_completed(self, listener: Any, source: Any, event: Any) -> int:
        plain = type(event.__dict__["output"]) is self._sources["output"]
        return self._crew_started(listener, source, event) if plain else MORE

    def _task(self, listener: Any, source: Any, event: Any) -> int:
        spans = listener.__dict__["execution_spans"]
        if (
            type(source) is self._sources["task"]
            and type(source.__dict__["agent"]) is self._sources["agent"]
            and type(spans) is dict
            and spans.get(source) is None
            and self._is_silent(listener)
            and self._records_nothing(listener)
        ):
            return NOTES
        return MORE

    def _flow(self, listener: Any, source: Any, event: Any) -> int:
        if (
            is_of_crewai(source)
            and source.__dict__["suppress_flow_events"] is True
            and "_is_conversational_enabled" not in source.__dict__
            and self._records_nothing(listener)
        ):
            return NOTES
        return MORE


def _is_at_rest(bus: Any) -> bool:
    """Whether no earlier handler is still at work, so that all are called in their order."""
    return not bus._pending_futures and bus._sync_executor._work_queue.empty()


def _class(target: str) -> Any:
    module, _, kind = target.partition(":")
    return vars(sys.modules[module])[kind]


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
