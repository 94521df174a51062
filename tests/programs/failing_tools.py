"""Tools that fail: they raise, get wrong arguments, don't exist, are used up, or end the task.

crewai: >=1.9.3
"""

from __future__ import annotations

from typing import Any

from support import Reply, Request, ToolCall, play

from crewai import Agent, Crew, Task
from crewai.tools import BaseTool, tool
from pydantic import BaseModel, Field


@tool
def explode(fuse: int) -> str:
    """Fail."""
    raise RuntimeError(f"the fuse of {fuse} is too short: {{really}}")


class RangeArguments(BaseModel):
    low: int = Field(ge=0)
    high: int


class Range(BaseTool):
    name: str = "Number Range!"
    description: str = "List numbers."
    args_schema: type[BaseModel] = RangeArguments
    max_usage_count: int | None = 2

    def _run(self, low: int, high: int) -> list[int]:
        return list(range(low, high))


@tool
def odd_result(kind: str) -> Any:
    """Give something that isn't text."""
    return {"none": None, "dict": {"a": [1, 2]}, "object": object}.get(kind)


@tool("verdict", result_as_answer=True)
def verdict(guilty: bool) -> str:
    """The last word."""
    return "guilty" if guilty else "not guilty"


def call(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(name, arguments)


STEPS = (
    call("explode", fuse=3),
    call("explode", fuse="long"),
    call("explode"),
    call("no_such_tool", x=1),
    call("number_range", low=1, high=4),
    call("number_range", low=-1, high=4),
    call("number_range", low="1", high="3", extra="ignored"),
    call("number_range", low=5, high=6),
    call("odd_result", kind="dict"),
    call("odd_result", kind="none"),
)


def tester(request: Request) -> Reply | None:
    if "Try the tools" not in request.text_of("user"):
        return None
    done = len(request.tool_results)
    if done < len(STEPS):
        return Reply(tool_calls=(STEPS[done],))
    return Reply("\n".join(request.tool_results))


def judge(request: Request) -> Reply | None:
    if "Judge" not in request.text_of("user"):
        return None
    return Reply.call("verdict", guilty=False)


def endless(request: Request) -> Reply | None:
    if "Never stop" not in request.text_of("user"):
        return None
    if request.tools:
        return Reply.call("odd_result", kind=f"again {len(request.tool_results)}")
    return Reply("I had to stop.")


def main() -> None:
    with play(tester, judge, endless) as llm:
        numbers = Range()
        agent = Agent(
            role="Tester",
            goal="Try",
            backstory="You try.",
            tools=[explode, numbers, odd_result],
            llm=llm,
        )
        court = Agent(role="Judge", goal="Judge", backstory="You judge.", llm=llm)
        tired = Agent(
            role="Tired", goal="Stop", backstory="", tools=[odd_result], llm=llm, max_iter=3
        )
        tasks = [
            Task(description="Try the tools.", expected_output="All results.", agent=agent),
            Task(description="Judge.", expected_output="It.", agent=court, tools=[verdict]),
            Task(description="Never stop.", expected_output="Nothing.", agent=tired),
        ]
        result = Crew(agents=[agent, court, tired], tasks=tasks).kickoff()

    for output in result.tasks_output:
        print(output.raw)
    print([(task.used_tools, task.tools_errors) for task in tasks], numbers.current_usage_count)
    print(result.token_usage)


if __name__ == "__main__":
    main()
