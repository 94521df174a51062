"""`_core`'s text functions against CrewAI's own."""

import os

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OTEL_SDK_DISABLED", "true")

import warnings
from collections import Counter

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fast_crewai import _core

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # CrewAI's own imports warn
    from crewai.utilities.string_utils import interpolate_only, sanitize_tool_name

SETTINGS = settings(
    max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


class Text(str):
    pass


class Loud:
    def __repr__(self):
        return "{a}"


def outcome(function, *args):
    try:
        result = function(*args)
    except Exception as error:
        return type(error), str(error)
    return type(result), repr(result)


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


names = (
    st.text(alphabet="abzABZ019_- '\".\n\t/", max_size=80)
    | st.from_regex(r"([A-Z]{0,3}[a-z]{0,3}['\"_ -]{0,2}[0-9]?){0,8}", fullmatch=True)
    | st.text(max_size=40)
    | st.text(alphabet=st.characters(), max_size=20)
    | st.just("AB'Cd\"E").map(Text)
)


def test_sanitize_tool_name():
    counts = Counter()

    @SETTINGS
    @given(names, st.sampled_from([64, 64, 64, 200, 10, 0, -3, True, 2**70]))
    def check(name, max_length):
        compare(counts, _core.sanitize_tool_name, sanitize_tool_name, name, max_length)

    check()
    assert_mostly_served(counts, 0.3)


placeholders = ["{a}", "{b}", "{c}", "{a-1}", "{_x}", "{{a}}"]
fragments = ["{", "}", "{{", "}}", "{}", "{a", "a}", "{1}", "{a }", "{é}", '{"k": "', '"}']
letters = ["a", "b", "c", "-", "_", " ", "é", "\U0001f600", "\n", "\ud800"]
pieces = st.sampled_from([*placeholders, *fragments, *letters])
templates = (
    st.lists(pieces, max_size=10).map("".join)
    | st.lists(pieces.filter("\ud800".__ne__), max_size=8).map("".join)
    | st.none()
    | st.just("{a} x").map(Text)
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.lists(pieces, max_size=3).map("".join)
)
odd = st.sampled_from([Text("{b}"), Loud(), (1, 2), {1, 2}, b"x", 10**5000])
keys = st.text(max_size=3) | st.integers() | st.none() | st.just(Text("k"))
values = st.recursive(
    leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v, max_size=3), max_leaves=6
)
plain_inputs = st.fixed_dictionaries(
    {"a": values, "b": leaves, "c": values}, optional={"a-1": leaves, "_x": leaves}
)
inputs = plain_inputs | st.dictionaries(st.sampled_from("abc") | keys, values | odd, max_size=4)


def cyclic():
    loop = {"a": "x"}
    loop["b"] = [loop]
    return loop


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
