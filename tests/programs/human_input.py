r"""A task that asks the user at the terminal, is corrected twice, and is then accepted.

crewai: >=1.9.3
stdin: "Make it shorter.\nUse “Sie”, please.\n\n"
"""

from __future__ import annotations

from support import Reply, Request, play

from crewai import Agent, Crew, Task


def writer(request: Request) -> Reply | None:
    text = request.text
    if "Write a letter" not in text:
        return None
    if "Sie" in text:
        return Reply("Sie are invited.")
    return Reply("Invited!" if "shorter" in text else "You are cordially invited to the opening.")


def main() -> None:
    with play(writer) as llm:
        agent = Agent(role="Writer", goal="Write", backstory="You write.", llm=llm)
        letter = Task(
            description="Write a letter.",
            expected_output="A letter.",
            agent=agent,
            human_input=True,
        )
        check = Task(description="Is it fine?", expected_output="Yes.", agent=agent)
        result = Crew(agents=[agent], tasks=[letter, check]).kickoff()

    print("result:", [output.raw for output in result.tasks_output])


if __name__ == "__main__":
    main()
