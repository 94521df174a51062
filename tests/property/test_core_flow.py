"""`_core`'s trigger search against CrewAI's own, on twins: the list and all private state."""

import os

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OTEL_SDK_DISABLED", "true")

import copy
import warnings
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fast_crewai import _core

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # CrewAI's own imports warn
    from crewai.flow.flow import Flow, and_, listen, or_, router, start
    from crewai.flow.flow_definition import FlowDefinition, FlowMethodDefinition

SETTINGS = settings(
    max_examples=800, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
DO = {"call": "expression", "expr": "state"}
EVENTS = ["a", "b", "c", "d", "m0", "m1", "m2", "é", ""]


class Text(str):
    pass


class Plain(Flow):
    """A flow whose definition and private state the tests set."""


def definition(methods):
    return FlowDefinition.model_construct(name="flow", methods=methods)


def method(listen_to=None, is_router=False, start_on=None, check=True):
    build = FlowMethodDefinition if check else FlowMethodDefinition.model_construct
    return build(do=DO, listen=listen_to, router=is_router, start=start_on)


@pytest.fixture(scope="module")
def twins():
    return Plain(), Plain()


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


def search(flow, trigger, router_only, counts):
    """The fast search, or the original after a refusal that changed nothing."""
    before = state(flow)
    try:
        found = _core.find_triggered_methods(flow, trigger, router_only)
    except _core.Declined as reason:
        assert len(reason.args[0]) < 60
        assert state(flow) == before
        counts["declined"] += 1
        return outcome(Flow._find_triggered_methods, flow, trigger, router_only)
    counts["served"] += 1
    return found


def run(twins, methods, program, counts):
    fast, slow = twins
    reset(fast, methods)
    reset(slow, methods)
    for step, first, second in program:
        if step != "find":
            prepare(fast, step, first, second)
            prepare(slow, step, first, second)
            continue
        expected = outcome(Flow._find_triggered_methods, slow, first, second)
        assert search(fast, first, second, counts) == expected
        assert state(fast) == state(slow)


def test_plain_definitions(twins):
    counts = Counter()

    @SETTINGS
    @given(plain_tables, steps)
    def check(methods, program):
        run(twins, methods, program, counts)

    check()
    assert counts["served"] >= 0.4 * counts.total(), counts


def test_odd_definitions(twins):
    counts = Counter()

    @SETTINGS
    @given(odd_tables, steps)
    def check(methods, program):
        run(twins, methods, program, counts)

    check()
    assert counts["served"] >= 0.1 * counts.total(), counts


def test_start_method_names(twins):
    counts = Counter()

    @SETTINGS
    @given(plain_tables | odd_tables)
    def check(methods):
        flow = twins[0]
        reset(flow, methods)
        try:
            found = _core.start_method_names(flow)
        except _core.Declined:
            counts["declined"] += 1
        else:
            counts["served"] += 1
            assert found == Flow._start_method_names(flow)

    check()
    assert counts["served"] >= 0.5 * counts.total(), counts


class Decorated(Flow):
    @start()
    def begin(self):
        return 1

    @router(begin)
    def decide(self):
        return "left"

    @listen(or_("left", "right", begin))
    def either(self):
        return 2

    @listen(and_(begin, or_("left", and_("right", either))))
    def both(self):
        return 3

    @start("again")
    def restart(self):
        return 4

    @router(or_(both, "again"))
    def last(self):
        return "done"


def test_a_decorated_flow():
    fast, slow = Decorated(), Decorated()
    counts = Counter()
    assert _core.start_method_names(fast) == slow._start_method_names() == ["begin", "restart"]
    for trigger in ["begin", "left", "right", "either", "both", "again", "left", "begin", "done"]:
        for router_only in (True, False):
            expected = Flow._find_triggered_methods(slow, trigger, router_only)
            assert search(fast, trigger, router_only, counts) == expected
            assert state(fast) == state(slow)
    assert counts == {"served": 18}


def test_deep_conditions_are_declined(twins):
    condition = "a"
    for _ in range(200):
        condition = {"and": [condition]}
    reset(twins[0], {"m": method(condition)})
    with pytest.raises(_core.Declined):
        _core.find_triggered_methods(twins[0], "a", False)
    assert twins[0]._pending_events == {}


def test_shadowed_or_missing_state_is_declined(twins):
    class Shadowed(Flow):
        @property
        def _pending_events(self):
            return {}

    flow = Shadowed()
    with pytest.raises(_core.Declined, match="shadowed"):
        _core.find_triggered_methods(flow, "a", False)
    for broken in (object(), Flow.__new__(Flow), Plain.model_construct, Plain):
        with pytest.raises(_core.Declined):
            _core.find_triggered_methods(broken, "a", False)
        with pytest.raises(_core.Declined):
            _core.start_method_names(broken)


@pytest.mark.parametrize(
    ("name", "value"),
    [("_pending_events", Counter()), ("_fired_or_listeners", frozenset()), ("_definition", None)],
)
def test_state_of_other_types_is_declined(name, value):
    flow = Plain()
    reset(flow, {"m": method("a")})
    setattr(flow, name, value)
    with pytest.raises(_core.Declined):
        _core.find_triggered_methods(flow, "a", False)


def test_the_pending_sets_are_kept_not_replaced(twins):
    flow = twins[0]
    reset(flow, {"m": method({"and": ["a", "b"]})})
    _core.find_triggered_methods(flow, "a", False)
    seen = flow._pending_events["m"]
    _core.find_triggered_methods(flow, "c", False)
    assert flow._pending_events["m"] is seen == {"a", "c"}
    assert _core.find_triggered_methods(flow, "b", False) == ["m"]
    assert flow._pending_events == {}
    assert seen == {"a", "b", "c"}
