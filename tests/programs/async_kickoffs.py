"""Several crews at once: native async, in threads, and tasks that run beside each other.

crewai: >=1.12
order: per root
varies: total_tokens
lines: any order

The crews are roots of their own and interleave freely; within each, events are in order.
The crews share one model object, whose count of tokens goes on while the others work. CrewAI
1.9.3 does not await tools that are coroutines. 1.12 loses some coroutines: a race decides which
thread drops one last, and so the line that Python's warning names; their number is compared.
"""

from __future__ import annotations

import asyncio
import re
import warnings
from typing import Any

from support import Reply, Request, play

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool


@tool
async def square(number: int) -> str:
    """The square of a number."""
    await asyncio.sleep(0)
    return str(number * number)


def mathematician(request: Request) -> Reply | None:
    number = re.search(r"Square the number (\d+)", request.text_of("user"))
    if not number:
        return None
    if not request.tool_results:
        return Reply.call("square", number=int(number[1]))
    return Reply(f"The square of {number[1]} is {request.tool_results[-1]}.")


def comment(request: Request) -> Reply | None:
    found = re.search(r"The square of \d+ is \d+\.", request.text_of("user"))
    return Reply(f"Indeed: {found[0]}") if found else None


def build(llm: LLM, name: str) -> Crew:
    agent = Agent(
        role="Mathematician", goal="Square", backstory="You know.", tools=[square], llm=llm
    )
    critic = Agent(role="Critic", goal="Comment", backstory="You agree.", llm=llm)
    tasks = [
        Task(
            name=f"square {name}",
            description="Square the number {number}.",
            expected_output="A number.",
            agent=agent,
        ),
        Task(name=f"comment {name}", description="Comment.", expected_output="Yes.", agent=critic),
    ]
    return Crew(name=name, agents=[agent, critic], tasks=tasks)


async def run(llm: LLM) -> list[str]:
    native = [build(llm, f"native {n}").akickoff(inputs={"number": n}) for n in (2, 3, 4)]
    first = await asyncio.gather(*native)
    threads = [build(llm, f"thread {n}").kickoff_async(inputs={"number": n}) for n in (5, 6)]
    second = await asyncio.gather(*threads)
    third = await build(llm, "each").akickoff_for_each([{"number": 7}, {"number": 8}])
    return [result.raw for result in (*first, *second, *third)]


def tell_of_each_lost_coroutine() -> None:
    """Each one, not each place, and without the place."""
    formatted = warnings.formatwarning

    def told(message: Warning | str, category: type[Warning], *place: Any) -> str:
        if "was never awaited" in str(message):
            return f"{category.__name__}: {message}\n"
        return formatted(message, category, *place)

    warnings.formatwarning = told
    warnings.filterwarnings("always", ".* was never awaited", RuntimeWarning)


def main() -> None:
    tell_of_each_lost_coroutine()
    with play(mathematician, comment) as llm:
        for line in asyncio.run(run(llm)):
            print(line)


if __name__ == "__main__":
    main()
