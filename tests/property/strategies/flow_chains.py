"""Whole runs of flows of plain functions, seen by all that a user has to see them with."""

import asyncio
import contextlib
import contextvars
import importlib
import logging
from types import SimpleNamespace

from crewai.events import event_bus, stream_context
from crewai.events.event_context import get_triggering_event_id
from crewai.events.types import flow_events
from crewai.flow import runtime
from crewai.flow.flow_context import current_flow_method_name
from hypothesis import strategies as st
from pydantic import BaseModel, field_serializer

from strategies import flow_runs
from strategies.flow_runs import Plain, place, variable

dispatch = importlib.import_module("crewai.hooks.dispatch")  # the package has such a function
POINTS = (dispatch.InterceptionPoint.PRE_STEP, dispatch.InterceptionPoint.POST_STEP)
EVENTS = (
    flow_events.FlowStartedEvent,
    flow_events.MethodExecutionStartedEvent,
    flow_events.MethodExecutionFinishedEvent,
    flow_events.MethodExecutionFailedEvent,
    flow_events.FlowFinishedEvent,
    flow_events.FlowFailedEvent,
)
IDS = ("event_id", "parent_event_id", "previous_event_id")
IDS += ("triggered_by_event_id", "started_event_id")
places = []  # where code of the user's ran that the engine calls


class Noisy:
    """A part of a state that tells where it is copied; a result that tells where it is printed."""

    def __init__(self, text="x"):
        self.text = text

    def __deepcopy__(self, memo):
        places.append(("copied", place()))
        return Noisy(self.text)

    def __str__(self):
        places.append(("printed", place()))
        return self.text

    def __repr__(self):
        return f"Noisy({self.text})"

    def __eq__(self, other):
        return type(other) is Noisy and other.text == self.text

    def __hash__(self):
        return hash(self.text)


class Item(BaseModel):
    count: int = 0


class Model(BaseModel):
    """A state that is a model; what the methods read and write is a mapping's."""

    id: str = ""
    seen: list[str] = []
    items: list[Item] = [Item(), Item(count=1)]

    def get(self, name, default=None):
        return getattr(self, name, default)

    def __getitem__(self, name):
        return getattr(self, name)

    def __setitem__(self, name, value):
        setattr(self, name, value)

    def keys(self):
        return ["id", "seen", "items"]


class Serializing(Model):
    @field_serializer("seen")
    def show_seen(self, seen):
        places.append(("dumped", place()))
        return list(seen)


class Copying(Model):
    def model_copy(self, *, update=None, deep=False):
        places.append(("model copied", place()))
        return super().model_copy(update=update, deep=deep)


class Nested(Model):
    inner: Serializing = Serializing()


STATES = {
    "dict": lambda: {"id": "0", "deep": {"list": [1, ("a", 2.5), {"b": {3}}]}},
    "model": Model,
    "noisy": lambda: {"id": "0", "noisy": [{"a": Noisy()}]},
    "not a name": lambda: {"id": "0", Noisy(): 1},
    "serializing": Serializing,
    "copying": Copying,
    "nested": Nested,
}
WATCHERS = ["hooks", "hooks later", "scoped hooks", "sink", "emit", "emit later", "no emit"]

results = st.lists(
    st.sampled_from(["x", "y", "x", "y", None, 1, True, ValueError, Noisy()]),
    min_size=1,
    max_size=3,
)
kinds = st.sampled_from(["sync"] * 9 + ["returns a coroutine"])
methods = flow_runs.methods(results).flatmap(lambda m: kinds.map(lambda kind: m | {"kind": kind}))
extra = st.fixed_dictionaries(
    {
        "state": st.sampled_from(["dict"] * 6 + ["model"] * 6 + list(STATES)),
        "watcher": st.sampled_from([None] * 14 + WATCHERS),
        "asynchronous": st.booleans(),
    }
)


def with_extra(tables):
    return tables.flatmap(lambda table: extra.map(lambda more: table | more))


sequential = with_extra(flow_runs.tables(methods).filter(flow_runs.one_at_a_time))
# Without persistence: a state that can't be saved ends a method while others may still begin.
side_by_side = with_extra(
    flow_runs.side_by_side.map(
        lambda table: (
            table
            | {"persist": None}
            | {
                "methods": {
                    name: m | {"kind": "sync", "persist": None}
                    for name, m in table["methods"].items()
                }
            }
        )
    )
)


def hook(log):
    def seen(context):
        log.append(("hook", context.step_name, repr(context.payload), variable.get(), place()))

    return seen


