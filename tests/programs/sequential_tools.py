"""A crew of two agents in sequence; they look things up and calculate with tools.

crewai: >=1.9.3
races: tool_usage_started tool_usage_finished

Tools that the model calls at once run in threads of a pool, side by side.
"""

from __future__ import annotations

import re

from support import Reply, Request, ToolCall, play

from crewai import Agent, Crew, Process, Task
from crewai.tools import BaseTool, tool
from pydantic import BaseModel, Field

STOCK = {"apples": 12, "pears": 7, "plums": 0}


@tool
def count_stock(fruit: str) -> str:
    """Say how many pieces of a fruit are in stock."""
    return f"{fruit}: {STOCK[fruit]}"


class AddArguments(BaseModel):
    numbers: list[int] = Field(description="What to add")
    unit: str = Field(default="pieces")


class Add(BaseTool):
    name: str = "Add Numbers"
    description: str = "Add numbers up."
    args_schema: type[BaseModel] = AddArguments

    def _run(self, numbers: list[int], unit: str = "pieces") -> str:
        return f"{sum(numbers)} {unit}"


def clerk(request: Request) -> Reply | None:
    if "Count the stock" not in request.text_of("user"):
        return None
    match len(request.tool_results):
        case 0:
            return Reply.call("count_stock", fruit="apples")
        case 1:
            return Reply(
                "Two at once.",
                tuple(ToolCall("count_stock", {"fruit": fruit}) for fruit in ("pears", "plums")),
            )
        case 3:
            return Reply.call("count_stock", fruit="apples")  # again: CrewAI remembers the result
    return Reply("; ".join(request.tool_results[:3]))


def accountant(request: Request) -> Reply | None:
    if "Add up the stock" not in request.text_of("user"):
        return None
    if not request.tool_results:
        counts = [int(n) for n in re.findall(r"\w+: (\d+)", request.text_of("user"))]
        return Reply.call("add_numbers", numbers=counts)
    return Reply(f"In all there are {request.tool_results[-1]}. “Fertig”, 完了 ✓")


def main() -> None:
    with play(clerk, accountant, alias="api.openai.com") as llm:
        counter = Agent(
            role="Clerk of {shop}",
            goal="Know the stock of {shop}",
            backstory="You count.",
            tools=[count_stock],
            llm=llm,
        )
        adder = Agent(
            role="Accountant", goal="Add", backstory="You add.", tools=[Add()], llm=llm, max_iter=5
        )
        count = Task(
            name="count",
            description="Count the stock of {shop}: apples, pears and plums.",
            expected_output="One number for each fruit.",
            agent=counter,
        )
        add = Task(
            description="Add up the stock of {shop}.",
            expected_output="One number.",
            agent=adder,
            context=[count],
        )
        crew = Crew(agents=[counter, adder], tasks=[count, add], process=Process.sequential)
        result = crew.kickoff(inputs={"shop": "the {corner} shop"})
        again = crew.kickoff(inputs={"shop": "the other shop"})

    for output in (*result.tasks_output, *again.tasks_output):
        print(output.name, "|", output.agent, "|", output.description, "|", output.raw)
        print(len(output.messages), "messages")
    print(result.raw)
    print(result.token_usage)
    print(crew.usage_metrics)
    print([task.used_tools for task in crew.tasks], [task.tools_errors for task in crew.tasks])


if __name__ == "__main__":
    main()
