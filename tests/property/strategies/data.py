"""Plain data, and the objects that lie among it."""

import dataclasses
import enum
from collections import OrderedDict

from hypothesis import strategies as st
from pydantic import BaseModel


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
