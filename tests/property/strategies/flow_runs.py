"""Whole runs of random flows: what ran, in which kind of thread, what was left and emitted."""

import asyncio
import contextlib
import contextvars
import logging
import re
import threading
from unittest import mock

from crewai.agents import agent_executor
from crewai.flow import runtime
from crewai.flow.flow import Flow
from crewai.flow.flow_context import current_flow_method_name
from crewai.flow.flow_definition import FlowMethodDefinition, FlowPersistenceDefinition
from crewai.flow.types import FlowMethodName
from hypothesis import strategies as st

from strategies import flows

LABELS = ["x", "y"]
NAMES = [f"m{i}" for i in range(6)]
MOST_CALLS = 4  # of one method: then it fails, because conditional starts have no limit

variable = contextvars.ContextVar("variable", default="unset")


class Plain(Flow):
    _skip_auto_memory: bool = True


class Store:
    """A persistence backend; what it saved, in which thread."""

    def __init__(self, log, fails):
        self.log = log
        self.fails = fails

    def save_state(self, flow_uuid, method_name, state_data):
        self.log.append(("saved", str(method_name), dict(state_data) | {"id": 0}, place()))
        if self.fails:
            raise OSError("disk full")


def place():
    """The kind of thread, and whether code in it sees a running loop."""
    try:
        asyncio.get_running_loop()
        looped = True
    except RuntimeError:
        looped = False
    return re.split(r"[-_]", threading.current_thread().name)[0], looped


def action(flow, log, name, kind, results, takes):
    """A method's function: ``results`` are what its calls return or raise, one after the other."""
    calls = []

    def step(*arguments):
        calls.append(arguments)
        seen = (variable.get(), current_flow_method_name.get())
        variable.set(name)
        log.append((name, arguments, place(), seen))
        flow.state["seen"] = [*flow.state.get("seen", []), name]
        if len(calls) > MOST_CALLS:
            raise LookupError("called too often")
        result = results[(len(calls) - 1) % len(results)]
        if isinstance(result, type) and issubclass(result, BaseException):
            raise result(name)
        return result

    async def waits(*arguments):
        result = step(*arguments)
        if kind != "async at once":
            await asyncio.sleep(0)
        return result

    if kind == "sync":
        return (lambda value=None: step(value)) if takes else (lambda: step())
    if kind == "returns a coroutine":
        return (lambda value=None: waits(value)) if takes else (lambda: waits())

    async def with_value(value=None):
        return await waits(value)

    async def without():
        return await waits()

    return with_value if takes else without


results = st.lists(
    st.sampled_from([*LABELS, *LABELS, None, 1, ValueError, TypeError]), min_size=1, max_size=3
)
kinds = st.sampled_from(["sync", "sync", "async", "async at once", "returns a coroutine"])
persists = st.none() | st.builds(lambda enabled: {"enabled": enabled}, st.booleans())
conditions = st.recursive(
    st.sampled_from([*NAMES, *LABELS]),
    lambda c: st.builds(
        lambda key, branches: {key: branches},
        st.sampled_from(["and", "or"]),
        st.lists(c, min_size=1, max_size=3),
    ),
    max_leaves=4,
)


def methods(some_results=results, some_conditions=conditions):
    return st.fixed_dictionaries(
        {
            "kind": kinds,
            "results": some_results,
            "takes": st.booleans(),
            "persist": persists,
            "listen": some_conditions,
            "router": st.booleans(),
            "start": st.sampled_from([None, None, None, *LABELS]),
        }
    )


def events_of(condition):
    if isinstance(condition, str):
        return {condition}
    return {event for branches in condition.values() for c in branches for event in events_of(c)}


def one_at_a_time(example):
    """Whether no event can start two methods side by side."""
    table = list(example["methods"].values())[1:]
    for event in [*NAMES, *LABELS]:
        listeners = [m for m in table if not m["router"] and event in events_of(m["listen"])]
        if len(listeners) > 1:
            return False
    return True


