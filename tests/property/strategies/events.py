"""Random streams of events on a bus of their own, and what handlers, record and console see."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import datetime
import inspect
import re
import threading
from types import SimpleNamespace
from unittest import mock

from crewai import LLM, RuntimeState
from crewai.agents.parser import AgentFinish
from crewai.events import event_bus, event_context, event_listener, stream_context
from crewai.events.base_events import BaseEvent
from crewai.events.depends import Depends
from crewai.events.event_bus import CrewAIEventsBus
from crewai.events.listeners.tracing.trace_listener import TraceCollectionListener
from crewai.events.types import agent_events, llm_events, logging_events, tool_usage_events
from crewai.execution import _current_execution_uuid
from crewai.state import event_record
from crewai.state.event_record import EventNode, EventRecord
from crewai.tools.tool_failure import ToolFailure
from crewai.utilities.rw_lock import RWLock
from hypothesis import strategies as st

THEN = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)


class Mine(BaseEvent):
    type: str = "mine"
    value: object = None


class Other(Mine):
    type: str = "flow_started"


class Assigned(Mine, validate_assignment=True):
    pass


TYPES = [Mine, Other, Assigned, BaseEvent, llm_events.LLMStreamChunkEvent]
# Types that open and close scopes, matching or not, and one that does neither.
NAMES = ["mine", "flow_started", "flow_finished", "tool_usage_started", "task_failed"]
IDS = [f"e{i}" for i in range(6)]

# ------------------------------------------------------------------------- what is emitted

ids = st.sampled_from([None, None, None, *IDS, ""])
events = st.fixed_dictionaries(
    {
        "kind": st.integers(0, len(TYPES) - 1),
        "name": st.sampled_from(NAMES),
        "id": st.sampled_from(IDS),
        "links": st.tuples(ids, ids),  # parent, started
        "source": st.sampled_from(["object", "object", "agent", "flow", "none"]),
        "wait": st.sampled_from([True, True, True, False]),
        "how": st.sampled_from(["emit"] * 6 + ["again", "aemit", "replay", "inside", "sink"]),
    }
)
handlers = st.fixed_dictionaries(
    {
        "kind": st.integers(0, len(TYPES) - 1),
        "async": st.booleans(),
        "takes": st.sampled_from([2, 2, 3]),
        "fails": st.sampled_from([None, None, None, ValueError, KeyError]),
        "after": st.none() | st.integers(0, 3),
        "emits": st.sampled_from([False, False, False, True]),
    }
)


def deterministic(example):
    """Handlers that emit take numbers, so nothing else may run beside them."""
    waited = all(event["wait"] for event in example["events"])
    for handler in example["handlers"]:
        handler["emits"] = handler["emits"] and waited and not handler["async"]
    return example


streams = st.fixed_dictionaries(
    {
        "events": st.lists(events, min_size=1, max_size=8),
        "handlers": st.lists(handlers, max_size=5),
        "drop": st.none() | st.integers(0, 7),  # a handler is removed before that event
        "shutdown": st.sampled_from([None, None, None, None, 2]),
        "strict": st.sampled_from([False, False, False, True]),
        "state": st.sampled_from([True, True, True, False]),
    }
).map(deterministic)


def make_event(spec):
    kind = TYPES[spec["kind"]]
    parent, started = spec["links"]
    values = {"event_id": spec["id"], "timestamp": THEN, "parent_event_id": parent}
    if kind is llm_events.LLMStreamChunkEvent:
        return kind(**values, chunk="c", call_id="1", started_event_id=started)
    return kind(**values, type=spec["name"], started_event_id=started)


def place():
    """The kind of thread, and the causality that code in it sees."""
    kind = re.split(r"[-_]", threading.current_thread().name)[0]
    return (
        kind,
        event_context.get_last_event_id(),
        event_context._event_id_stack.get(),
        event_bus.is_replaying(),
    )


class Pool(concurrent.futures.ThreadPoolExecutor):
    """The bus doesn't keep the futures of sync handlers that have async ones beside them."""

    def submit(self, *arguments):
        self.futures.append(future := super().submit(*arguments))
        return future

    def __init__(self, **options):
        super().__init__(**options)
        self.futures = []


