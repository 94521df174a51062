"""Tool names, templates with placeholders, and their inputs."""

from hypothesis import strategies as st

from strategies.data import Text


class Loud:
    def __repr__(self):
        return "{a}"


names = (
    st.text(alphabet="abzABZ019_- '\".\n\t/", max_size=80)
    | st.from_regex(r"([A-Z]{0,3}[a-z]{0,3}['\"_ -]{0,2}[0-9]?){0,8}", fullmatch=True)
    | st.text(max_size=40)
    | st.text(alphabet=st.characters(), max_size=20)
    | st.just("AB'Cd\"E").map(Text)
)


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