def tables(method):
    return st.fixed_dictionaries(
        {
            "methods": st.lists(method, min_size=1, max_size=6).map(
                lambda found: dict(zip(NAMES, found, strict=False))
            ),
            "persist": persists,
            "fails": st.sampled_from([False, False, False, True]),
            "silent": st.booleans(),
            "most": st.sampled_from([2, 3, 100]),
        }
    )


sequential = tables(methods()).filter(one_at_a_time)
side_by_side = tables(
    methods(
        st.sampled_from([[None], ["x"], [1]]),
        st.sampled_from(NAMES[:3]) | st.just({"and": ["m0", "m1"]}),
    ).map(lambda m: m | {"router": False, "start": None})
).map(lambda example: example | {"fails": False})


def persistence(value, store):
    return None if value is None else FlowPersistenceDefinition(**value, persistence=store)


def build(example, log, owner=Plain):
    """A flow of the example; the first method starts it, the others listen."""
    flow = owner(suppress_flow_events=example["silent"], max_method_calls=example["most"])
    store = Store(log, example["fails"])
    table = {}
    for name, method in example["methods"].items():
        first = name == NAMES[0]
        table[name] = FlowMethodDefinition(
            do=flows.DO,
            listen=None if first else method["listen"],
            router=not first and method["router"],
            start=True if first else method["start"],
            persist=persistence(method["persist"], store),
        )
    flow._definition = flows.definition(table)
    flow._definition.persist = persistence(example["persist"], store)
    for one in (flow._definition, *table.values()):
        if one.persist is not None:
            flow._persist_backends[id(one.persist)] = store
    flow._methods = {
        FlowMethodName(name): action(
            flow, log, name, method["kind"], method["results"], method["takes"]
        )
        for name, method in example["methods"].items()
    }
    return flow


def left(flow):
    return {
        "state": dict(flow.state) | {"id": 0},
        "outputs": list(flow._method_outputs),
        "completed": sorted(map(str, flow._completed_methods)),
        "pending": flows.state(flow),
        "calls": dict(flow._method_call_counts),
        "executions": dict(flow._method_execution_counts),
    }


def one_method(function, example):
    """``Flow._execute_method`` alone: what it returns, and everything it did."""
    log = []
    flow = build(example, log)

    async def awaited():
        token = variable.set("outside")
        try:
            result, event_id = await function(flow, NAMES[0], flow._methods[NAMES[0]])
            return repr(result), event_id is None
        except Exception as error:
            return type(error), str(error), error.__context__ is None
        finally:
            log.append(variable.get())
            variable.reset(token)

    return asyncio.run(awaited()), log, left(flow)


def from_start(function, example):
    """``Flow._execute_start_method`` of a flow that passes for CrewAI's agent executor."""
    log = []
    flow = build(example | {"silent": True}, log)

    async def awaited():
        try:
            return await function(flow, NAMES[0]), variable.get()
        except Exception as error:
            return type(error), str(error), error.__context__ is None

    with passing_for_the_executor(), logged(log):
        return asyncio.run(awaited()), log, left(flow)


def passing_for_the_executor(owner=Plain):
    return mock.patch.object(agent_executor, "AgentExecutor", owner)


@contextlib.contextmanager
def logged(log):
    """What the engine logs, and where."""
    handler = logging.Handler()
    handler.emit = lambda record: log.append(("logged", record.getMessage(), place()))
    runtime.logger.addHandler(handler)
    try:
        yield
    finally:
        runtime.logger.removeHandler(handler)


def run(example, owner=Plain):
    """(log of methods, savings and events; result or exception; what is left in the flow)."""
    log = []
    bus = runtime.crewai_event_bus
    emit = type(bus).emit

    def emitting(self, source, event):
        name = getattr(event, "method_name", None)
        state = (
            {**state, "id": 0} if isinstance(state := getattr(event, "state", None), dict) else 0
        )
        log.append((event.type, name, state, repr(getattr(event, "result", None)), place()))
        return emit(self, source, event)

    flow = build(example, log, owner)
    with mock.patch.object(type(bus), "emit", emitting), logged(log):
        try:
            ended = repr(flow.kickoff())
        except Exception as error:
            ended = type(error), str(error)
    return log, ended, left(flow)
