"""What is said of a text without reading it as JSON, JSON5 or Python is what they say."""

import ast
import json
import warnings
from random import Random

import json5
import pytest
from strategies import model_texts
from test_json_certain import SEEDS, made

from fast_crewai._core import kind_of_json, python_literal


def _text(random):
    """JSON, Python literals and what a model makes of them, whole and cut off."""
    kind = random.random()
    if kind < 0.2:
        text = made(random)
    elif kind < 0.4:
        text = model_texts.spoilt(random)
    else:
        value = _value(random, 4)
        text = json.dumps(value, ensure_ascii=random.random() < 0.5) if kind < 0.7 else repr(value)
        if random.random() < 0.3:
            text = text.replace(
                ", ", random.choice([",\n", " , ", ",,", ",\t", ",\r", "\f,", ",\u00a0"])
            )
        if random.random() < 0.3:
            place = random.randrange(len(text) + 1)
            text = text[:place] + random.choice(_ODD) + text[place + random.randrange(2) :]
    if random.random() < 0.4:
        text = text[: random.randrange(len(text) + 1)]
    if random.random() < 0.1:
        text = random.choice([" ", "\n", "\t", "\ufeff", "# c\n"]) + text
    return text + random.choice(["", "", "", " ", "\n", "\n  ", "\r", " # c", ";", "\\\n"])


_ODD = [
    "\\",
    "\\/",
    "\\d",
    "\\u00e9",
    "\\n",
    "'",
    '"',
    "\n",
    "\t",
    "\0",
    "\x7f",
    "\u2028",
    "01",
    "1_0",
    "0x1",
]
_ODD += [
    "NaN",
    "Infinity",
    "-Infinity",
    "None",
    "null",
    "1e5",
    "1.",
    ".5",
    "{",
    "[",
    "]",
    "}",
    ",",
    "b''",
    "1j",
]
_ODD += [
    "9" * 700,
    "1if",
    "''",
    '""',
    "#",
    "//",
    "/*",
    "+1",
    "--1",
    "\ud800",
    "٣",
    "1 2",
    "(",
    ")",
    "*",
]


def _value(random, depth):
    if depth and random.random() < 0.5:
        size = random.randrange(4)
        if random.random() < 0.5:
            return [_value(random, depth - 1) for _ in range(size)]
        return {
            random.choice(["a", "b c", "k", "it's", ""]): _value(random, depth - 1)
            for _ in range(size)
        }
    return random.choice(
        [
            None,
            True,
            False,
            0,
            -0.0,
            -7,
            1.5,
            1e300,
            123456789012345678,
            10**20,
            "",
            "a b",
            'say "x"',
            "é",
            "l\nm",
            "\\",
            "/",
        ]
    )


def _read(read, text):
    """What it returns, or the error. A warning is one, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return read(text)
        except Exception as error:
            return error


@pytest.mark.parametrize("seed", range(SEEDS))
def test_kinds(seed):
    random, seen = Random(seed), set()
    for _ in range(1_500):
        text = _text(random)
        kind, found = kind_of_json(text), _read(json.loads, text)
        seen.add(kind)
        if kind == "plain":
            assert not isinstance(found, Exception), text
        if kind in ("broken", "cut"):
            assert type(found) is json.JSONDecodeError, text
        if kind == "cut" and text.isascii() and "\x7f" not in text:
            assert isinstance(_read(json5.loads, text), ValueError), text
            if text.lstrip(" \t\r\n").startswith("{") and "\\/" not in text:
                error = _read(ast.literal_eval, text)
                assert isinstance(error, SyntaxError) and not isinstance(error, Warning), text
    assert seen == {"plain", "broken", "cut", "unsure"}


@pytest.mark.parametrize("seed", range(SEEDS))
def test_literals(seed):
    random, read = Random(seed), 0
    for _ in range(1_500):
        text = _text(random)
        found = python_literal(text)
        if found is not None:
            wanted = _read(ast.literal_eval, text)
            assert repr(found) == repr(wanted), text
            read += 1
    assert read > 20


@pytest.mark.parametrize(
    "text",
    [
        "[" * 51,
        "[" * 51 + "]" * 51,
        f"[{'9' * 700}]",
        f"[{'9' * 700}",
        "[NaN",
        "[-Infinity]",
        "\ud800",
    ],
)
def test_what_depends_on_more_than_the_text_is_not_said(text):
    assert kind_of_json(text) == "unsure"
    assert kind_of_json("[" * 30) == "broken"  # json5 may not get to the end of it
    assert python_literal("[" * 17 + "]" * 17) is None
    assert python_literal("[" * 16 + "]" * 16) is not None
