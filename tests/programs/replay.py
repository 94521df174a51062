"""A crew that is replayed from its second task, with the stored output of the first.

crewai: >=1.9.3
lines: any order

Handlers draw panels, in a pool of threads.
"""

from __future__ import annotations

import re

from support import Reply, Request, play

from crewai import Agent, Crew, Task
from crewai.tools import tool

DRAWN: list[int] = []


@tool
def draw() -> str:
    """Draw the next number."""
    DRAWN.append(len(DRAWN) + 1)
    return str(DRAWN[-1])


def player(request: Request) -> Reply | None:
    text = request.text_of("user")
    if "Draw a number" in text:
        if not request.tool_results:
            return Reply.call("draw")
        return Reply(f"Drawn: {request.tool_results[-1]}")
    if "Name the number" in text:
        found = re.search(r"Drawn: (\d+)", text)
        return Reply(f"It was {found[1]} at the {text.count('Drawn')}. time" if found else "Lost")
    return None


def main() -> None:
    with play(player) as llm:
        agent = Agent(role="Player", goal="Play", backstory="You play.", tools=[draw], llm=llm)
        tasks = [
            Task(description="Draw a number for {who}.", expected_output="One.", agent=agent),
            Task(description="Name the number for {who}.", expected_output="It.", agent=agent),
            Task(description="Name the number again.", expected_output="It.", agent=agent),
        ]
        crew = Crew(agents=[agent], tasks=tasks)
        first = crew.kickoff(inputs={"who": "Ada"})
        second = crew.replay(str(tasks[1].id), inputs={"who": "Bob"})
        try:
            crew.replay("00000000-0000-4000-8000-000000000000")
        except ValueError as error:
            print("refused:", error)

    for result in (first, second):
        print([output.raw for output in result.tasks_output])
    print(DRAWN)


if __name__ == "__main__":
    main()
