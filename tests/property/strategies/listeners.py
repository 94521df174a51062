"""CrewAI's own listeners of an event, and what may give them something to do."""

import contextlib
import contextvars
import inspect
import os
import re
import threading
import warnings
from types import SimpleNamespace
from unittest import mock

from crewai import LLM, Agent, BaseLLM, Crew, RuntimeState, Task
from crewai.agents.agent_executor import AgentExecutor
from crewai.agents.parser import AgentFinish
from crewai.events import event_bus, event_listener
from crewai.events.listeners.tracing.trace_listener import TraceCollectionListener
from crewai.events.types import (
    agent_events,
    crew_events,
    env_events,
    flow_events,
    llm_events,
    logging_events,
    task_events,
    tool_usage_events,
)
from crewai.execution import _current_execution_uuid
from crewai.flow import runtime
from crewai.hooks import llm_hooks
from crewai.memory.recall_flow import RecallFlow
from crewai.tasks.task_output import TaskOutput
from crewai.telemetry.telemetry import CoreTelemetry, Telemetry
from crewai.tools.tool_failure import ToolFailure
from crewai.types import usage_metrics
from crewai.types.usage_metrics import UsageMetrics
from hypothesis import strategies as st

from strategies.events import THEN, Stream, own_bus, streams

TOOL = {"tool_name": "t", "tool_args": {"a": 1}, "timestamp": THEN}
FAILURE = ToolFailure(message="m")
CALL = {"call_id": "i", "response": "r", "call_type": llm_events.LLMCallType.LLM_CALL}
LITE = {"agent_info": {"role": "r"}}
OUTPUT = TaskOutput(description="d", raw="o", agent="r")


class Tokens:
    """A number of the user's."""

    def __int__(self):
        used.append(("int", kind_of_thread()))
        return 7


FITTING = [  # with the source that they usually have
    ("crew", lambda: crew_events.CrewKickoffStartedEvent(crew_name=None, inputs={"a": 1})),
    ("crew", lambda: crew_events.CrewKickoffCompletedEvent(crew_name="c", output=OUTPUT)),
    ("task", lambda: task_events.TaskStartedEvent(context=None)),
    ("task", lambda: task_events.TaskCompletedEvent(output=OUTPUT)),
    ("flow", lambda: flow_events.FlowStartedEvent(flow_name="f")),
    ("flow", lambda: flow_events.FlowFinishedEvent(flow_name="f", result=1, state={})),
    ("recall", lambda: flow_events.FlowStartedEvent(flow_name="f")),
    ("recall", lambda: flow_events.FlowFinishedEvent(flow_name="f", result=1, state={})),
    ("object", lambda: agent_events.LiteAgentExecutionStartedEvent(**LITE, tools=[], messages="m")),
    ("object", lambda: agent_events.LiteAgentExecutionCompletedEvent(**LITE, output="o")),
    ("object", env_events.DefaultEnvEvent),
    ("object", lambda: llm_events.LLMCallStartedEvent(call_id="i", messages="m")),
    ("object", lambda: llm_events.LLMCallCompletedEvent(**CALL, usage={"prompt_tokens": 3})),
    ("object", lambda: llm_events.LLMCallCompletedEvent(**CALL)),
]
OWN_EVENTS = [
    *(make for _, make in FITTING),
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
    lambda: agent_events.LiteAgentExecutionCompletedEvent(agent_info={"goal": "g"}, output="o"),
    lambda: crew_events.CrewKickoffCompletedEvent(crew_name="c", output="text"),
    lambda: llm_events.LLMCallCompletedEvent(**CALL, usage={"prompt_tokens": Tokens()}),
    lambda: llm_events.LLMCallCompletedEvent(
        **CALL, usage={"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": Tokens()}}
    ),
    env_events.CCEnvEvent,
    env_events.CodexEnvEvent,
    env_events.CursorEnvEvent,
]
SOURCES = {
    "object": object,
    "LLM": lambda: object.__new__(LLM),
    "crew": lambda: a_crew(Crew),
    "a crew of the user's": lambda: a_crew(own(Crew)),
    "task": lambda: a_crew(Crew).tasks[0],
    "a task of the user's": lambda: a_crew(Crew, task=own(Task)).tasks[0],
    "a task of another agent": lambda: a_crew(Crew, agent=own(Agent)).tasks[0],
    "a task without agent": lambda: Task(description="d", expected_output="e"),
    "flow": lambda: an_executor(True),
    "a flow that shows its events": lambda: an_executor(False),
    "a flow of the user's": lambda: an_executor(True, own(AgentExecutor)),
    "recall": lambda: a_recall(RecallFlow),
    "a recall of the user's": lambda: a_recall(own(RecallFlow)),
}

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
    "a method of telemetry",
    "a telemetry's own method",
    "another telemetry",
    "the environment's reader",
    "the hooks' getter",
    "a call of its own",
    "the counting",
    "the reading of counts",
]
listenings = st.fixed_dictionaries(
    {
        "events": st.lists(st.sampled_from(OWN_EVENTS), min_size=1, max_size=4),
        "verbose": st.sampled_from([False, False, True, 0]),
        "uuid": st.sampled_from(["u", "u", None]),
        "source": st.sampled_from(list(SOURCES)),
        "telemetry": st.sampled_from(["off"] * 4 + ["by environment", "unreported", "on"]),
        "span": st.sampled_from([False, False, True]),
        "flow": st.sampled_from(["f", "f", "another", None]),  # whose model calls they are
        "streams": st.sampled_from([False, False, True]),
        "change": st.sampled_from([None] * 6 + CHANGES),
    }
)
emissions = st.tuples(st.just("stream"), streams.map(Stream)) | st.tuples(
    st.just("own"), listenings
)


