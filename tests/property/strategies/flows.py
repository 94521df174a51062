"""Flow definitions, and what happens to a flow between two searches for triggered methods."""

import copy

from crewai.flow.flow import Flow
from crewai.flow.flow_definition import FlowDefinition, FlowMethodDefinition
from hypothesis import strategies as st

from strategies.data import Text

DO = {"call": "expression", "expr": "state"}
EVENTS = ["a", "b", "c", "d", "m0", "m1", "m2", "é", ""]


class Plain(Flow):
    """A flow whose definition and private state the tests set."""


def definition(methods):
    return FlowDefinition.model_construct(name="flow", methods=methods)


def method(listen_to=None, is_router=False, start_on=None, check=True):
    build = FlowMethodDefinition if check else FlowMethodDefinition.model_construct
    return build(do=DO, listen=listen_to, router=is_router, start=start_on)


def reset(flow, methods):
    flow._definition = definition(methods)
    flow._pending_events = {}
    flow._fired_or_listeners = set()


def state(flow):
    """`_pending_events` with its order, and what has fired."""
    pending = [(key, type(seen), sorted(seen, key=repr)) for key, seen in _pending(flow)]
    return pending, sorted(flow._fired_or_listeners, key=repr)


def _pending(flow):
    items = flow._pending_events.items()
    return [(key, seen if isinstance(seen, (set, frozenset)) else [seen]) for key, seen in items]


def outcome(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return type(error), str(error)


events = st.sampled_from(EVENTS)
conditions = st.recursive(
    events,
    lambda c: st.builds(
        lambda key, branches: {key: branches},
        st.sampled_from(["and", "or", "or"]),
        st.lists(c, max_size=4),
    ),
    max_leaves=8,
)
odd_conditions = st.sampled_from(
    [
        {},
        {"and": ["a"], "or": ["b", "c"]},
        {"or": "ab"},
        {"or": ("a", "b")},
        {"xor": ["a"]},
        {"or": ["a", {"and": None}]},
        {"or": ["a", 1]},
        {"or": [Text("a"), "b"]},
        {"and": ["a"], "type": "x"},
        Text("a"),
        ["a"],
        1,
    ]
)
plain_methods = st.builds(
    method, st.none() | conditions, st.booleans(), st.sampled_from([None, True, False, "a"])
)
odd_methods = st.builds(
    method,
    odd_conditions,
    st.sampled_from([True, False, False, 1, None]),
    st.sampled_from([None, "", {}, 0, []]),
    st.just(False),
)
method_names = st.sampled_from([f"m{i}" for i in range(8)] + ["é"])
plain_tables = st.dictionaries(method_names, plain_methods, max_size=8)
odd_tables = st.dictionaries(
    method_names | st.just(Text("t")), plain_methods | odd_methods, max_size=5
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("find"), events, st.booleans()),
        st.tuples(st.just("find"), events, st.booleans()),
        st.tuples(st.just("find"), events, st.booleans()),
        st.tuples(st.just("find"), st.just(Text("a")) | st.none(), st.booleans()),
        st.tuples(st.just("find"), events, st.sampled_from([0, 1])),
        st.tuples(st.just("discard"), method_names, st.none()),
        st.tuples(st.just("pending"), method_names, st.sets(events, max_size=3)),
        st.tuples(st.just("pending"), method_names, st.frozensets(events, max_size=1)),
        st.tuples(st.just("clear"), st.none(), st.none()),
    ),
    min_size=1,
    max_size=12,
)


def prepare(flow, step, first, second):
    if step == "discard":
        flow._fired_or_listeners.discard(first)
    elif step == "pending":
        flow._pending_events[first] = copy.copy(second)
    elif step == "clear":
        flow._fired_or_listeners.clear()
