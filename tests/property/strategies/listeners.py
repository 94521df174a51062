"""CrewAI's own listeners of an event, and what may give them something to do."""

import contextlib
import contextvars
import inspect
import re
import threading
from types import SimpleNamespace
from unittest import mock

from crewai import LLM, RuntimeState
from crewai.agents.parser import AgentFinish
from crewai.events import event_bus, event_listener
from crewai.events.listeners.tracing.trace_listener import TraceCollectionListener
from crewai.events.types import agent_events, logging_events, tool_usage_events
from crewai.execution import _current_execution_uuid
from crewai.tools.tool_failure import ToolFailure
from hypothesis import strategies as st

from strategies.events import THEN, Stream, own_bus, streams

TOOL = {"tool_name": "t", "tool_args": {"a": 1}, "timestamp": THEN}
FAILURE = ToolFailure(message="m")
OWN_EVENTS = [
    lambda: logging_events.AgentLogsStartedEvent(agent_role="r"),
    lambda: logging_events.AgentLogsStartedEvent(agent_role="r", verbose=True),
    lambda: logging_events.AgentLogsExecutionEvent(agent_role="r", formatted_answer=1),
    lambda: logging_events.AgentLogsExecutionEvent(
        agent_role="r", formatted_answer=AgentFinish("a", "b", "c"), verbose=True
    ),
    lambda: logging_events.AgentLogsExecutionEvent.model_construct(verbose=False),
    lambda: logging_events.AgentLogsExecutionEvent.model_construct(agent_role="r"),
    lambda: tool_usage_events.ToolUsageStartedEvent(**TOOL),
    lambda: tool_usage_events.ToolUsageStartedEvent.model_construct(tool_name="x"),
    lambda: tool_usage_events.ToolUsageFinishedEvent(
        **TOOL, started_at=THEN, finished_at=THEN, output="o"
    ),
    lambda: tool_usage_events.ToolUsageFinishedEvent(
        **TOOL, started_at=THEN, finished_at=THEN, output="o", failure=FAILURE
    ),
    lambda: tool_usage_events.ToolUsageErrorEvent(**TOOL, error="e"),
    lambda: agent_events.AgentExecutionStartedEvent.model_construct(agent=1, task=2),
    lambda: agent_events.AgentExecutionCompletedEvent.model_construct(agent=1, task=2),
]

CHANGES = [
    None,
    "a handler more",
    "an async handler more",
    "another formatter",
    "a formatter's method",
    "a formatter's own method",
    "a formatter's class",
    "a safe call of its own",
    "a note of its own",
    "a class's note of its own",
    "a handler's signature",
    "the uuid's getter",
    "the pool",
    "closed",
    "the listener's LLM",
    "a listener of the user's",
    "a formatter that is looked up",
    "a verbosity that is looked up",
]
listenings = st.fixed_dictionaries(
    {
        "events": st.lists(st.sampled_from(OWN_EVENTS), min_size=1, max_size=4),
        "verbose": st.sampled_from([False, False, True, 0]),
        "uuid": st.sampled_from(["u", "u", None]),
        "source": st.sampled_from(["object", "object", "LLM"]),
        "change": st.sampled_from([None] * 6 + CHANGES),
    }
)
emissions = st.tuples(st.just("stream"), streams.map(Stream)) | st.tuples(
    st.just("own"), listenings
)


def listened(emit, example):
    """What CrewAI's console listener prints and its old trace collector collects."""
    bus, log = own_bus(), []
    listener = event_listener.event_listener
    formatter = event_listener.ConsoleFormatter(verbose=example["verbose"])
    formatter.print = lambda *what: log.append(("print", *map(type, what), kind_of_thread()))
    bus._console = SimpleNamespace(print=lambda text: log.append(text))
    source = {"object": object(), "LLM": object.__new__(LLM)}[example["source"]]

    def collect(_, name, source, event):
        log.append(("trace", name, event.type, kind_of_thread()))

    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        for name in ("_handle_action_event", "_handle_trace_event"):
            enter(mock.patch.object(TraceCollectionListener, name, collect))
        enter(mock.patch.object(listener, "formatter", formatter))
        traces = TraceCollectionListener()
        listener.setup_listeners(bus)
        traces._register_action_event_handlers(bus)
        traces._register_flow_event_handlers(bus)
        traces._register_context_event_handlers(bus)
        alter(example["change"], bus, formatter, listener, log, enter)

        def all_of_them():
            _current_execution_uuid.set(example["uuid"])
            bus.set_runtime_state(RuntimeState(root=[]))
            for make in example["events"]:
                try:
                    future = emit(bus, source, make())
                    bus.flush()
                    log.append(future if future is None else (future.result(), vars(future).keys()))
                    log.append(len(bus._pending_futures))
                except Exception as error:
                    log.append((type(error), str(error)))
            return [node.event.type for node in bus.runtime_state.event_record.nodes.values()]

        try:
            recorded = contextvars.Context().run(all_of_them)
        finally:
            bus.shutdown()
    return sorted(map(repr, log)), recorded, bus._has_pending_events, formatter.__dict__.keys()