def listened(emit, example):
    """What CrewAI's console listener prints and its old trace collector collects."""
    bus, log = own_bus(), used
    listener = event_listener.event_listener
    formatter = event_listener.ConsoleFormatter(verbose=example["verbose"])
    formatter.print = lambda *what: log.append(("print", *map(type, what), kind_of_thread()))
    formatter.console = SimpleNamespace(print=formatter.print)
    bus._console = SimpleNamespace(print=lambda text: log.append(without_ids(text)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of CrewAI's own fields
        source, flow = SOURCES[example["source"]](), an_executor(True)
    spans = {source: Span()} if example["span"] and isinstance(source, Task) else {}

    def collect(_, name, source, event):
        log.append(("trace", name, event.type, kind_of_thread()))

    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        for name in ("_handle_action_event", "_handle_trace_event"):
            enter(mock.patch.object(TraceCollectionListener, name, collect))
        enter(mock.patch.object(listener, "formatter", formatter))
        enter(mock.patch.object(listener, "execution_spans", spans))
        telemetry = a_telemetry(example["telemetry"], log, enter)
        enter(mock.patch.object(listener, "_telemetry", telemetry))
        if example["streams"]:
            formatter._streaming_live = SimpleNamespace(stop=lambda: log.append(kind_of_thread()))
        listener.text_stream, listener.next_chunk = "a text", 7
        flow._flow_match_id = "f"
        with mock.patch.object(runtime, "crewai_event_bus", bus):
            flow._attach_usage_aggregation_listener()
        traces = TraceCollectionListener()
        listener.setup_listeners(bus)
        traces._register_action_event_handlers(bus)
        traces._register_flow_event_handlers(bus)
        traces._register_context_event_handlers(bus)
        alter(example["change"], bus, formatter, listener, log, enter)

        def all_of_them():
            _current_execution_uuid.set(example["uuid"])
            runtime.current_flow_id.set(example["flow"])
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

        used.clear()
        try:
            recorded = contextvars.Context().run(all_of_them)
        finally:
            bus.shutdown()
    text = getattr(listener.text_stream, "getvalue", str)(), listener.next_chunk
    state = {**vars(formatter), "console": None, "print": None, "_streaming_live": None}
    left = (
        without_ids(state),
        text,
        flow.usage_metrics,
        [span is not None for span in spans.values()],
    )
    seen = sorted(map(repr, log)), recorded, bus._has_pending_events, notes_on(source)
    return *seen, *left, getattr(telemetry, "_coding_agent_reported", None)


def a_crew(crew, task=Task, agent=Agent):
    worker = agent(role="r", goal="g", backstory="b", llm=Silent(model="m"))
    tasks = [task(description="d", expected_output="e", agent=worker)]
    return crew(agents=[worker], tasks=tasks)


def own(kind):
    """A subclass of the user's, which notes in which thread it is used."""

    def read(self, name):
        if name in USED:
            used.append((name, kind_of_thread()))
        return kind.__getattribute__(self, name)

    return type("Own", (kind,), {"__getattribute__": read})


USED = ("share_crew", "agent", "crew", "role", "_is_conversational_enabled")
used = []


class Span:
    def __bool__(self):
        used.append(("span", kind_of_thread()))
        return True


def an_executor(quiet, kind=AgentExecutor):
    agent = Agent(role="r", goal="g", backstory="b", llm=Silent(model="m"), executor_class=kind)
    agent.create_agent_executor(tools=[])
    agent.agent_executor.suppress_flow_events = quiet
    return agent.agent_executor


def a_recall(kind):
    return kind(storage=None, llm=None, embedder=None)


class Silent(BaseLLM):
    def call(self, *_, **__):
        return ""


def a_telemetry(state, log, enter):
    """CrewAI's, which notes in which thread a span is asked for."""
    disabled = {"CREWAI_DISABLE_VERSION_CHECK": "true"}
    if state == "by environment":
        disabled["CREWAI_DISABLE_TELEMETRY"] = "true"
    kept = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    enter(mock.patch.dict(os.environ, {**kept, **disabled}, clear=True))

    def get_tracer(name):
        log.append(("tracer", kind_of_thread()))
        raise ValueError("no tracer")

    made = object.__new__(Telemetry)
    made.__dict__.update(
        ready=state in ("on", "by environment"),
        trace_set=False,
        _initialized=True,
        _coding_agent_reported=state != "unreported",
        _coding_agent_lock=threading.Lock(),
        provider=SimpleNamespace(get_tracer=get_tracer),
    )
    return made


SWITCHES = ("OTEL_SDK_DISABLED", "CREWAI_DISABLE_TELEMETRY", "CREWAI_DISABLE_TRACKING")
NOTES = ("_execution_span", "_telemetry_started_at", "_telemetry_turn_error")


def notes_on(source):
    """What listeners leave on a crew or a flow; the time only as such."""
    return [repr(type(getattr(source, name, "nothing"))) for name in NOTES]


def without_ids(text):
    return re.sub(r"0x[0-9a-f]+", "0x", str(text))


def kind_of_thread():
    return re.split(r"[-_]", threading.current_thread().name)[0]


SPANS = (
    *("crew_execution_span", "end_crew", "crew_completed_span", "feature_usage_span"),
    *("flow_execution_span", "flow_completed_span", "task_started", "env_context_span"),
)


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
        formatter.handle_crew_started = formatter.handle_task_status = noted
        formatter.handle_lite_agent_execution = noted
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
    elif change == "a method of telemetry":
        for name in SPANS:
            enter(mock.patch.object(Telemetry, name, noted))
    elif change == "a telemetry's own method":
        for name in SPANS:
            setattr(listener._telemetry, name, noted)
    elif change == "another telemetry":
        listener._telemetry = mock.Mock(**{f"{name}.side_effect": noted for name in SPANS})
    elif change == "the environment's reader":
        listener._telemetry.ready = True
        enter(mock.patch.object(CoreTelemetry, "_env_flag_enabled", lambda *_: noted() or True))
    elif change == "the hooks' getter":
        enter(mock.patch.object(llm_hooks, "get_before_llm_call_hooks", noted))
    elif change == "the counting":
        enter(mock.patch.object(UsageMetrics, "add_usage_metrics", noted))
    elif change == "the reading of counts":
        enter(mock.patch.object(usage_metrics, "_first_int", lambda *_: noted() or 0))
    elif change == "a call of its own":
        bus._call_handlers = noted
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
