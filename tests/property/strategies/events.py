"""Random streams of events on a bus of their own, and what handlers, record and console see."""

import asyncio
import concurrent.futures
import contextvars
import datetime
import re
import threading
from types import SimpleNamespace
from unittest import mock

from crewai import RuntimeState
from crewai.events import event_bus, event_context, stream_context
from crewai.events.base_events import BaseEvent
from crewai.events.depends import Depends
from crewai.events.event_bus import CrewAIEventsBus
from crewai.events.types import llm_events
from crewai.state.event_record import EventRecord
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
    """One example; its handlers stay the same functions, so that sets keep their order."""

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

        def print_error(text):
            if "during flush" in text:  # only of what hasn't ended by then
                return
            readers = bus._rwlock._readers if "shutdown" in text else 0
            printed.append(f"{text} {readers}")

        bus._console = SimpleNamespace(print=print_error)
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
