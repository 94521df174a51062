"""json_repair's parser in our steps: equal texts, and the original's wherever ours isn't sure."""

from random import Random
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from json_repair import json_parser, parse_string, repair_json
from strategies import model_texts

from fast_crewai._core import Declined
from fast_crewai.hooks.areas import json_repairing

faster = json_repairing.repairing(repair_json)
_runs = st.tuples(st.sampled_from(['"', "\\", "{", "}", ", ", "a b", "'", "„", "[", "\n"])).flatmap(
    lambda piece: st.integers(1, 40).map(lambda count: piece[0] * count)
)
_texts = model_texts.texts | st.lists(_runs | model_texts.texts, max_size=5).map("".join)
_prefixes = st.sampled_from(["", '{"a": "', "{'a': '", '{"k": ["', "{a: ", '{"', "[“"])


steps = next(
    cell.cell_contents
    for cell in faster.__closure__
    if isinstance(cell.cell_contents, type) and cell.cell_contents.__name__ == "Faster"
)


def original(text):
    return repair_json(text, skip_json_loads=True)


def result(function, text):
    try:
        return function(text)
    except Exception as error:
        return type(error)


def check(text):
    found, wanted = result(faster, text), result(original, text)
    # What ours doesn't finish, the original does.
    assert found == wanted or (isinstance(found, type) and found is not Declined), text


@given(_prefixes, _texts)
@example('{"a": "', "word " * 400)
@example('{"a": "', "\\" * 401 + '", "b": 1}')
@example('{"a": "', "x\\n" * 100 + '"b", }')
@example('{"a": "', "{b} }{ }, {c}} d, e} f")
@example('{"a": "', 'b, c\\\\\\" d, e\\\\" f, "g": 1')
def test_repairs_are_equal(prefix, text):
    check(prefix + text)


@pytest.mark.parametrize("seed", range(20))
def test_repairs_of_spoilt_texts_are_equal(seed):
    random = Random(seed)
    for _ in range(500):
        check(model_texts.spoilt(random))


@pytest.mark.parametrize("seed", range(5))
def test_steps_are_equal_wherever_they_begin(seed):
    random = Random(seed)
    for _ in range(200):
        text = "".join(random.choice(["\\", "\\", '"', "a", " ", ","]) for _ in range(30))
        ours, theirs = (kind(text, None, False) for kind in (steps, json_parser.JSONParser))
        for _ in range(10):
            ours.index = theirs.index = random.randrange(31)
            key, ahead = random.choice(['"', ",", ['"', ","]]), random.randrange(4)
            assert ours.skip_to_character(key, ahead) == theirs.skip_to_character(key, ahead), text
            assert ours.scroll_whitespaces(ahead) == theirs.scroll_whitespaces(ahead)
            ours.skip_whitespaces()
            theirs.skip_whitespaces()
            assert ours.index == theirs.index


def test_it_is_at_work_and_reads_what_is_cut_off():
    assert faster('{"a": "b c' + " d" * 9) == original('{"a": "b c' + " d" * 9)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        *((json_parser.JSONParser, name) for name in json_repairing._METHODS if name[0] != "_"),
        *((parse_string, name) for name in json_repairing._FUNCTIONS),
        (parse_string, "StringParseState"),
    ],
)
def test_what_is_replaced_is_the_originals(owner, name):
    seen = mock.Mock(side_effect=getattr(owner, name))
    with mock.patch.object(owner, name, seen):
        with pytest.raises(Declined):
            faster('{"a": "b')
        assert json_repairing.repairing(repair_json) is None


def test_another_json_repair_is_left_alone():
    with mock.patch.object(json_repairing, "_PROVEN", set()):
        assert json_repairing.repairing(repair_json) is None
    assert json_repairing.repairing(mock.Mock()) is None
