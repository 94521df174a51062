"""json_repair's parser in our steps: equal texts, and the original's wherever ours isn't sure."""

import json
from random import Random
from unittest import mock

import json_repair.utils.json_context
import json_repair.utils.object_comparer
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from json_repair import json_parser, parse_string, repair_json
from strategies import model_texts

from fast_crewai._core import Declined
from fast_crewai.hooks.areas import json_certain, json_repairing, json_steps

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
@example('{"a": "', 'b\\"},,\'a\':{"b": {}}')
@example('{"a": "', "x\\n" * 100 + '"b", }')
@example('{"a": "', '{x \\"}')
@example('{"a": "', "{x \\u0022} ```")
@example('{"a": "', "x, {y\\n, z} ```")
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
        *((json_parser.JSONParser, name) for name in ("parse_json", "get_char_at", "__init__")),
        *((parse_string, name) for name in ("parse_string", "_append_literal_char")),
        *((parse_string, name) for name in ("StringParseState", "classify_object_value_comma")),
        (json_repair.json_repair, "JSONParser"),
        (json_repair.parse_object, "_parse_object_value"),
        (json_repair.parse_array, "ObjectComparer"),
        (json_repair.parse_number, "parse_number"),
        (json_repair.utils.json_context.JsonContext, "reset"),
        (json_repair.utils.object_comparer.ObjectComparer, "is_strictly_empty"),
    ],
)
def test_what_is_replaced_is_the_originals(owner, name):
    assert found.are_originals()
    seen = mock.Mock(side_effect=getattr(owner, name))
    with mock.patch.object(owner, name, seen):
        assert not found.are_originals()
        assert json_repairing.Steps.of(repair_json) is None
    assert found.are_originals()


@pytest.mark.parametrize(
    "text",
    [
        '["\ud800", "\u00e9\U0001f600\x7f", 1',
        "[" * 150 + "x",
        f"[{'9' * 40}, -0.0, 1e999, -1e400, 1E-7, NaN, true",
        "{'a': null, \"b\": 'c\u2028",
    ],
)
def test_what_is_found_is_written_as_json_does(text):
    check(text)


@pytest.mark.parametrize(("owner", "name"), [(json, "dumps"), (json.JSONEncoder, "encode")])
def test_a_writer_that_was_replaced_is_asked(owner, name):
    with mock.patch.object(owner, name, mock.Mock(return_value="written")) as seen:
        assert faster("['a'") == original("['a'") == "written"
    assert seen.call_count == 2


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
    counting = mock.patch.object(json_parser, "JsonContext", side_effect=context)
    with counting as made, pytest.raises(ValueError, match="nesting exceeds"):
        json_repairing.Repairing()(repair_json, text, skip_json_loads=True)
    assert made.call_count == 1
    ours, theirs = result(faster, text), result(original, text)
    assert found.raised_as_the_original(ours)
    assert (type(ours), str(ours)) == (type(theirs), str(theirs))
    assert type(ours.__cause__) is type(theirs.__cause__) is RecursionError


def _list(random):
    """Mostly plain elements, some that are read otherwise, in some place."""
    plain = ['{"a": 1, "b": "x"}', '{"c": [1, {"d": null}]}', "[1, 2]", '"a b"', "-1.5e3", "true"]
    odd = ["{}", "[]", '""', '{"a": 1, "a": 2}', "{'a': 1}", "None", "NaN", '"a\\"b"', '"a: b"']
    odd += ['{"a": ""}', '{"": 1}', "[[1, [2]], [[[3]]]]", '"..."', "...", "1_0", "(1, 2)", '"},"']
    odd += [
        '{"a": 1} {',
        "“q”",
        '"k": 1',
        "# no\n",
        '"l\nm"',
        "1e",
        '"q",',
        "{a: 1}",
        "}",
        "]",
        "x y",
    ]
    elements = [random.choice(plain if random.random() < 0.8 else odd) for _ in range(12)]
    text = "".join(
        part + random.choice([", ", ",", " , ", ",\n", " ", "\u2028,"]) for part in elements
    )
    start = random.choice(
        ["[", '{"k": [', "[[", "(", '{"k": {"l": [', "{", '"', '{"k": "', "{x} ["]
    )
    return (
        start + text[: random.randrange(len(text) + 1)] + random.choice(["", "]", "]}", ")", "}"])
    )


@pytest.mark.parametrize("window", [20, 60, 16_384])
@pytest.mark.parametrize("seed", range(5))
def test_lists_are_equal(seed, window):
    random = Random(seed * 100_000 + window)
    with (
        mock.patch.object(json_certain, "_WINDOW", window),
        mock.patch.object(json_certain, "_FIRST", min(window, 512)),
    ):
        for _ in range(400):
            check(_list(random))


def test_plain_elements_are_read_at_once():
    read = mock.Mock(side_effect=found.parser.parse_json)
    with mock.patch.object(found.parser, "parse_json", lambda self, *args: read(self, *args)):
        text = '{"k": [' + '{"a": true, "b": "x"}, ' * 100 + '{"a'
        assert faster(text) == original(text)
    assert read.call_count < 10


def test_what_starts_a_string_is_what_python_takes_for_a_letter_or_a_digit():
    every = [chr(code) for code in range(0x110000)]
    assert [c for c in every if json_steps._ENTRY.fullmatch(c)] == [
        c for c in every if c.isalnum() or c in json_steps._QUOTES
    ]


@pytest.mark.parametrize("text", ["{", "(", "( (", "{[", '{"a":{', '[{"a":[', "{x ", "[(", "{x: ("])
@pytest.mark.parametrize("end", ["", ",", ")", "]", "}", '"', " x: 1"])
def test_nesting_around_the_limit(text, end):
    for depth in (*range(1, 8), *range(60, 66), 120, 300):
        check(text * depth + end)


_PROSE = [
    "a",
    "b1 ",
    "_",
    "-",
    ", ",
    ",",
    " ,",
    ":",
    ";",
    "{",
    "}",
    "[",
    "]",
    "(",
    "`",
    "\\n",
    "\n",
]
_PROSE += [
    "\\",
    '\\"',
    "\\'",
    "„",
    "”",
    "é",
    "```",
    "\\u",
    "\\u002c",
    "\\u4f60",
    "\\ud83d\\ude00",
    "\\u005C",
    "\\u007b",
    "{x} ",
    "{y, z}, ",
    "\\t",
    "#",
    "//",
    "\u2028",
]


@pytest.mark.parametrize("seed", range(10))
def test_prose_that_is_cut_off_or_quoted_later_is_equal(seed):
    random = Random(seed)
    for _ in range(1_000):
        start = random.choice(
            ['{"a": "', "{'a': '", '{"a": b', '{"k": ["', '[{"a": "', '{"a', "{“a”: “"]
        )
        few = random.sample(_PROSE, random.randrange(2, 8))  # so that they meet
        prose = "".join(random.choice(few) for _ in range(random.randrange(25)))
        check(
            start + prose + random.choice(["", "", "", '"', "'", '", "b": 1}', '"}', '": "c"', "}"])
        )
