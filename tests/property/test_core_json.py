"""`_core.to_serializable` against CrewAI's own."""

import os

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OTEL_SDK_DISABLED", "true")

import dataclasses
import enum
import warnings
from collections import Counter, OrderedDict

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from fast_crewai import _core

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # CrewAI's own imports warn
    from crewai.utilities.serialization import to_serializable

SETTINGS = settings(
    max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


class Text(str):
    pass


class Color(str, enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Model(BaseModel):
    a: int = 1
    b: list[str] = []
    c: dict = {}


@dataclasses.dataclass
class Data:
    x: object
    y: object = 1


class Bad:
    """Raises in its repr, except while Hypothesis describes an example."""

    armed = False

    def __repr__(self):
        if self.armed:
            raise ValueError("no repr")
        return "Bad()"


@pytest.fixture
def armed(monkeypatch):
    monkeypatch.setattr(Bad, "armed", True)


class Key:
    """A key whose repr is known, so that only its id makes the text unpredictable."""

    def __repr__(self):
        return "é\ud800"


def outcome(function, *args):
    try:
        result = function(*args)
    except Exception as error:
        return type(error), str(error)
    return type(result), repr(result)


def fast(obj, exclude=None, max_depth=5, depth=0, ancestors=None):
    return _core.to_serializable(obj, exclude, max_depth, depth, ancestors, to_serializable)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**64, max_value=2**80)
    | st.floats()
    | st.text(max_size=6)
    | st.text(alphabet=st.characters(), max_size=3)
    | st.uuids()
    | st.datetimes()
    | st.dates()
    | st.binary(max_size=3)
    | st.complex_numbers()
    | st.frozensets(st.integers(), max_size=3)
    | st.sets(st.integers() | st.text(max_size=2), max_size=3)
    | st.builds(Model, a=st.integers(-5, 5), b=st.lists(st.text(max_size=3), max_size=2))
    | st.sampled_from([Text("t"), Color.RED, Number.ONE, Model, object, Ellipsis])
    | st.builds(Bad)
)
keys = (
    st.text(max_size=3)
    | st.integers()
    | st.booleans()
    | st.none()
    | st.floats()
    | st.tuples(st.integers())
    | st.sampled_from([Text("k"), Color.RED, Number.ONE, Key(), "a", "b"])
)
trees = st.recursive(
    leaves,
    lambda t: (
        st.lists(t, max_size=4)
        | st.tuples(t, t)
        | st.dictionaries(keys, t, max_size=4)
        | st.dictionaries(keys, t, max_size=2).map(OrderedDict)
        | st.builds(Data, t, t)
        | st.builds(Model, c=st.dictionaries(st.text(max_size=2), t, max_size=2))
    ),
    max_leaves=25,
)
excludes = (
    st.none()
    | st.sets(st.sampled_from(["a", "b", "x"]), max_size=3)
    | st.frozensets(keys, max_size=3)
    | st.just(["a"])
)


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
