"""`_core.to_serializable` against CrewAI's own."""

import json
from collections import Counter, OrderedDict

import pytest
from crewai.utilities.serialization import to_serializable
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from strategies.data import Bad, Data, Model, Text, excludes, outcome, trees

from fast_crewai import _core

SETTINGS = settings(
    max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.fixture
def armed(monkeypatch):
    monkeypatch.setattr(Bad, "armed", True)


def fast(obj, exclude=None, max_depth=5, depth=0, ancestors=None):
    return _core.to_serializable(obj, exclude, max_depth, depth, ancestors, to_serializable)


def ring(length):
    """A cycle through every kind of container that can be part of one."""
    first = []
    inner = first
    for index in range(length):
        inner = [(inner,), {"k": inner}, [inner], Data(inner)][index % 4]
    first.append(inner)
    return first


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def test_like_the_original():
    counts = Counter()

    @SETTINGS
    @given(trees, excludes, st.integers(-1, 7), st.sampled_from([0, 0, 0, 1, 4, 9, -2]))
    @example(ring(1), None, 0, 0)
    @example(ring(2), None, 0, 0)
    @example(ring(9), None, 0, 0)
    @example(ring(7), None, 3, 0)
    @example(deep(150), None, 0, 0)
    @example([[Bad()]], None, 2, 0)
    @example({"a": Text("x")}, None, 1, 0)
    @example({"a": None}, {("unhashable is no key",)}, 5, 0)
    def check(obj, exclude, max_depth, depth):
        Bad.armed = True
        try:
            result = outcome(fast, obj, exclude, max_depth, depth)
            expected = outcome(to_serializable, obj, exclude, max_depth, depth)
        finally:
            Bad.armed = False
        if result[0] is _core.Declined:
            assert len(result[1]) < 60
            counts["declined"] += 1
        else:
            counts["served"] += 1
            assert result == expected

    check()
    assert counts["served"] >= 0.3 * counts.total(), counts


def test_hands_over_what_the_originals_recursion_would_pass():
    class Opaque:
        pass

    seen = []
    opaque = Opaque()
    inner = [opaque]
    obj = {"k": inner}
    ancestors = {1, 2}
    out = _core.to_serializable(
        obj, None, 7, 3, ancestors, lambda *arguments: seen.append(arguments) or "done"
    )
    assert out == {"k": ["done"]}
    assert seen == [(opaque, set(), 7, 5, {1, 2, id(obj), id(inner)})]
    assert ancestors == {1, 2}


def test_known_ancestors_are_circular():
    obj = {"a": [1]}
    assert fast(obj, None, 5, 0, {id(obj)}) == "<circular_ref:dict>"
    assert fast(obj, None, 5, 0, {id(obj["a"])}) == {"a": "<circular_ref:list>"}
    assert to_serializable(obj, None, 5, 0, {id(obj["a"])}) == {"a": "<circular_ref:list>"}


@pytest.mark.parametrize("kind", [dict, list, set])
@pytest.mark.parametrize("grow", [True, False])
def test_a_container_that_changes_meanwhile_is_declined(kind, grow):
    class Meddler:
        def __repr__(self):
            if not grow:
                container.clear()
            elif kind is dict:
                container["new"] = 1
            else:
                (container.append if kind is list else container.add)(object())
            return "meddler"

        def __hash__(self):
            return 1

    items = [Meddler(), "x", "y"]
    container = dict(enumerate(items)) if kind is dict else kind(items)
    with pytest.raises(_core.Declined, match="changed while read"):
        fast(container)


def test_a_value_that_changes_meanwhile_is_seen_as_python_sees_it():
    def build():
        class Meddler:
            def __repr__(self):
                box["b"] = "changed"
                return "meddler"

        box = {"a": Meddler(), "b": "before"}
        return box

    assert fast(build()) == to_serializable(build()) == {"a": "meddler", "b": "changed"}


@pytest.mark.parametrize(
    "arguments",
    [
        (Text("x"),),
        (Model(),),
        (OrderedDict(),),
        ([], [], 5, 0, None),
        ([], None, 5.0, 0, None),
        ([], None, True, 0, None),
        ([], None, 2**70, 0, None),
        ([], None, 5, 100, None),
        ([], None, 5, 0, frozenset()),
    ],
)
def test_declines(arguments):
    with pytest.raises(_core.Declined):
        fast(*arguments)


def test_errors_of_the_users_code_pass_through(armed):
    with pytest.raises(ValueError, match="no repr"):
        fast([[Bad()]], None, 2)

    class Quit(BaseException):
        pass

    def original(*_):
        raise Quit

    with pytest.raises(Quit):
        _core.to_serializable([Model()], None, 5, 0, None, original)


def test_great_depth_is_an_error_of_pythons():
    with pytest.raises(RecursionError):
        fast(deep(100_000), None, 0)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters(codec=None, categories=None, max_codepoint=0x17F))
    | st.sampled_from(["\x7f\x80", "\ud800", "\U0001f600", "\u2028", 2**63, -(2**63), 1e16, -0.0]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def test_texts_like_json_dumps():
    @SETTINGS
    @given(PLAIN | trees)
    @example(deep(100))
    @example(OrderedDict(a=1))
    @example({1: 2, None: 3})
    @example([Text("x"), ()])
    def check(value):
        try:
            found = _core.json_text(value)
        except _core.Declined as error:
            assert len(str(error)) < 60
        else:
            assert found == json.dumps(value)

    check()


def test_what_has_a_text():
    value = {"a": [None, True, False, -5, 2.5, float("inf"), 'é\n"\\'], "b": {}, "c": []}
    assert _core.json_text(value) == json.dumps(value)
    assert _core.json_text(deep(99)) == json.dumps(deep(99))
    loop = []
    loop.append(loop)
    for odd in (2**63, "\ud800", {1: 2}, (), Text("x"), deep(100), loop, {"a": object()}):
        with pytest.raises(_core.Declined):
            _core.json_text(odd)
