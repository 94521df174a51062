"""Callbacks of steps and tasks, hooks before and after kickoff, and event listeners.

crewai: >=1.9.3
lines: any order

Handlers run in a pool of threads: their lines mix with those of the program.
"""

from __future__ import annotations

from typing import Any

from support import Reply, Request, play

from crewai import Agent, Crew, CrewOutput, Task
from crewai.events import (
    AgentExecutionCompletedEvent,
    BaseEventListener,
    CrewKickoffCompletedEvent,
    CrewKickoffStartedEvent,
    LLMCallCompletedEvent,
    TaskCompletedEvent,
    ToolUsageFinishedEvent,
    crewai_event_bus,
)
from crewai.tasks.task_output import TaskOutput
from crewai.tools import tool


@tool
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: a word"


def lexicographer(request: Request) -> Reply | None:
    if "Explain" not in request.text_of("user"):
        return None
    if not request.tool_results:
        return Reply.call("look_up", word="quoin")
    return Reply(f"Found {request.tool_results[-1]}")


class Listener(BaseEventListener):
    def __init__(self) -> None:
        self.seen: dict[str, int] = {}
        super().__init__()

    def setup_listeners(self, crewai_event_bus: Any) -> None:
        @crewai_event_bus.on(CrewKickoffStartedEvent)
        def started(source: Any, event: CrewKickoffStartedEvent) -> None:
            print("listener: crew started", type(source).__name__, event.inputs)

        @crewai_event_bus.on(CrewKickoffCompletedEvent)
        async def completed(source: Any, event: CrewKickoffCompletedEvent) -> None:
            print("listener: crew completed", event.total_tokens)

        for kind in (TaskCompletedEvent, ToolUsageFinishedEvent, LLMCallCompletedEvent):
            crewai_event_bus.on(kind)(self.count)

    def count(self, source: Any, event: Any) -> None:
        self.seen[event.type] = self.seen.get(event.type, 0) + 1


def broken(source: Any, event: AgentExecutionCompletedEvent) -> None:
    raise RuntimeError("a handler of mine is broken")


def on_step(step: Any) -> None:
    print("step:", type(step).__name__, getattr(step, "output", None) or getattr(step, "tool", ""))


def on_task(output: TaskOutput) -> None:
    print("task:", output.raw, len(output.messages))


def before(inputs: dict[str, Any] | None) -> dict[str, Any]:
    print("before:", inputs)
    return {**(inputs or {}), "added": "by the hook"}


def after(result: CrewOutput) -> CrewOutput:
    print("after:", result.raw)
    result.raw += " (seen)"
    return result


def main() -> None:
    listener = Listener()
    crewai_event_bus.on(AgentExecutionCompletedEvent)(broken)
    with play(lexicographer) as llm:
        agent = Agent(
            role="Lexicographer",
            goal="Explain",
            backstory="You know words.",
            tools=[look_up],
            llm=llm,
        )
        explain = Task(
            description="Explain {word}, {added}.",
            expected_output="An explanation.",
            agent=agent,
            callback=lambda output: print("this task:", output.summary),
        )
        crew = Crew(
            agents=[agent],
            tasks=[explain],
            step_callback=on_step,
            task_callback=on_task,
            before_kickoff_callbacks=[before],
            after_kickoff_callbacks=[after],
            output_log_file="crew_log.json",
        )
        result = crew.kickoff(inputs={"word": "quoin"})
        with crewai_event_bus.scoped_handlers():

            @crewai_event_bus.on(TaskCompletedEvent)
            def inside(source: Any, event: TaskCompletedEvent) -> None:
                print("scoped:", event.output.raw)

            crew.kickoff(inputs={"word": "ashlar"})

    print(result.raw)
    print(sorted(listener.seen.items()))


if __name__ == "__main__":
    main()
