"""`_core`'s trigger search against CrewAI's own, on twins: the list and all private state."""

from collections import Counter

import pytest
from crewai.flow.flow import Flow, and_, listen, or_, router, start
from hypothesis import HealthCheck, given, settings
from strategies.flows import (
    Plain,
    method,
    odd_tables,
    outcome,
    plain_tables,
    prepare,
    reset,
    state,
    steps,
)

from fast_crewai import _core

SETTINGS = settings(
    max_examples=800, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.fixture(scope="module")
def twins():
    return Plain(), Plain()


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
