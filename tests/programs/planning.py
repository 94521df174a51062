"""A crew that plans before it works, and an agent that reasons before its task.

crewai: >=1.12
"""

from __future__ import annotations

from support import Reply, Request, play

from crewai import Agent, Crew, Task
from crewai.tools import tool


@tool
def hammer(nail: str) -> str:
    """Hit a nail."""
    return f"{nail} is in"


def planner(request: Request) -> Reply | None:
    if "list_of_plans_per_task" not in str(request.schema):
        return None
    plans = [
        {"task_number": number, "task": f"Task {number}", "plan": f"1. Do {what}.\n2. Look."}
        for number, what in ((1, "hammer"), (2, "paint"))
    ]
    return Reply.json({"list_of_plans_per_task": plans})


def reasoner(request: Request) -> Reply | None:
    for name, schema in request.tools.items():
        if "plan" in schema.get("properties", {}):
            return Reply.call(name, plan="Look, then paint.", steps=[], ready=True)
    if "READY" in request.text and "hammer" not in request.tools:
        return Reply("Look, then paint.\n\nREADY: I am ready to execute the task.")
    return None


def worker(request: Request) -> Reply | None:
    if "Build" not in request.text_of("user"):
        return None
    if "hammer" in request.tools and not request.tool_results:
        return Reply.call("hammer", nail="The first nail")
    return Reply("It is built.")


def main() -> None:
    with play(planner, reasoner, worker) as llm:
        builder = Agent(role="Builder", goal="Build", backstory="Strong.", tools=[hammer], llm=llm)
        painter = Agent(role="Painter", goal="Paint", backstory="Patient.", llm=llm, reasoning=True)
        tasks = [
            Task(description="Build a {thing}.", expected_output="A {thing}.", agent=builder),
            Task(description="Paint it.", expected_output="Colour.", agent=painter),
        ]
        crew = Crew(agents=[builder, painter], tasks=tasks, planning=True, planning_llm=llm)
        result = crew.kickoff(inputs={"thing": "shed"})

    for task, output in zip(tasks, result.tasks_output, strict=True):
        print(task.description, "|", output.raw)


if __name__ == "__main__":
    main()
