"""Answers as pydantic objects and JSON: of tasks, of an agent, of a model call.

crewai: >=1.9.3
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from support import Reply, Request, play

from crewai import Agent, Crew, Task
from crewai.tools import tool
from pydantic import BaseModel, Field


class Size(str, Enum):
    SMALL = "small"
    LARGE = "large"


class Leg(BaseModel):
    place: str
    hours: float = Field(ge=0)


class Trip(BaseModel):
    """A trip with its legs."""

    title: str
    size: Size
    legs: list[Leg]
    notes: str | None = None
    ratings: dict[str, int] = {}


TRIP = {
    "title": "Up the “river”",
    "size": "large",
    "legs": [{"place": "Port Aster", "hours": 1.5}, {"place": "Über-See", "hours": 2}],
    "ratings": {"fun": 5},
}


@tool
def timetable(place: str) -> str:
    """When boats leave."""
    return f"{place}: every hour"


def planner(request: Request) -> Reply | None:
    if request.tools and not request.tool_results and "timetable" in request.tools:
        return Reply.call("timetable", place="Port Aster")
    if "Plan a trip" in request.text or request.schema:
        return Reply.json(TRIP)
    return None


def main() -> None:
    with play(planner) as llm:
        agent = Agent(
            role="Planner", goal="Plan", backstory="You plan.", tools=[timetable], llm=llm
        )
        bare = Agent(role="Planner without tools", goal="Plan", backstory="You plan.", llm=llm)
        common = {"expected_output": "A trip."}
        tasks = [
            Task(description="Plan a trip.", agent=agent, output_pydantic=Trip, **common),
            Task(description="Plan a trip, as JSON.", agent=agent, output_json=Trip, **common),
            Task(description="Plan a trip, plain.", agent=bare, output_pydantic=Trip, **common),
            Task(
                description="Plan a trip for the file.",
                agent=bare,
                output_file="trips/{name}.json",
                output_json=Trip,
                **common,
            ),
            Task(
                description="Plan a trip in markdown.",
                agent=bare,
                output_file="trip.md",
                markdown=True,
                **common,
            ),
        ]
        result = Crew(agents=[agent, bare], tasks=tasks).kickoff(inputs={"name": "north"})
        alone = bare.kickoff("Plan a trip.", response_format=Trip)
        with_tool = agent.kickoff([{"role": "user", "content": "Plan a trip."}])
        direct = llm.call("Plan a trip.", response_model=Trip)

    for output in result.tasks_output:
        print(output.output_format, "|", output.raw, "|", output.pydantic, "|", output.json_dict)
    print(result.to_dict())
    print(repr(alone.pydantic), alone.raw)
    print(with_tool.raw, with_tool.agent_role)
    print(type(direct).__name__, direct)
    for path in sorted(Path().rglob("*.*")):
        print(path, path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
