"""A crew with tasks that run in threads beside each other, and a conditional one.

crewai: >=1.9.3
order: per task_started
lines: any order

Two tasks run at once in threads: what happens in them is compared, not in which order.
"""

from __future__ import annotations

import re

from support import Reply, Request, play

from crewai import Agent, Crew, Task
from crewai.tasks.conditional_task import ConditionalTask
from crewai.tasks.task_output import TaskOutput


def poet(request: Request) -> Reply | None:
    found = re.search(r"Write a line about (\w+)", request.text_of("user"))
    return Reply(f"O {found[1]}!") if found else None


def editor(request: Request) -> Reply | None:
    if "Join the lines" not in request.text_of("user"):
        return None
    return Reply(" ".join(sorted(set(re.findall(r"O \w+!", request.text_of("user"))))))


def is_short(output: TaskOutput) -> bool:
    return len(output.raw) < 10


def main() -> None:
    with play(poet, editor) as llm:
        agents = [  # one agent can't do two tasks at once
            Agent(role=f"Poet {number}", goal="Write", backstory="You rhyme.", llm=llm)
            for number in (1, 2)
        ]
        lines = [
            Task(
                description=f"Write a line about {subject}.",
                expected_output="A line.",
                agent=agent,
                async_execution=True,
            )
            for subject, agent in zip(("rain", "snow"), agents, strict=True)
        ]
        join = Task(
            description="Join the lines.", expected_output="A poem.", agent=agents[0], context=lines
        )
        more = ConditionalTask(
            description="Write a line about wind.",
            expected_output="A line.",
            agent=agents[0],
            condition=is_short,
        )
        result = Crew(agents=agents, tasks=[*lines, join, more]).kickoff()

    for output in result.tasks_output:
        print(repr(output.description), "|", repr(output.raw))


if __name__ == "__main__":
    main()
