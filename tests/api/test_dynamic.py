"""The classes made from CrewAI's: they are CrewAI's, and keep the limits they are given."""

import asyncio
import threading
import warnings
from typing import Any

import pytest
from pydantic import Field

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    crewai = pytest.importorskip("crewai")
    from crewai.tools import BaseTool
    from crewai.tools.structured_tool import CrewStructuredTool, ToolUsageLimitExceededError

from fast_crewai.errors import ToolTimeoutError
from fast_crewai.tasks import AcceleratedCrew, AcceleratedTask
from fast_crewai.tools import AcceleratedBaseTool, AcceleratedStructuredTool

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # CrewAI's own


class Flaky(AcceleratedBaseTool):  # type: ignore[misc]
    name: str = "flaky"
    description: str = "Fails at first."
    failures: int = 0
    calls: list[str] = Field(default_factory=list)

    def _run(self, text: str) -> str:
        self.calls.append(text)
        if len(self.calls) <= self.failures:
            raise LookupError(text)
        return text.upper()


class Answer(crewai.BaseLLM):  # type: ignore[misc]
    def call(self, *_: Any, **__: Any) -> str:
        return "Thought: done\nFinal Answer: 42"


class Child(Flaky):
    def _run(self, text: str) -> str:
        return super()._run(text + "!")


def test_it_is_crewais_tool() -> None:
    tool = Flaky()
    assert isinstance(tool, BaseTool) and issubclass(AcceleratedBaseTool, BaseTool)
    assert (tool.retries, tool.timeout_seconds, tool.timings) == (0, None, [])
    assert tool.run(text="a") == "A" and len(tool.timings) == 1
    assert list(tool.args_schema.model_fields) == ["text"]
    structured = tool.to_structured_tool()
    assert structured.invoke({"text": "b"}) == "B" and len(tool.timings) == 2
    with pytest.raises(Exception, match="abstract"):
        AcceleratedBaseTool(name="x", description="y")
    agent = crewai.Agent(role="r", goal="g", backstory="b", llm=Answer(model="fake"), tools=[tool])
    assert agent.tools == [tool]


@pytest.mark.parametrize("class_", [Flaky, Child])
def test_retries(class_: Any) -> None:
    tool = class_(failures=2, retries=2, retry_backoff_seconds=0)
    assert tool.run(text="a") == ("A" if class_ is Flaky else "A!")
    assert len(tool.calls) == len(tool.timings) == 3
    tool = class_(failures=3, retries=2, retry_backoff_seconds=0)
    with pytest.raises(LookupError):
        tool.to_structured_tool().invoke({"text": "a"})
    assert len(tool.calls) == 3
    assert class_(failures=1).calls == []
    with pytest.raises(LookupError):
        class_(failures=1).run(text="a")


def test_timeouts() -> None:
    go = threading.Event()

    class Slow(AcceleratedBaseTool):  # type: ignore[misc]
        name: str = "slow"
        description: str = "Waits."

        def _run(self) -> str:
            go.wait(30)
            return "done"

    try:
        with pytest.raises(ToolTimeoutError, match=r"slow: no result after 0\.05 s"):
            Slow(timeout_seconds=0.05).run()
    finally:
        go.set()
    assert Slow(timeout_seconds=30).run() == "done"


def test_structured_tools() -> None:
    calls: list[int] = []

    def double(number: int) -> int:
        """Doubles."""
        calls.append(number)
        if len(calls) < 3:
            raise LookupError
        return 2 * number

    tool = AcceleratedStructuredTool.from_function(double, retries=2, retry_backoff_seconds=0)
    assert isinstance(tool, CrewStructuredTool)
    assert tool.invoke({"number": 4}) == 8 and len(tool.timings) == 3
    assert asyncio.run(tool.ainvoke({"number": 5})) == 10
    used = AcceleratedStructuredTool.from_function(double, retries=9, max_usage_count=1)
    used.invoke({"number": 4})
    with pytest.raises(ToolUsageLimitExceededError):
        used.invoke({"number": 4})
    assert len(used.timings) == 2

    async def forever() -> None:
        """Waits."""
        await asyncio.sleep(60)

    slow = AcceleratedStructuredTool.from_function(forever, timeout_seconds=0.05)
    with pytest.raises(ToolTimeoutError):
        asyncio.run(slow.ainvoke({}))


def test_tasks_and_crews() -> None:
    agent = crewai.Agent(role="r", goal="g", backstory="b", llm=Answer(model="fake"))
    task = AcceleratedTask(description="Ask.", expected_output="Answer.", agent=agent)
    assert isinstance(task, crewai.Task)
    crew = AcceleratedCrew(agents=[agent], tasks=[task])
    assert isinstance(crew, crewai.Crew)
    assert crew.kickoff().raw == "42"
    assert len(crew.timings) == len(task.timings) == 1
    assert 0 < task.timings[0] <= crew.timings[0]
