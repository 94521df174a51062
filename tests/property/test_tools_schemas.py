"""The rendered schemas keep no class alive, stay few, and a real crew reaches them."""

import gc
import weakref
from typing import Any
from unittest import mock

import pytest
from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from crewai.tools import structured_tool, tool
from pydantic import create_model

import fast_crewai
from fast_crewai import engine
from fast_crewai.hooks.areas.kept import Kept


@pytest.fixture(autouse=True)
def installed() -> Any:
    fast_crewai.install()
    yield
    fast_crewai.uninstall()


class Scripted(BaseLLM):
    """Calls the tool twice, then answers."""

    turns: int = 0

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        self.turns += 1
        if self.turns < 3:
            return f'Thought: go\nAction: echo\nAction Input: {{"text": "{self.turns}"}}'
        return "Thought: done\nFinal Answer: done"

    def supports_function_calling(self) -> bool:
        return False


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # CrewAI's own fields
def test_a_crew_reaches_the_routes() -> None:
    @tool
    def echo(text: str) -> str:
        """Say it again."""
        return text

    states = engine.registry().states
    names = ("tools.tool-description", "agents.executor-state")
    before = [(states[name].tally.calls, states[name].tally.fallbacks) for name in names]
    agent = Agent(role="r", goal="g", backstory="b", llm=Scripted(model="fake"), tools=[echo])
    task = Task(description="d", expected_output="e", agent=agent)
    assert Crew(agents=[agent], tasks=[task]).kickoff().raw == "done"
    for name, (calls, fallbacks) in zip(names, before, strict=True):
        assert states[name].tally.calls > calls
        assert states[name].tally.fallbacks == fallbacks, states[name].tally.reasons


def test_a_rendered_class_dies() -> None:
    model = create_model("Args", text=(str, ...))
    for _ in range(2):
        structured_tool.format_description_for_llm("n", model, "d")
    seen = weakref.ref(model)
    del model
    gc.collect()
    assert seen() is None


def test_what_is_kept_is_bounded() -> None:
    kept = Kept()
    kept.put("long", "x" * 1_000_000)
    assert kept.get("long") is None
    for number in range(2_000):
        kept.put(str(number), "x")
    assert kept.get("0") is None
    assert kept.get("1999") == "x"
    assert sum(kept.get(str(number)) is not None for number in range(2_000)) <= 512


def test_a_patched_maker_of_schemas_is_called() -> None:
    model = create_model("Patched", text=(str, ...))
    for _ in range(2):
        assert "text" in structured_tool.format_description_for_llm("t", model, "d")
    with mock.patch("pydantic.main.model_json_schema", return_value={"properties": {}}):
        assert "text" not in structured_tool.format_description_for_llm("t", model, "d")
