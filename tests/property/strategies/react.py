"""Answers in ReAct format, and texts made of the same words in any order."""

from unittest import mock

from crewai.agents import parser
from hypothesis import strategies as st

from fast_crewai.hooks.areas import json_repairing
from strategies import model_texts
from strategies.data import outcome

WORDS = [
    "Thought:", "Action", "Action:", "Action Input:", "Action Input", "Input", "Input:",
    "Final Answer:", "Final Answer", "Observation:", "action:", "Actio", ":", "\n", "\n", "\n\n",
    " ", " ", "\t", "\r\n", "\x1c", "\x85", "\xa0", "\u2003", "\u200b", "1", "12", "\u0663", "²",
    "{", "}", '{"a": 1}', "[1]", "[", '"', '"""', "```", "*", "**", "search", "x", ".", "é",
]  # fmt: skip
words = st.sampled_from(WORDS)
free = st.lists(words, max_size=14).map("".join)
gaps = st.sampled_from(
    ["", "", " ", "1", " 1", "1 ", " 12 ", "\n", "\n\n \n", "\xa0\u0663\x85", "a"]
)
spaces = st.sampled_from(["", " ", "\n", "\n\n", " \t\x1c"])
actions = st.builds("Action{}:{}".format, gaps, spaces)
inputs = st.builds("{}Action{}Input{}:{}".format, spaces, gaps, gaps, spaces)
shaped = st.lists(actions | inputs | words | free, min_size=1, max_size=7).map("".join)
usual = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", "Thought: think\n", "```\nThought: think\n", "Thought"]),
    actions,
    st.sampled_from(["search", "**search**", "", "two\nlines", "Action"]),
    inputs,
    free,
)


class Text(str):
    pass


patches = st.sampled_from(
    [None] * 9 + ["_clean_action", "_safe_repair_json", "_extract_thought", "ACTION_REGEX"]
)
answers = st.tuples(free | shaped | usual | usual.map(Text), patches)


def observe(function, example):
    """What is read, with all fields, or why it can't be."""
    text, name = example
    if name is not None:
        with mock.patch.object(parser, name, mock.Mock(return_value="patched")):
            return observe(function, (text, None))
    try:
        result = function(text)
    except parser.OutputParserError as error:
        return "error", error.error, str(error), error.__cause__, error.__context__
    assert result.text is text
    return type(result), vars(result), {key: type(value) for key, value in vars(result).items()}


_given = model_texts.texts | st.randoms(use_true_random=False).map(model_texts.spoilt)
tool_inputs = st.tuples(
    _given
    | _given.map("[{}]".format)
    | _given.map('"""{}"""'.format)
    | st.sampled_from(["", "[]", "plain words", '""']),
    st.sampled_from([*["plain"] * 4, *["long"] * 12, "patched", "repair", "verdict"]),
)


def repaired(function, example):
    """The repaired input, with every call of ``repair_json`` where that is patched."""
    text, kind = example
    calls = []

    def repair(*arguments, **options):
        calls.append((arguments, options))
        return repair_json(*arguments, **options)

    repair_json = parser.repair_json
    patch = {
        "long": mock.patch.object(json_repairing, "WORTH", 0),
        "repair": mock.patch.object(parser, "repair_json", repair),
        "patched": mock.patch.object(parser, "repair_json", lambda given: f"<{given}>"),
        "verdict": mock.patch.object(parser, "UNABLE_TO_REPAIR_JSON_RESULTS", ['{"a": 1}']),
    }
    with patch.get(kind, mock.MagicMock()):
        return outcome(function, text), calls
