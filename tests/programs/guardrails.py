"""Guardrails: functions that refuse an answer once and then let it pass, and one that never does.

crewai: >=1.9.3
lines: any order

Handlers draw panels for what fails, in a pool of threads.
"""

from typing import Any  # CrewAI reads the annotations: they must not be strings

from support import Reply, Request, play

from crewai import Agent, Crew, Task
from crewai.tasks.task_output import TaskOutput

SEEN: list[str] = []


def writer(request: Request) -> Reply | None:
    text = request.text_of("user")
    if "Write about tea" in text:
        return Reply("Tea is made of leaves." if "Too short" in text else "Tea.")
    if "Write about coffee" in text:
        return Reply("Coffee!")
    if "a judgement" in text or "guardrail" in request.text.lower():
        return Reply.json({"valid": True, "feedback": None})
    return None


def long_enough(output: TaskOutput) -> tuple[bool, Any]:
    SEEN.append(output.raw)
    if len(output.raw.split()) < 3:
        return False, "Too short: write a sentence."
    return True, output.raw.upper()


def never(output: TaskOutput) -> tuple[bool, Any]:
    SEEN.append(output.raw)
    return False, f"No: {len(SEEN)}"


def main() -> None:
    with play(writer) as llm:
        agent = Agent(role="Writer", goal="Write", backstory="You write.", llm=llm)
        tea = Task(
            description="Write about tea.",
            expected_output="A sentence.",
            agent=agent,
            guardrail=long_enough,
        )
        more = Task(
            description="Write about tea again.",
            expected_output="A sentence.",
            agent=agent,
            guardrails=[long_enough, lambda output: (True, output.raw.title())],
        )
        coffee = Task(
            description="Write about coffee.",
            expected_output="A sentence.",
            agent=agent,
            guardrail=never,
            guardrail_max_retries=2,
        )
        result = Crew(agents=[agent], tasks=[tea, more]).kickoff()
        print([output.raw for output in result.tasks_output], tea.retry_count, more.retry_count)
        try:
            Crew(agents=[agent], tasks=[coffee]).kickoff()
        except Exception as error:
            print(type(error).__name__, error)

        strict = Agent(
            role="Strict writer",
            goal="Write",
            backstory="You write.",
            llm=llm,
            guardrail=lambda output: ("." in output.raw, "Too short: no full stop."),
        )
        print(strict.kickoff("Write about tea.").raw)
    print(SEEN)


if __name__ == "__main__":
    main()
