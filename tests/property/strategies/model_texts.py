"""What models write where JSON is asked for: whole, cut off, odd and hostile."""

import json
import re
import types
from unittest import mock

import json5
from crewai.tools import tool_usage
from crewai.tools.tool_usage import ToolUsage
from crewai.utilities import converter
from hypothesis import strategies as st
from pydantic import BaseModel

from fast_crewai.hooks.areas import json_repairing
from strategies.data import outcome

# Kept: each of them has taken another way through the parsers once.
CORPUS = (
    '{"a": "' + "word " * 40,
    "{" * 60,
    "[" * 60,
    '{"a": ' * 25 + "1" + "}" * 25,
    "{'a': null, \"b\": [true, 1.5,],}",
    "{a: 1, $b: -0, c_1: 1e3}",
    "{null: 1}",
    "{true: false, NaN: NaN}",
    '{"a": 01}',
    '{"a": +1}',
    '{"a": .5}',
    '{"a": 5.}',
    '{"a": 0x1F}',
    '{"a": Infinity}',
    '{"a": -Infinity}',
    '{"a": 1 /* one */}',
    "{// line\na: 1}",
    '{"a": "line\nbreak"}',
    '{"a": "tab\t"}',
    '{"a": "\u2028"}',
    '{"a": "\x7f\xa0"}',
    "{a\u00a0: 1}",
    '{"a": "\\u0041\\ud83d\\ude00\\\n"}',
    '{"a" 1}',
    '{"a": 1 "b": 2}',
    '{"a": 1}}',
    "{,}",
    '{"a": 1,,}',
    '{"a": nullx}',
    '{"a": null',
    '{"a"',
    '{"a":',
    "{",
    "  {} ",
    "[null]",
    "null",
    '"text"',
    "`{}`",
    '```json\n{"a": 1}\n```',
    '{"a": 1, "a": 2}',
    "{'a': 1, true}",
    "{" + "a:" * 30,
    "/*" * 30,
    "(" * 60,
    '{"a": "' + "\\" * 41,
    "{'it''s': 1}",
    '{"a": 9' + "9" * 120 + "}",
    '{"é": "é\ud800", é: 1}',
    '{"a": "b\\\\\\\\\\"c", "d',
    '{"a": "„low” quotes„, “b” \0\\\0 c',
    '{"a": "x\\u005c\\u005cy, z": {1}, [2], b',
    '{"a": "{b} }{ }, {c}" d}``` e',
    '{"a": "b" c, d "e": f, "g", h}',
    '{a b: c, "d: e',
    '{"k": [{"a": 1}, {"a": 2, "b": "x], "c',
    '{"key": null, "more": [1e+16, null]}',
    "[[{b}, „low” q], {b}, it's]",
    '{\\u005c„,true\t"b": "x"é\\\'\\\\\\\t[z]”„x”',
    '{""q"": {""c d"": ""```json {/*""a\\"":1}`w`"", ""b"": [""„low”:"", ""x: y""]}}',
    '{"a": "x {x \\"}',
    '{"a": "x {x \\u0022} ```',
    '{"a": "x, {y\\n, z} ```',
    '{"a": "b, c, ,, d: e, _f-1 : g',
    '{"a": "\\ud83d\\ude00\\u007b, \\n\\n}',
    '{"k": [{}, [], "", {"a": 1, "a": 2}, {"b": ""} , [[[[1]]]], "x", 1',
    '{"k": ["a, b", "c"],, 1_0, None, NaN, -Infinity',
    '{"k": [' + '{"a": true, "b": "x"}, ' * 30 + '{"a": 1, "a": 2}, {"c": nu',
    '{"a": "' + "\\n, {x}, \\\\" * 20,
    "{x} {y z} {[w]} a: b",
    "(1, (2), ((3",
    "(" * 40 + ",)",
    '{"a": "b", "c": [1, 2, {"d": "e',
    '{"key" : "a\\"},,\'a\':{"b": {}}',
    "[None, True, 'a, b', x y, \"c\", -1.5, {'d': None, e: f}, [nullx], {}, g",
    "{'a': None, \"b\": word, c: 1,d: 2, 'e': 'f', 'a': [], 'g': {}, 'h': x}",
    "{x} {y z} {x, y} {[w]}",
    'prose (note) # [b\n{"a": \'b", c\'} more, {"a": 2}',
)
_marks = st.sampled_from(
    [*"{}[]:,()#“”„`\0", '"', "'", " ", "\n", "\\", "\t", "/*", "*/", "//", "\xe9"]
)
_words = st.sampled_from(["a", "b1", "null", "true", "1", "-2.5", "1e2", "None", "True", "0x1"])
_pieces = _marks | _words | st.sampled_from(['"a"', "'b'", '"a": '])
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 10**20) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@st.composite
def _changed(draw):
    """A JSON object as a model might spoil it."""
    text = json.dumps(
        {"key": draw(_values), "more": draw(_values)}, ensure_ascii=draw(st.booleans())
    )
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(_pieces | st.just("")) + text[place + draw(st.integers(0, 1)) :]
    if draw(st.booleans()):
        text = text.replace("}", ",}").replace('"key"', "key")
    return text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text