@contextlib.contextmanager
def watched(watcher, log, flow):
    """Somebody who looks at the engine from its own thread; "later" from the second method on."""
    bus, function = event_bus.crewai_event_bus, hook(log)
    emit = bus.emit

    def emitting(source, event):
        log.append(("emitted", event.type, place()))
        return None if watcher == "no emit" else emit(source, event)

    def watch():
        if watcher in ("hooks", "hooks later"):
            for point in POINTS:
                dispatch._global_hooks[point].append(function)
        elif watcher in ("emit", "emit later", "no emit"):
            bus.emit = emitting

    if watcher and watcher.endswith("later"):
        calls = []

        def second(inner):
            def method(*arguments):
                calls.append(1)
                if len(calls) == 2:
                    watch()
                return inner(*arguments)

            def with_value(value=None):
                return method(value)

            def without():
                return method()

            return with_value if inner.__code__.co_argcount else without

        flow._methods = {name: second(inner) for name, inner in flow._methods.items()}
    else:
        watch()
    try:
        yield
    finally:
        vars(bus).pop("emit", None)
        for point in POINTS:
            dispatch._global_hooks[point][:] = [
                kept for kept in dispatch._global_hooks[point] if kept is not function
            ]


@contextlib.contextmanager
def listening(events):
    """Every event of the flow, with the context that its listeners see."""
    bus = event_bus.crewai_event_bus

    def listener(source, event):
        seen = (variable.get(), current_flow_method_name.get(), get_triggering_event_id())
        events.append((event.emission_sequence or 0, event, seen))

    for kind in EVENTS:
        bus.on(kind)(listener)
    try:
        yield
    finally:
        bus.flush()
        for kind in EVENTS:
            bus.off(kind, listener)


def readable(events):
    """The events in their order; ids are numbers in the order in which they come."""
    numbers = {None: None}
    first = min((sequence for sequence, *_ in events), default=0)
    told = []
    for _, event, (value, method, trigger) in sorted(events, key=lambda one: one[0]):
        fields = {name: getattr(event, name) for name in type(event).model_fields}
        for name in IDS:
            fields[name] = numbers.setdefault(fields[name], len(numbers))
        fields["emission_sequence"] -= first
        del fields["timestamp"]
        if type(fields.get("state")) is BaseModel:  # of a dict without names; it has no repr
            fields["state"] = "bare"
        if isinstance(fields.get("state"), dict):
            fields["state"] = {**fields["state"], "id": 0}
        told.append((type(event).__name__, repr(fields), value, method, numbers.get(trigger, -1)))
    return told


def start(flow, table, log):
    """Run it; scoped watchers are there only for this run."""
    watcher = table["watcher"]

    def run():
        variable.set("outside")
        if watcher == "sink":
            stream_context.add_stream_sink(
                lambda source, event: log.append(("sink", event.type, place()))
            )
        if watcher == "scoped hooks":
            dispatch._scoped_hooks_var.set({point: [hook(log)] for point in POINTS})
        if table["asynchronous"]:
            return asyncio.run(flow.kickoff_async())
        return flow.kickoff()

    return contextvars.copy_context().run(run)


def outcome(flow, table, log):
    try:
        return repr(start(flow, table, log))
    except Exception as error:
        return type(error), str(error), error.__context__ is None


def built(table, log):
    flow = flow_runs.build(table, log)
    flow._state = STATES[table["state"]]()
    return flow


def whole(table, run=outcome):
    """All there is to see of a run."""
    log, events = [], []
    places.clear()
    flow = built(table, log)
    runtime.logger.setLevel(logging.DEBUG)
    with listening(events), watched(table["watcher"], log, flow), flow_runs.logged(log):
        ended = run(flow, table, log)
    return SimpleNamespace(
        log=log,
        events=readable(events),
        ended=ended,
        left=flow_runs.left(flow) | {"state": repr(dict(flow.state) | {"id": 0})},
        places=list(places),
    )


def one_listener(function, table):
    """``Flow._execute_single_listener`` alone, from the first method on."""

    def run(flow, table, log):
        async def awaited():
            variable.set("outside")
            try:
                result, event = await function(flow, flow_runs.NAMES[0], 1)
                return repr(result), event is None, variable.get()
            except Exception as error:
                return type(error), str(error), variable.get()

        return asyncio.run(awaited())

    return vars(whole(table, run))


__all__ = ["Plain", "one_listener", "sequential", "side_by_side", "whole"]
