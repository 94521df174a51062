"""The kept texts and the benchmark's hostile inputs, each of them both ways.

What the fuzz finds (fuzz.py, or any test of this kind) goes into ``model_texts.CORPUS``.
"""

import sys
from pathlib import Path

import pytest
from strategies import model_texts, react
from strategies.data import outcome

import fast_crewai
from fast_crewai import engine

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from stalls import inputs


def arguments(function, text):
    """Where the stack ends, by a few frames, decides what else a RecursionError says."""
    (kind, value), log = model_texts.tool_input(function, (text, "long"))
    return (kind, None if kind is RecursionError else value), log


ANSWER = "Thought: t\nAction: do\nAction Input: "
WAYS = {
    "agents.react-parser": lambda function, text: [
        outcome(react.observe, function, (given, None)) for given in (text, ANSWER + text)
    ],
    "agents.react-repair": lambda function, text: [
        react.repaired(function, (given, "long")) for given in (text, f'"""{text}"""', f"[{text}")
    ],
    "tools.input": lambda function, text: [
        arguments(function, given)
        for given in (text, text + "}", text[: len(text) // 2], text[:-1])
    ],
    "tasks.partial-json": lambda function, text: model_texts.partial_json(
        function, (text, "plain")
    ),
}
SHORT = {name: text for name, (_, text) in inputs(900).items()}


@pytest.fixture(scope="module", params=WAYS)
def both(request):
    fast_crewai.install()
    ours = engine.registry().states[request.param].dispatcher.attribute
    yield WAYS[request.param], ours, ours.__wrapped__
    fast_crewai.uninstall()


@pytest.mark.parametrize("text", model_texts.CORPUS)
def test_kept_texts(both, text):
    way, ours, theirs = both
    assert way(ours, text) == way(theirs, text)


@pytest.mark.parametrize("name", SHORT)
def test_the_benchmarks_inputs(both, name):
    way, ours, theirs = both
    assert way(ours, SHORT[name]) == way(theirs, SHORT[name])
