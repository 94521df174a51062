"""A verbose crew: the panels that CrewAI draws at the terminal.

crewai: >=1.9.3
lines: any order

Panels are drawn by handlers in a pool of threads.
"""

from __future__ import annotations

from support import Reply, Request, play

from crewai import Agent, Crew, Task
from crewai.tools import tool


@tool
def measure(thing: str) -> str:
    """Measure a thing."""
    if thing == "the moon":
        raise ValueError("out of reach")
    return f"{thing} is 3 m long [bold]really[/bold]"


def surveyor(request: Request) -> Reply | None:
    if "Measure" not in request.text_of("user"):
        return None
    things = ("the moon", "the boat")
    if len(request.tool_results) < len(things):
        return Reply.call("measure", thing=things[len(request.tool_results)])
    return Reply(f"# Result\n\n* {request.tool_results[-1]} — {{braces}} [red]brackets[/red]")


def main() -> None:
    with play(surveyor) as llm:
        agent = Agent(
            role="Surveyor",
            goal="Measure",
            backstory="You measure.",
            tools=[measure],
            llm=llm,
            verbose=True,
        )
        task = Task(
            description="Measure {what}.\n\nIn metres, please.",
            expected_output="A length.",
            agent=agent,
        )
        crew = Crew(agents=[agent], tasks=[task], verbose=True, output_log_file="log.txt")
        print(crew.kickoff(inputs={"what": "the boat"}).raw)


if __name__ == "__main__":
    main()
