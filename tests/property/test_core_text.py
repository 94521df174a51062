"""`_core`'s text functions against CrewAI's own."""

from collections import Counter

import pytest
from crewai.utilities.string_utils import interpolate_only, sanitize_tool_name
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from strategies.data import outcome
from strategies.texts import Loud, cyclic, inputs, names, templates

from fast_crewai import _core

SETTINGS = settings(
    max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


def compare(counts, fast, original, *args):
    """Equal outcome, or declined; an error of the original must have been declined."""
    expected = outcome(original, *args)
    try:
        result = fast(*args)
    except _core.Declined as reason:
        assert len(reason.args[0]) < 60
        counts["declined"] += 1
        return None
    counts["served"] += 1
    assert (type(result), repr(result)) == expected
    return result


def assert_mostly_served(counts, share):
    assert counts["served"] >= share * counts.total(), counts


def test_sanitize_tool_name():
    counts = Counter()

    @SETTINGS
    @given(names, st.sampled_from([64, 64, 64, 200, 10, 0, -3, True, 2**70]))
    def check(name, max_length):
        compare(counts, _core.sanitize_tool_name, sanitize_tool_name, name, max_length)

    check()
    assert_mostly_served(counts, 0.3)


def test_interpolate():
    counts = Counter()

    @SETTINGS
    @given(templates, inputs)
    @example("{{a}}{b}", {"a": "b", "b": "{a}"})
    @example("{b{c}{b}", {"b": "B", "c": "}"})
    @example("{a}{a}{a}", {"a": "{a}{a}"})
    @example("x{a}", {"a": [Loud()]})
    @example("x{a}", {"a": {Loud(): 1}})
    @example("no braces", {})
    @example("{a}", {})
    @example("}", {"a": 1})
    @example("{a}", cyclic())
    def check(template, values):
        result = compare(counts, _core.interpolate, interpolate_only, template, values)
        if result is not None:
            same = interpolate_only(template, values) is template
            assert (result is template) == same

    check()
    assert_mostly_served(counts, 0.3)


def test_values_that_join_or_contain_placeholders_are_served():
    joined = _core.interpolate("{{a}} {b}", {"a": "b", "b": "B"})
    assert joined == interpolate_only("{{a}} {b}", {"a": "b", "b": "B"}) == "B B"


def test_identity_and_empty_results():
    text = "".join(["plain", " text"])
    assert _core.interpolate(text, {}) is text
    json = "".join(['{"a": ', "1}"])
    assert _core.interpolate(json, {"a": 1}) is json
    assert _core.interpolate(None, {"a": 1}) == _core.interpolate("", {}) == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("{missing}", {"a": 1}),
        ("{a}", {"a": object()}),
        ("{a}", {"a": (1,)}),
        ("{a}", []),
        (b"{a}", {"a": 1}),
        ("{a}" * 40, {"a": "{a}{a}"}),
    ],
)
def test_interpolate_declines(arguments):
    with pytest.raises(_core.Declined):
        _core.interpolate(*arguments)
