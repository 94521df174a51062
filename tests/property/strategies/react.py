"""Answers in ReAct format, and texts made of the same words in any order."""

from unittest import mock

from crewai.agents import parser
from hypothesis import strategies as st

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