def kind_of_thread():
    return re.split(r"[-_]", threading.current_thread().name)[0]


def alter(change, bus, formatter, listener, log, enter):
    """Replace a part of what makes CrewAI's listeners do nothing."""
    kinds = list(bus._sync_handlers)

    def noted(*values, **options):
        log.append(("noted", len(values), kind_of_thread()))

    async def noted_later(source, event):
        noted()

    if change == "a handler more":
        for kind in kinds:
            bus.on(kind)(lambda source, event: noted(source, event))
    elif change == "an async handler more":
        for kind in kinds:
            bus.on(kind)(noted_later)
    elif change == "another formatter":
        kind = type("Own", (event_listener.ConsoleFormatter,), {})
        kind.handle_tool_usage_started = kind.handle_agent_logs_execution = noted
        listener.formatter = kind(verbose=False)
    elif change == "a formatter's method":
        formatter.handle_agent_logs_started = formatter.handle_tool_usage_started = noted
    elif change == "a formatter's own method":
        enter(mock.patch.object(type(formatter), "handle_agent_logs_execution", noted))
        enter(mock.patch.object(type(formatter), "handle_tool_usage_started", noted))
    elif change == "a formatter's class":
        enter(mock.patch.object(listener, "formatter", mock.Mock(verbose=False)))
        for name in ("handle_agent_logs_started", "handle_tool_usage_started"):
            getattr(listener.formatter, name).side_effect = noted
    elif change == "a safe call of its own":
        enter(mock.patch.object(event_bus, "is_call_handler_safe", noted))
    elif change == "a note of its own":
        bus._track_future = lambda future: noted(future) or future
    elif change == "a class's note of its own":
        track = lambda self, future: noted(self, future) or future  # noqa: E731
        enter(mock.patch.object(type(bus), "_track_future", track))
    elif change == "a handler's signature":
        for kind in kinds:
            for handler in bus._sync_handlers[kind]:
                handler.__signature__ = inspect.signature(lambda a, b, c: 0)
    elif change == "the uuid's getter":
        for kind in kinds:
            for handler in bus._sync_handlers[kind]:
                names = handler.__code__.co_freevars
                if "get_execution_uuid" in names:
                    cell = handler.__closure__[names.index("get_execution_uuid")]
                    cell.cell_contents = noted
    elif change == "the pool":
        bus._ensure_executor_initialized()
        submit = bus._sync_executor.submit
        bus._sync_executor.submit = lambda *a: (noted(), submit(*a))[1]
    elif change == "closed":
        bus._ensure_executor_initialized()
        bus._sync_executor.shutdown()
    elif change == "the listener's LLM":
        enter(mock.patch.object(event_listener, "LLM", object))
    elif change == "a listener of the user's":
        kind, undo = type(listener), enter(contextlib.ExitStack())
        undo.callback(setattr, listener, "__class__", kind)
        listener.__class__ = type("Own", (kind,), {"formatter": looked_up(formatter, noted)})
    elif change == "a formatter that is looked up":
        looked = looked_up(formatter, noted)
        enter(mock.patch.object(type(listener), "formatter", looked, create=True))
    elif change == "a verbosity that is looked up":
        looked = looked_up(formatter.verbose, noted)
        enter(mock.patch.object(type(formatter), "verbose", looked, create=True))


def looked_up(value, noted):
    """A property that notes in which thread it is read."""

    def get(_):
        noted()
        return value

    return property(get, lambda *_: None, lambda _: None)


def emitted(function, example):
    """``CrewAIEventsBus.emit`` alone, with handlers of both kinds, or CrewAI's own."""
    kind, inner = example
    if kind == "stream":
        return inner.run(function)
    return listened(function, inner)
