"""A crew that looks up figures, compares them and writes a structured report.

Without a key it runs offline, on a model played by research_script.py::

    python examples/research_crew.py
    OPENAI_API_KEY=... python examples/research_crew.py
    python examples/research_crew.py --base-url http://localhost:11434/v1 --model openai/llama3.1
"""

from __future__ import annotations

from typing import Any

from endpoint import choose_endpoint

if __name__ == "__main__":
    ENDPOINT = choose_endpoint(__doc__)

from crewai import LLM, Agent, Crew, Process, Task
from crewai.tools import BaseTool, tool
from pydantic import BaseModel, Field
from research_script import SCRIPT

NOTES = {
    "trips": "Trips by shared bicycle in Port Aster: 410000 in 2022, 533000 in 2023.",
    "stations": "Docking stations in Port Aster: 120 in 2022, 150 in 2023.",
    "repairs": "Repairs in Port Aster: 5200 in 2022, 4680 in 2023. Most are flat tyres.",
}


@tool
def search_notes(query: str) -> str:
    """Search the city's notes; returns those that contain a word of the query."""
    words = query.lower().split()
    found = [note for key, note in NOTES.items() if any(word in key for word in words)]
    return "\n".join(found) or "Nothing found."


class PercentChangeArguments(BaseModel):
    before: float = Field(description="The earlier figure")
    after: float = Field(description="The later figure")


class PercentChange(BaseTool):
    name: str = "percent_change"
    description: str = "The change from one figure to another, in percent."
    args_schema: type[BaseModel] = PercentChangeArguments

    def _run(self, before: float, after: float) -> str:
        return f"{(after - before) / before:+.1%}"


class KeyFigure(BaseModel):
    name: str
    change: str = Field(description="In percent, with a sign")


class Report(BaseModel):
    title: str
    figures: list[KeyFigure]
    recommendation: str


def build_crew(settings: dict[str, Any]) -> Crew:
    researcher = Agent(
        role="Researcher on {topic}",
        goal="Find reliable figures on {topic}",
        backstory="You look things up and never guess.",
        tools=[search_notes, PercentChange()],
        llm=LLM(**settings),
    )
    writer = Agent(
        role="Writer on {topic}",
        goal="Explain {topic} to the city council",
        backstory="You write short sentences and check what you quote.",
        tools=[search_notes],
        llm=LLM(**settings),
    )
    gather = Task(
        description="Gather the figures on {topic}: trips, stations and repairs.",
        expected_output="One line for each figure, with both years.",
        agent=researcher,
    )
    compare = Task(
        description="Compare the years: the change of each figure on {topic}, in percent.",
        expected_output="One line for each figure, with its change.",
        agent=researcher,
        context=[gather],
    )
    report = Task(
        description="Write a report on {topic} with a recommendation for {year}.",
        expected_output="A title, the key figures with their change, a recommendation.",
        agent=writer,
        context=[gather, compare],
        output_pydantic=Report,
    )
    return Crew(
        agents=[researcher, writer],
        tasks=[gather, compare, report],
        process=Process.sequential,
        verbose=False,
    )


def main() -> None:
    with ENDPOINT.connect(SCRIPT) as settings:
        crew = build_crew(settings)
        result = crew.kickoff(inputs={"topic": "bicycle sharing", "year": "2024"})

    for number, output in enumerate(result.tasks_output, start=1):
        print(f"--- Task {number}, by the {output.agent}: {output.description}")
        print(output.raw, end="\n\n")
    assert isinstance(result.pydantic, Report)
    print("--- Report")
    print(result.pydantic.model_dump_json(indent=2))
    print(f"Model calls: {result.token_usage.successful_requests}")


if __name__ == "__main__":
    main()
