"""json_repair's parser in our steps: equal texts, and the original's wherever ours isn't sure."""

from random import Random
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from json_repair import json_parser, parse_string, repair_json
from strategies import model_texts

from fast_crewai._core import Declined
from fast_crewai.hooks.areas import json_repairing

found = json_repairing.Steps.of(repair_json)
assert found is not None
steps = found.parser
_runs = st.tuples(st.sampled_from(['"', "\\", "{", "}", ", ", "a b", "'", "„", "[", "\n"])).flatmap(
    lambda piece: st.integers(1, 40).map(lambda count: piece[0] * count)
)
_texts = model_texts.texts | st.lists(_runs | model_texts.texts, max_size=5).map("".join)
_prefixes = st.sampled_from(["", '{"a": "', "{'a': '", '{"k": ["', "{a: ", '{"', "[“"])


def faster(text, **options):
    return found.repaired(text, **{"skip_json_loads": True, **options})


def original(text):
    return repair_json(text, skip_json_loads=True)


def result(function, text):
    try:
        return function(text)
    except Exception as error:
        return error


def check(text):
    ours, wanted = result(faster, text), result(original, text)
    if isinstance(ours, Exception):  # what ours doesn't finish, the original does
        assert type(ours) is not Declined, text
        if not found.raised_as_the_original(ours):
            return
        assert type(wanted) is ValueError, text
        ours, wanted = str(ours), str(wanted)
    assert ours == wanted, text


@settings(deadline=None, suppress_health_check=list(HealthCheck))
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
    assert found.are_originals()
    seen = mock.Mock(side_effect=getattr(owner, name))
    with mock.patch.object(owner, name, seen):
        assert not found.are_originals()
        assert json_repairing.Steps.of(repair_json) is None
    assert found.are_originals()


def test_another_json_repair_is_left_alone():
    with mock.patch.object(json_repairing, "_PROVEN", set()):
        assert json_repairing.Steps.of(repair_json) is None
    assert json_repairing.Steps.of(mock.Mock()) is None
    other = mock.Mock(return_value="other")
    assert json_repairing.Repairing()(other, "{" * 2_000, skip_json_loads=True) == "other"
    other.assert_called_once_with("{" * 2_000, skip_json_loads=True)


@pytest.mark.parametrize("text", ["{" * 1_000, "[" * 2_000, "(" * 1_000, '{"a": [' * 300])
def test_what_is_too_deep_raises_once(text):
    context = json_parser.JsonContext  # each parser makes one
    with mock.patch.object(json_parser, "JsonContext", side_effect=context) as made:
        with pytest.raises(ValueError, match="nesting exceeds"):
            json_repairing.Repairing()(repair_json, text, skip_json_loads=True)
    assert made.call_count == 1
    ours, theirs = result(faster, text), result(original, text)
    assert found.raised_as_the_original(ours)
    assert (type(ours), str(ours)) == (type(theirs), str(theirs))
    assert type(ours.__cause__) is type(theirs.__cause__) is RecursionError