def settle(bus):
    """Wait for all handlers, and for those of what they emit."""
    done = bus.flush()
    if bus._executor_initialized:
        concurrent.futures.wait(bus._sync_executor.futures)
    return bus.flush() and done


class Stream:
    """One example: its handlers are the same functions off and on, so that sets keep their order."""

    def __init__(self, example):
        self.example = example
        self.log = []  # of the run in progress
        self.bus = None
        self.waits = all(spec["wait"] for spec in example["events"])
        self.handlers = [self._handler(n, spec) for n, spec in enumerate(example["handlers"])]

    def __repr__(self):
        return repr(self.example)

    def _handler(self, number, spec):
        def step(event, state):
            lane = (event.event_id, spec["async"])
            sequence = event.emission_sequence if self.waits else 0  # it may be emitted again
            self.log.append((lane, number, type(event).__name__, sequence, state, place()))
            if spec["emits"] and type(event) is not llm_events.LLMStreamChunkEvent:
                inner = llm_events.LLMStreamChunkEvent(
                    event_id=f"{event.event_id}/{number}", timestamp=THEN, chunk="", call_id="1"
                )
                self.emit(self.bus, None, inner)
            if spec["fails"] is not None:
                raise spec["fails"](f"{number} failed")

        def two(source, event):
            step(event, None)

        def three(source, event, state):
            step(event, state is not None)

        async def later_two(source, event):
            await asyncio.sleep(0)
            step(event, None)

        async def later_three(source, event, state):
            step(event, state is not None)

        plain = {2: two, 3: three}, {2: later_two, 3: later_three}
        made = plain[spec["async"]][spec["takes"]]
        made.__name__ = made.__qualname__ = f"handler{number}"
        return made

    def _register(self, bus):
        specs = self.example["handlers"]
        for number, (spec, handler) in enumerate(zip(specs, self.handlers, strict=True)):
            after = spec["after"]
            depends = None
            if after is not None and after < number and specs[after]["kind"] == spec["kind"]:
                depends = Depends(self.handlers[after])
            bus.on(TYPES[spec["kind"]], depends)(handler)

    def run(self, emit):
        """Everything that can be seen of the stream, emitted with ``emit(bus, source, event)``."""
        self.emit = emit
        self.log = []
        self.bus = bus = own_bus()
        printed = []
        bus._console = SimpleNamespace(print=printed.append)
        console = SimpleNamespace(print=lambda text: printed.append(f"scope: {text}"))
        try:
            with (
                mock.patch.object(event_context, "_console", console),
                mock.patch.object(event_bus, "ThreadPoolExecutor", Pool),
            ):
                self._register(bus)
                seen = contextvars.Context().run(self._emit_all, bus)
                flushed = settle(bus)
        finally:
            bus.shutdown()
        lanes = {}
        for lane, *entry in self.log:
            lanes.setdefault(repr(lane), []).append(entry)
        if not self.waits:
            lanes = {lane: sorted(map(repr, entries)) for lane, entries in lanes.items()}
        return {
            "lanes": lanes,
            "printed": sorted(printed) if len(printed) > 1 else printed,
            "tables": (len(bus._sync_handlers), len(bus._async_handlers)),
            "flushed": flushed,
            "pending": bus._has_pending_events,
            "idle lock": (bus._rwlock._readers, bus._rwlock._writer),
            **seen,
        }

    def _emit_all(self, bus):
        example = self.example
        if example["strict"]:
            behaviour = event_context.MismatchBehavior.RAISE
            event_context._event_context_config.set(
                event_context.EventContextConfig(3, behaviour, behaviour)
            )
        state = RuntimeState(root=[]) if example["state"] else None
        if state is not None:
            bus.set_runtime_state(state)
        sources = {
            "object": SimpleNamespace(),
            "none": None,
            "agent": SimpleNamespace(entity_type="agent", crew=None),
            "flow": SimpleNamespace(entity_type="flow"),
        }
        if state is not None:  # nothing but the record is looked at
            bus._registered_entity_ids = {id(source) for source in sources.values()}
        results, sunk, emitted = [], [], []
        for number, spec in enumerate(example["events"]):
            if number == example["drop"] and self.handlers:
                bus.off(TYPES[example["handlers"][0]["kind"]], self.handlers[0])
            if number == example["shutdown"]:
                bus._shutting_down = True
            again = spec["how"] == "again" and emitted
            event = emitted[-1] if again else make_event(spec)
            emitted.append(event)
            results.append(self._one(bus, sources[spec["source"]], event, spec, sunk))
            results.append(place())
        bus._shutting_down = False
        return {
            "results": results,
            "sunk": sunk,
            "events": [(e.__dict__, sorted(e.__pydantic_fields_set__)) for e in emitted],
            "record": None if state is None else contents(state.event_record),
        }

    def _one(self, bus, source, event, spec, sunk):
        how, token = spec["how"], None
        try:
            if how == "sink":
                token = stream_context.add_stream_sink(lambda _, e: sunk.append(dict(e.__dict__)))
            if how == "aemit":
                asyncio.run(bus.aemit(source, event))
                return None
            if how == "replay":
                future = bus.replay(source, event)
            elif how == "inside":
                future = contextvars.copy_context().run(self.emit, bus, source, event)
            else:
                future = self.emit(bus, source, event)
            if future is not None and spec["wait"]:
                settle(bus)
                return future.result(), future.done()
            return type(future).__name__
        except Exception as error:
            return type(error), str(error)
        finally:
            if token is not None:
                stream_context.reset_stream_sinks(token)


