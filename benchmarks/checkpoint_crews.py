"""One side of checkpoints.py: crews that write checkpoints, or a program that loads them.

python [-m fast_crewai run] benchmarks/checkpoint_crews.py work FOLDER COUNT CREWS
python benchmarks/checkpoint_crews.py load FILE…
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import crewai.state.checkpoint_listener as listener
from crewai import Agent, Crew, Task
from crewai.events import crewai_event_bus
from crewai.llms.providers.openai.completion import OpenAICompletion
from crewai.state.checkpoint_config import CheckpointConfig
from crewai.state.runtime import RuntimeState
from crewai.tools import BaseTool
from pydantic import PrivateAttr

TASKS, STEPS = 5, 3


class Model(OpenAICompletion):
    """Uses the tool three times, then answers; plain CrewAI can load it as what it derives from."""

    _turns: int = PrivateAttr(default=0)

    def call(self, messages: Any, *_: Any, **__: Any) -> str:
        self._turns += 1
        step = self._turns % (STEPS + 1)
        if step == 0:
            return "Thought: done\nFinal Answer: the sum is known"
        return f'Thought: next\nAction: add\nAction Input: {{"a": {step}, "b": 2}}'

    def supports_function_calling(self) -> bool:
        return False

    def get_context_window_size(self) -> int:
        return 1_000_000


class Add(BaseTool):
    name: str = "add"
    description: str = "Add two numbers."

    def _run(self, a: int, b: int) -> int:
        return a + b


def build(**options: Any) -> Crew:
    agents = [
        Agent(
            role=f"W{n}",
            goal="Add",
            backstory="-",
            llm=Model(model="gpt-4o", api_key="none"),
            tools=[Add()],
        )
        for n in range(2)
    ]
    tasks = [
        Task(description=f"Add {n}.", expected_output="-", agent=agents[n % 2])
        for n in range(TASKS)
    ]
    return Crew(agents=agents, tasks=tasks, **options)


def work(folder: Path, count: int, crews: int) -> None:
    """Print {"started", "errors", "cpu_ms"} as JSON."""
    logging.disable(logging.WARNING)
    started: list[float] = []
    errors: Counter[str] = Counter()
    checkpoint = listener._do_checkpoint

    def counted(*arguments: Any) -> None:
        begun = time.thread_time()
        try:
            checkpoint(*arguments)
        except BaseException as error:
            errors[f"{type(error).__name__}: {error}"[:60]] += 1
            raise
        finally:
            started.append(time.thread_time() - begun)

    listener._do_checkpoint = counted

    def kickoffs(number: int) -> None:
        while len(started) < count:
            config = CheckpointConfig(location=str(folder / str(number)), on_events=["*"])
            build(checkpoint=config).kickoff()

    with ThreadPoolExecutor(crews) as pool:
        list(pool.map(kickoffs, range(crews)))
    crewai_event_bus.flush(timeout=60)
    cpu = sum(started) / len(started) * 1e3
    print(json.dumps({"started": len(started), "errors": errors, "cpu_ms": cpu}))


def load(paths: list[str]) -> None:
    """Load checkpoints; print how many."""
    for path in paths:
        text = Path(path).read_text(encoding="utf-8")
        state = RuntimeState.model_validate_json(text, context={"from_checkpoint": True})
        assert state.root and len(state.event_record), path
    print(len(paths))


if __name__ == "__main__":
    if sys.argv[1] == "work":
        work(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        load(sys.argv[2:])
