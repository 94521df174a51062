"""Long hostile answers: CrewAI's own expressions would need minutes to years for these."""

import re
from typing import Any

import pytest
from crewai.agents import constants
from crewai.agents.parser import AgentAction, OutputParserError
from hypothesis import given, settings
from strategies import react

import fast_crewai
from fast_crewai import engine
from fast_crewai.hooks.areas.react_parser import _ACTION, _INPUT, action_and_input

N = 100_000
NO_ACTION = "I missed the 'Action:' after 'Thought:'"
NO_INPUT = "I missed the 'Action Input:' after 'Action:'"


@pytest.fixture(scope="module")
def parse() -> Any:
    fast_crewai.install()
    yield engine.registry().states["agents.react-parser"].dispatcher.attribute
    fast_crewai.uninstall()


def groups(match: Any) -> Any:
    return match and (match.group(1), match.group(2))


@settings(max_examples=2_000, deadline=None, database=None)
@given(react.free | react.shaped | react.usual)
def test_the_same_matches(text: str) -> None:
    assert groups(action_and_input(text)) == groups(constants.ACTION_INPUT_REGEX.search(text))
    for ours, theirs in (
        (_ACTION, constants.ACTION_REGEX),
        (_INPUT, constants.ACTION_INPUT_ONLY_REGEX),
    ):
        assert (ours.search(text) is None) == (theirs.search(text) is None)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("Action:" + "\n" * N, NO_INPUT),
        ("Action:" * N, NO_INPUT),
        ("Action: x\n" * N, NO_INPUT),
        ("Action" + " " * N, NO_ACTION),
        ("Action" + "1" * N, NO_ACTION),
        ("Action " * N, NO_ACTION),
        (" " * N + "Action 1 " * N, NO_ACTION),
        ("\n" * N, NO_ACTION),
        ("Action:" + "Action Input" * N, NO_INPUT),
        ("Action:" + "Action" + " " * N + "Input" + " " * N, NO_INPUT),
        ("Action:" + ("Action" + " " * 300 + "1" * 300) * 300, NO_INPUT),
    ],
)
def test_long_answers_without_an_action_or_an_input(parse: Any, text: str, missing: str) -> None:
    with pytest.raises(OutputParserError, match=re.escape(missing)):
        parse(text)


def test_long_answers_with_both(parse: Any) -> None:
    blank = "\n \t" * N
    action, given = f"Action{blank}1{blank}:{blank}**find**", f"Action{blank}Input{blank}:[{blank}]"
    text = f"Thought: t\n{action}{blank}{given}"
    assert parse(text) == AgentAction("Thought: t", "find", f"[{blank}]", text)
    text = "Action Input: 1\n" * N + "Action: find\nAction Input: [2]"
    assert parse(text) == AgentAction(text[: text.index("\n")], "find", "[2]", text)
