"""What is read many at a time is what json_repair reads one after the other."""

import os
from random import Random
from unittest import mock

import pytest
from test_json_repairing import check, faster, original

from fast_crewai._core import repaired_elements, repaired_members
from fast_crewai.hooks.areas import json_certain, json_steps

SEEDS = int(os.environ.get("FAST_CREWAI_REPAIRS", "8"))

_SPACES = ["", "", "", " ", " ", "\n", "\t ", "  ", "\u00a0", "\x0b", "\u2028"]
_WORDS = ["None", "x", "some words", "tru", "True", "NULL", "falsey", "nullx", "it's", "a-b", "N/A"]
_WORDS += [
    "a.b",
    "e1",
    "1a",
    "_a",
    "é",
    "x#y",
    "a (b)",
    "a: b",
    "a`",
    "`a",
    "x\ny",
    "a\u00a0",
    "...",
]
_WORDS += [
    "K\u212a",
    "a}",
    "a{b",
    "[a",
    "a„b”",
    "“a”",
    "-",
    "--1",
    "a\\n",
    "a\\",
    "//",
    "/* c */",
    "# c",
]
_NUMBERS = ["0", "7", "-7", "007", "-0", "1.5", "-1.50", "1e5", "1E-5", "1e+5", "1.", ".5", "1_0"]
_NUMBERS += [
    "123456789012345678",
    "1234567890123456789",
    "1.23456789012345678",
    "0.1e999",
    "1,2",
    "1-2",
]
_NUMBERS += ["12.3.4", "1e", "0x1F", "$1", "1%", "1/2", "-0.0", "1e400", "٣", "²"]
_INSIDE = [
    "",
    "",
    "a",
    "a b",
    "a, b",
    "a: b",
    "it's",
    'say "x"',
    "{a}",
    "[b]",
    "(c)",
    "a\\nb",
    "a\nb",
]
_INSIDE += [
    "„q”",
    "“r”",
    "`c`",
    "```json",
    "é",
    "\u2028",
    " a ",
    "a ",
    ":",
    ",",
    "}",
    "]",
    "a\\",
    "😀",
    "\0",
]
_INSIDE += ["\ud800", "None", "a, 'b': 1", "...", "#", "//"]


def _string(random):
    quote = random.choice(['"', '"', '"', "'", "'", "'", "“"])
    plain = random.random() < 0.7
    inside = random.choice(["", "a", "a b", "key", "x, y"] if plain else _INSIDE)
    return quote + inside + (quote if quote != "“" else "”")


def _space(random, odd):
    return random.choice(_SPACES) if random.random() < odd else random.choice(["", " "])


def _value(random, depth, odd):
    kind = random.random()
    if depth > 0 and kind < 0.18:
        return _list(random, depth - 1, odd)
    if depth > 0 and kind < 0.4:
        return _object(random, depth - 1, odd)
    if kind < 0.6:
        return _string(random)
    if kind < 0.8:
        return random.choice(_WORDS[: len(_WORDS) if random.random() < odd * 2 else 6])
    return random.choice(_NUMBERS[: len(_NUMBERS) if random.random() < odd * 2 else 6])


def _comma(random, odd):
    if random.random() < odd:
        return random.choice(
            ["", " ", ",,", " ,", "\n,", ", ,", ";", "\u2028,", ",\n", ",\u00a0", "}", "]"]
        )
    return random.choice([", ", ","])


def _list(random, depth, odd):
    parts = []
    for _ in range(random.randrange(4)):
        parts += [_value(random, depth, odd), _space(random, odd), _comma(random, odd)]
    if parts and random.random() < 0.8:
        parts.pop()
    opening, closing = "()" if random.random() < odd / 2 else "[]"
    return opening + _space(random, odd) + "".join(parts) + closing


def _object(random, depth, odd):
    parts = []
    for place in range(random.randrange(4)):
        parts += [
            _key(random, place, odd),
            _space(random, odd),
            "=" if random.random() < odd / 5 else ":",
        ]
        parts += [
            _space(random, odd),
            _value(random, depth, odd),
            _space(random, odd),
            _comma(random, odd),
        ]
    if parts and random.random() < 0.85:
        parts.pop()
    return "{" + _space(random, odd) + "".join(parts) + "}"


def _key(random, place, odd):
    if random.random() < odd:
        return random.choice(
            [_string(random), random.choice(_WORDS), random.choice(_NUMBERS), "", "'k\\'"]
        )
    name = random.choice(["a", "b", "key", "c_d", f"k{place}"])
    quote = random.choice(['"', '"', "'", "'", ""])
    return quote + name + quote