texts = st.sampled_from(CORPUS) | st.lists(_pieces, max_size=14).map("".join) | _changed()
inputs = texts | st.sampled_from([None, "", " ", 7, b"{}"])
tool_inputs = st.tuples(
    inputs, st.sampled_from([*["plain"] * 8, *["long"] * 8, "repair", "json5", "verbose"])
)
spans = st.tuples(texts, st.sampled_from([*["plain"] * 8, "pattern"]))


def tool_input(function, example):
    """The arguments; what is repaired, printed and emitted on the way."""
    text, kind = example
    log = []
    usage = ToolUsage.__new__(ToolUsage)
    usage.agent = types.SimpleNamespace(verbose=kind == "verbose")
    usage._emit_validate_input_error = lambda error: log.append(("error", error))

    def noting(name, original):
        def noted(*arguments, **options):
            log.append((name, arguments, options))
            return original(*arguments, **options)

        return noted

    patches = {
        "long": mock.patch.object(json_repairing, "WORTH", 0),
        "repair": mock.patch.object(
            tool_usage, "repair_json", noting("repair", tool_usage.repair_json)
        ),
        "json5": mock.patch.object(json5, "loads", noting("json5", json5.loads)),
    }
    printer = mock.patch.object(
        tool_usage, "PRINTER", types.SimpleNamespace(print=lambda **options: log.append(options))
    )
    with patches.get(kind, mock.MagicMock()), printer:
        return outcome(function, usage, text), log


class Answer(BaseModel):
    key: object = None


def partial_json(function, example):
    """``handle_partial_json`` up to the question that it asks the model again."""
    text, kind = example
    asked = []

    def ask(**options):
        asked.append(options)
        return "asked"

    async def ask_async(**options):
        return ask(**options)

    with (
        mock.patch.object(converter, "convert_with_instructions", ask),
        mock.patch.object(converter, "async_convert_with_instructions", ask_async),
        _patched(kind, converter, "_JSON_PATTERN"),
    ):
        found = outcome(_finished, function, text, Answer, False, None)
    return found, len(asked)


def _patched(kind, module, name):
    if kind == "plain":
        return mock.MagicMock()
    return mock.patch.object(module, name, re.compile(r"\[.*\]"))


def _finished(function, *arguments):
    found = function(*arguments)
    if hasattr(found, "send"):
        try:
            found.send(None)
        except StopIteration as stop:
            return stop.value
    return found


_SPOILING = [
    *("{", "}", "[", "]", "(", ")", ":", ",", '"', "'", "“", "”", "„", "`", "```", "```json", " "),
    *(
        "\n",
        "\t",
        "\r",
        "\\",
        "\\\\",
        '\\"',
        "\\'",
        "\\n",
        "\\t",
        "\\u005c",
        "\\u0041",
        "\\x5c",
        "\\u",
    ),
    *(
        "\0",
        "//",
        "/*",
        "*/",
        "#",
        "a",
        "key",
        "true",
        "null",
        "fals",
        "1",
        "-2.5",
        "1e5",
        "_",
        "-",
    ),
    *("...", "é", "\u2028", "\u00a0", '"a": ', '"b": "x"', "'c': 'y'", "“q”", '{"a": 1}', "[1, 2]"),
    *("word word", "\\„", "„x”", '"",', '""', '"a":"', "x, y", "{x}", "[z]", "١"),
]
_WRITTEN = [
    *(1, -2.5, None, True, "", "a", "it's", "a, b", 'say "hi"', "x: y", "{b}", "[c]", "d\\e"),
    *("l\nm", "„low” q", '```json {"a":1}```', "# no", "http://x/y", "} ```py\nx``` ", "é"),
]


def spoilt(random):
    """More odd than ``texts``, and quick to make: a value that is changed and cut in many ways."""

    def value(depth):
        kind = random.random()
        if depth <= 0 or kind < 0.4:
            return random.choice(_WRITTEN)
        size = random.randrange(4)
        if kind < 0.7:
            return [value(depth - 1) for _ in range(size)]
        return {random.choice(["a", "b", "c d", "k_1"]): value(depth - 1) for _ in range(size)}

    if random.random() < 0.35:
        return "".join(random.choice(_SPOILING) for _ in range(random.randrange(1, 30)))
    whole = {"q": value(2), "k": value(2)} if random.random() < 0.4 else value(3)
    text = json.dumps(whole, ensure_ascii=False) if random.random() < 0.8 else repr(whole)
    for _ in range(random.randrange(5)):
        place = random.randrange(len(text) + 1)
        text = text[:place] + random.choice(_SPOILING) + text[place + random.randrange(3) :]
    if random.random() < 0.3:
        text = text[: random.randrange(len(text) + 1)]
    if random.random() < 0.2:
        text = text.replace('"', random.choice(["'", "“", "", '\\"', '""']))
    if random.random() < 0.1:
        text = "(note) " + text + random.choice([" ", ", "]) + text
    return text