def own_bus():
    bus = object.__new__(CrewAIEventsBus)
    bus._initialize()
    return bus


def contents(record):
    """Nodes and edges in their order, and what a checkpoint makes of them."""
    nodes = [
        (key, type(node), vars(node), node.__pydantic_fields_set__, node.__pydantic_extra__)
        for key, node in record.nodes.items()
    ]
    private = [node.__pydantic_private__ for node in record.nodes.values()]
    lock = record._lock
    try:
        text = record.model_dump_json()
        restored = EventRecord.model_validate_json(text)
        kept = (text, [list(restored.nodes), restored.model_dump_json()])
    except Exception as error:
        kept = type(error), str(error)
    return repr(nodes), private, kept, (lock._readers, lock._writer)


def emitted(function, example):
    """``CrewAIEventsBus.emit`` alone, with handlers of both kinds, or CrewAI's own."""
    kind, inner = example
    if kind == "stream":
        return inner.run(function)
    return listened(function, inner)


# ---------------------------------------------------------------- CrewAI's own listeners

TOOL = {"tool_name": "t", "tool_args": {"a": 1}, "timestamp": THEN}
FAILURE = ToolFailure(message="m")
own_events = st.sampled_from(
    [
        lambda: logging_events.AgentLogsStartedEvent(agent_role="r"),
        lambda: logging_events.AgentLogsStartedEvent(agent_role="r", verbose=True),
        lambda: logging_events.AgentLogsExecutionEvent(agent_role="r", formatted_answer=1),
        lambda: logging_events.AgentLogsExecutionEvent(
            agent_role="r", formatted_answer=AgentFinish("a", "b", "c"), verbose=True
        ),
        lambda: logging_events.AgentLogsExecutionEvent.model_construct(verbose=False),
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
)
CHANGES = [
    *[None] * 6,
    "a handler more",
    "an async handler more",
    "another formatter",
    "a formatter's method",
    "a formatter's own method",
    "a formatter's class",
    "a safe call of its own",
    "a handler's signature",
    "the uuid's getter",
    "the pool",
    "closed",
    "the listener's LLM",
]
listenings = st.fixed_dictionaries(
    {
        "events": st.lists(own_events, min_size=1, max_size=4),
        "verbose": st.sampled_from([False, False, True, 0]),
        "uuid": st.sampled_from(["u", "u", None]),
        "source": st.sampled_from(["object", "object", "LLM"]),
        "change": st.sampled_from(CHANGES),
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
                    log.append(future if future is None else future.result())
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


# ------------------------------------------------------------------------------- the record

links = st.tuples(ids, ids, ids, ids)
additions = st.fixed_dictionaries(
    {
        "what": st.sampled_from(
            [*["event"] * 8, "again", "bare", "dict", "number", "mock", "other", "assigned"]
        ),
        "id": st.sampled_from(IDS),
        "links": links,
    }
)
records = st.fixed_dictionaries(
    {
        "adds": st.lists(additions, min_size=1, max_size=8),
        "kind": st.sampled_from(
            [
                *["plain"] * 10,
                "subclass",
                "own lock",
                "lock's method",
                "lock's class",
                "own node",
                "own edges",
                "own init",
                "a mapping",
            ]
        ),
    }
)


def addition(spec, former):
    fields = ("parent_event_id", "triggered_by_event_id", "previous_event_id", "started_event_id")
    values = dict(zip(fields, spec["links"], strict=True))
    values |= {"event_id": spec["id"], "timestamp": THEN}
    kinds = {"event": Mine, "other": Other, "assigned": Assigned}
    what = spec["what"]
    if what in kinds:
        return kinds[what](**values)
    if what == "again" and former:
        return former[-1]
    if what == "bare":
        made = Mine.model_construct(**values)
        del made.__dict__["previous_event_id"]
        return made
    if what == "dict":
        return {"type": "mine", "event_id": spec["id"]}
    return mock.Mock(spec=Mine) if what == "mock" else 7


def recorded(function, example):
    """``EventRecord.add`` of each event: nodes, edges, errors, and what the lock is after it."""
    log, seen, former = [], [], []
    kind = example["kind"]
    record = EventRecord()

    class OwnLock(RWLock):
        def w_acquire(self):
            log.append("acquired")
            super().w_acquire()

    class OwnNode(EventNode):
        def add_edge(self, edge_type, target_id):
            log.append((edge_type, target_id))
            super().add_edge(edge_type, target_id)

    def noting(method):
        def noted(self, *arguments, **options):
            log.append(method.__name__)
            return method(self, *arguments, **options)

        return noted

    if kind == "subclass":
        record = type("Own", (EventRecord,), {})()
    if kind == "own lock":
        record._lock = OwnLock()
    elif kind == "lock's method":
        record._lock.w_locked = lambda: noting(RWLock.w_locked)(record._lock)
    elif kind == "a mapping":
        record.nodes = Logged(log)
    patches = {
        "lock's class": lambda: mock.patch.object(RWLock, "w_locked", noting(RWLock.w_locked)),
        "own node": lambda: mock.patch.object(event_record, "EventNode", OwnNode),
        "own edges": lambda: mock.patch.object(EventNode, "add_edge", noting(EventNode.add_edge)),
        "own init": lambda: mock.patch.object(EventNode, "__init__", noting(EventNode.__init__)),
    }
    with patches.get(kind, contextlib.nullcontext)():
        for spec in example["adds"]:
            event = addition(spec, former)
            former.append(event)
            try:
                node = function(record, event)
                seen.append((node.event is event, node is record.nodes[event.event_id]))
            except Exception as error:
                text = re.sub(r"id='\d+'|0x[0-9a-f]+", "", str(error))
                seen.append((type(error), text))
            seen.append((record._lock._readers, record._lock._writer))
    if any(isinstance(event, mock.Mock) for event in former):
        return seen, log, len(record.nodes)
    return seen, log, contents(record)


class Logged(dict):
    """Nodes that note what is asked of them."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def __setitem__(self, key, value):
        self.log.append(("set", key))
        super().__setitem__(key, value)

    def __getitem__(self, key):
        self.log.append(("get", key))
        return super().__getitem__(key)

    def __contains__(self, key):
        self.log.append(("has", key))
        return super().__contains__(key)
