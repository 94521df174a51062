"""One side of benchmarks/crew.py: runs a workload each time a line comes in, and says what it cost.

Answers with JSON lines: {"cpu_ms", "wall_ms", "output"}. An unchanged CrewAI program: the other
side is this same file under `python -m fast_crewai run`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))

from crewai import Agent, BaseLLM, Crew, Task
from crewai.tools import tool
from research_crew import build_crew

STEPS = 20


class ScriptedModel(BaseLLM):
    """A text model (ReAct format) without latency: calls the tool STEPS times, then answers."""

    def call(self, messages: Any, *_: Any, **__: Any) -> str:
        done = str(messages).count("Observation: ")
        if done >= STEPS:
            return "Thought: done\nFinal Answer: the sum is known"
        return f'Thought: next\nAction: add\nAction Input: {{"a": {done}, "b": 1}}'

    def supports_function_calling(self) -> bool:
        return False


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def research(base_url: str) -> str:
    crew = build_crew({"model": "openai/gpt-4o-mini", "base_url": base_url, "api_key": "x"})
    result = crew.kickoff(inputs={"topic": "bicycle sharing", "year": "2024"})
    return "\n".join(task.raw for task in result.tasks_output)


def react(_base_url: str) -> str:
    model = ScriptedModel(model="scripted")
    agent = Agent(
        role="Adder", goal="Add", backstory="You add.", llm=model, tools=[add], max_iter=STEPS + 5
    )
    task = Task(description="Add the numbers.", expected_output="A sum.", agent=agent)
    return Crew(agents=[agent], tasks=[task]).kickoff().raw


WORKLOADS: dict[str, Callable[[str], str]] = {"research": research, "react": react}


def main() -> None:
    workload, base_url = WORKLOADS[sys.argv[1]], sys.argv[2]
    answers = sys.stdout
    sys.stdout = sys.stderr  # what CrewAI prints is no answer
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        output = workload(base_url)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        answer = {"cpu_ms": cpu * 1e3, "wall_ms": wall * 1e3, "output": output}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