def made(random):
    odd = random.choice([0.0, 0.02, 0.05, 0.2])
    members = random.random() < 0.4
    one = _object if members else _list
    parts = []
    for place in range(random.randrange(1, 9)):
        if members:
            parts += [_key(random, place, odd), _space(random, odd), ":", _space(random, odd)]
        parts += [_value(random, 3, odd), _space(random, odd), _comma(random, odd)]
    text = "".join(parts) if random.random() < 0.9 else one(random, 3, odd)
    if members:
        starts = ["{", "{", '{"k": {', "[{", '{"k": [{', "{'k': {", "x {", "({", '{"k": ({']
    else:
        starts = [
            "[",
            "[",
            '{"k": [',
            "{'k': [",
            "[[",
            "(",
            '{"k": {"l": [',
            "{[",
            "{x, [",
            "{{x} [",
            "x [",
            '{"a" [',
        ]
    start = random.choice(starts)
    if random.random() < 0.2:  # cut off
        text = text[: random.randrange(len(text) + 1)]
    end = random.choice(
        ["", "", "]", "}", "]}", "}]", ")", ' "z": 1}', "'", '"', " # c", '{"y": 1}']
    )
    if random.random() < odd:
        place = random.randrange(len(text) + 1)
        text = text[:place] + random.choice([*_WORDS, *_INSIDE, *_SPACES, '"', "'"]) + text[place:]
    return start + text + end


@pytest.mark.parametrize("window", [1, 20, 60, 16_384])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_lists_and_objects_are_equal(seed, window):
    random = Random(seed * 100_000 + window)
    with (
        mock.patch.object(json_certain, "_WINDOW", window),
        mock.patch.object(json_certain, "_FIRST", min(window, 512)),
    ):
        for _ in range(500):
            check(made(random))


ROWS = {
    "constants": ("[", "None, ", "]"),
    "a list cut off": ('{"k": [', "some words, True, 7, 'x', ", ""),
    "objects": ('{"k": [', '{"a": None, "b": [1, x]}, ', ""),
    "in single quotes": ("{'k': [", "{'a': true, 'b': None} ", ""),
}


@pytest.mark.parametrize("row", ROWS)
def test_elements_are_read_many_at_a_time(row):
    start, part, end = ROWS[row]
    text = start + part * 400 + end
    with _strings() as begun:
        assert faster(text) == original(text)
    assert begun.call_count < 9


def test_members_are_read_many_at_a_time():
    text = "{" + "".join(f"'k{place}': None, " for place in range(400)) + "'k0': 7, 'k401': 1"
    with _strings() as begun:
        assert faster(text) == original(text)
    assert begun.call_count < 9


def _strings():
    """Those that are read step by step."""
    return mock.patch("fast_crewai.hooks.areas.json_steps.Text", side_effect=json_steps.Text)


def test_what_is_in_vain_is_not_tried_again_and_again():
    calls = mock.Mock(side_effect=repaired_elements)
    with mock.patch("fast_crewai.hooks.areas.json_steps.repaired_elements", calls):
        text = "[" + "(1), " * 2_000
        assert faster(text) == original(text)
    assert 1 < calls.call_count < 90


def test_a_key_that_is_known_ends_the_members():
    known = {"b": 0}
    assert repaired_members("'a': 1, 'b': 2, 'c': 3, 'd'", known, False)[0] == 8
    assert known == {"a": 1, "b": 0}
    assert repaired_members("'\ud800': 1, 'b'", {}, False)[0] == 0
    assert repaired_elements("'\u00e9\U0001f600', x, [", made := [], False)[0] == 7
    assert made == ["\u00e9\U0001f600", "x"]


@pytest.mark.parametrize(
    "text",
    [
        """[{'a': x}, {",b": 1}, 2, 3]""",
        """[{'a': x}, {"}b": 1}, 2, 3]""",
        "['\u201ea', 'b', 'c']",
        "[{'\u201ea': 1, 'b': 'c'}, 2]",
        "[{'a:b': 7, ',x': 1}, 2]",
        "[{'a:b': 7, '}x': 1}, 2]",
        """[{'a': '' }, {"b": 1}, 2]""",
        """[{'a': '' }, {'b': 1}, 2]""",
        "['```json 5```', 2, 3]",
        """[{'a': '' }, {"b": ''}, 2]""",
        """[{'a': '' , 'b': ''}, 2]""",
        """{'a': '```json {"b": 1}```', 'c': 2, 'd': 3}""",
        """[{"a": b {c}, "d": 1}, 2]""",
        """[{"a": b {c, "d": 1}, {"e": 2}]""",
        """[{"a": b [c], "d": 1}, 2]""",
        """[{"a": b: c, "d": 1}, 2]""",
        """[{"a": {"b": 1}}}, 2, {"c": 3}]""",
        """[[{"b": 1}}, 2], 3, {"c": 3}]""",
    ],
)
def test_what_is_not_certain(text):
    for cut in range(len(text)):
        check(text[: len(text) - cut])
