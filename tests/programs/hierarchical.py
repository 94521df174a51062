"""A manager that delegates work to one agent and asks another, in the hierarchical process.

crewai: >=1.9.3
"""

from __future__ import annotations

from support import Reply, Request, play

from crewai import Agent, Crew, Process, Task
from crewai.tools import tool


@tool("Weather Report")
def weather(city: str, days: int = 1) -> str:
    """The weather of a city."""
    return f"{city}: sunny for {days} day(s)"


def manager(request: Request) -> Reply | None:
    if "delegate_work_to_coworker" not in request.tools:
        return None
    match len(request.tool_results):
        case 0:
            return Reply.call(
                "delegate_work_to_coworker",
                task="Look the weather up",
                context="The city is Port Aster, for three days.",
                coworker="meteorologist",
            )
        case 1:
            return Reply.call(
                "ask_question_to_coworker",
                question="What goes with sunshine?",
                context=request.tool_results[0],
                coworker="Cook",
            )
        case 2:
            return Reply.call(
                "delegate_work_to_coworker",
                task="Look the weather up",
                context="Anywhere.",
                coworker="Astrologer",  # there is none: CrewAI says who there is
            )
    return Reply(" / ".join(result.splitlines()[0] for result in request.tool_results if result))


def meteorologist(request: Request) -> Reply | None:
    if "Look the weather up" not in request.text_of("user"):
        return None
    if not request.tool_results:
        return Reply.call("weather_report", city="Port Aster", days=3)
    return Reply(f"It will be: {request.tool_results[-1]}")


def cook(request: Request) -> Reply | None:
    return Reply("Lemonade.") if "What goes with sunshine" in request.text else None


def main() -> None:
    with play(manager, meteorologist, cook) as llm:
        agents = [
            Agent(
                role="Meteorologist",
                goal="Know the weather",
                backstory="You look at the sky.",
                tools=[weather],
                llm=llm,
            ),
            Agent(role="Cook", goal="Feed people", backstory="You cook.", llm=llm),
        ]
        tasks = [
            Task(
                description="Plan a picnic in {city}.",
                expected_output="The weather, and what to drink.",
            ),
            Task(description="Say whether the picnic is on.", expected_output="A sentence."),
        ]
        crew = Crew(agents=agents, tasks=tasks, process=Process.hierarchical, manager_llm=llm)
        result = crew.kickoff(inputs={"city": "Port Aster"})

    for output in result.tasks_output:
        print(output.agent, "|", output.raw)
    print(result.token_usage)
    print([task.delegations for task in tasks], sorted(tasks[0].processed_by_agents))


if __name__ == "__main__":
    main()
