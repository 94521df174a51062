"""Many crews at once, with failing tools and models: each must end as it does alone.

    python tests/stress.py [--crews 200] [--repetitions 50]

Plain CrewAI runs them one after the other in a process of its own; then, with the accelerator
on, all of them run at once, again and again: `akickoff`, `kickoff_async` and threads in turns.
Results, exceptions, tool runs and every event of every crew are compared. Ends with 1 and the
first difference; a repetition that takes over five minutes counts as a deadlock.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

LIMIT = 300  # seconds for one repetition
QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
}
WAYS = ("akickoff", "kickoff_async", "threads")
TURNS = ("works", "works", "fails", "unknown", "garbled", "model error")


def build() -> Any:
    """(make a crew, its events so far, its tool runs so far), by number."""
    from crewai import Agent, BaseLLM, Crew, Task
    from crewai.events import crewai_event_bus
    from crewai.events.base_events import BaseEvent
    from crewai.tools import BaseTool
    from pydantic import Field

    events: dict[str, Counter[str]] = {}
    runs: Counter[str] = Counter()

    class Model(BaseLLM):
        turns: Any = Field(default_factory=list)

        def call(self, *_: Any, **__: Any) -> str:
            time.sleep(0.002)
            turn = self.turns.pop(0) if self.turns else "answer"
            if turn == "model error":
                raise RuntimeError("the model is overloaded")
            if turn == "garbled":
                return "Thought: go on\nAction: work"
            if turn == "answer":
                return "Thought: done\nFinal Answer: all done"
            text = f"{turn} {len(self.turns)}"
            tool = "unknown" if turn == "unknown" else "work"
            return f'Thought: go on\nAction: {tool}\nAction Input: {{"text": "{text}"}}'

        async def acall(self, *_: Any, **__: Any) -> str:
            await asyncio.sleep(0)
            return self.call()

        def supports_function_calling(self) -> bool:
            return False

        def get_input_tokens_count(self, *_: Any, **__: Any) -> int:
            return 1000

    class Work(BaseTool):
        name: str = "work"
        description: str = "Works."
        owner: str = ""

        def _run(self, text: str) -> str:
            runs[self.owner] += 1
            if text.startswith("fails"):
                raise ValueError(f"failed at {text}")
            return f"worked on {text}"

    def owner_of(event: Any) -> str:
        names = (getattr(event, name, None) for name in ("agent_role", "crew_name", "task_name"))
        return next((name for name in names if name), "")

    def record(source: Any, event: Any) -> None:
        events.setdefault(owner_of(event), Counter())[event.type] += 1

    def kinds(owner: type) -> Any:
        for kind in owner.__subclasses__():
            yield kind
            yield from kinds(kind)

    for kind in set(kinds(BaseEvent)):
        crewai_event_bus.on(kind)(record)

    def crew(number: int) -> Any:
        chance = random.Random(number)
        name = f"crew {number}"
        turns = chance.choices(TURNS, k=chance.randrange(6))
        agent = Agent(
            role=name,
            goal="work",
            backstory="-",
            llm=Model(model="scripted", turns=turns),
            tools=[Work(owner=name)],
            max_retry_limit=chance.randrange(3),
        )
        task = Task(name=name, description="Work.", expected_output="Done.", agent=agent)
        return Crew(name=name, agents=[agent], tasks=[task])

    return crew, events, runs


def ended(call: Any) -> str:
    try:
        return str(call().raw)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def all_at_once(crews: list[Any], way: str) -> list[str]:
    if way == "threads":
        with ThreadPoolExecutor(len(crews)) as pool:
            return list(pool.map(lambda crew: ended(crew.kickoff), crews))

    async def one(crew: Any) -> str:
        try:
            return str((await getattr(crew, way)()).raw)
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    async def together() -> list[str]:
        return list(await asyncio.gather(*map(one, crews)))

    return asyncio.run(together())


def facts(results: list[str], events: dict[str, Counter[str]], runs: Counter[str]) -> list[Any]:
    return [
        [result, runs[name], dict(sorted(events.get(name, {}).items()))]
        for number, result in enumerate(results)
        for name in [f"crew {number}"]
    ]


def alone(count: int) -> list[Any]:
    from crewai.events import crewai_event_bus

    crew, events, runs = build()
    results = [ended(crew(number).kickoff) for number in range(count)]
    crewai_event_bus.flush()
    return facts(results, events, runs)


def expected(count: int) -> list[Any]:
    """``alone``, in a process of plain CrewAI."""
    command = [sys.executable, __file__, "--alone", "--crews", str(count)]
    environment = {**os.environ, "FAST_CREWAI": "0"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crews", type=int, default=200)
    parser.add_argument("--repetitions", type=int, default=50)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.update(QUIET)
    logging.disable()  # the failures are wanted
    with tempfile.TemporaryDirectory() as storage:
        os.environ["CREWAI_STORAGE_DIR"] = storage
        if options.alone:
            print(json.dumps(alone(options.crews)))
            return 0
        wanted = expected(options.crews)
        import fast_crewai

        fast_crewai.install()
        from crewai.events import crewai_event_bus

        crew, events, runs = build()
        for repetition in range(options.repetitions):
            way = WAYS[repetition % len(WAYS)]
            faulthandler.dump_traceback_later(LIMIT, exit=True)
            begun = time.perf_counter()
            results = all_at_once([crew(number) for number in range(options.crews)], way)
            crewai_event_bus.flush()
            faulthandler.cancel_dump_traceback_later()
            found = facts(results, events, runs)
            for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
                if one != other:
                    print(f"crew {number}, {way}:\n alone {one}\n now   {other}")
                    return 1
            events.clear()
            runs.clear()
            took = time.perf_counter() - begun
            print(f"{repetition + 1}: {len(found)} crews as alone, {way}, {took:.1f} s", flush=True)
        print(dict(Counter(one[0].partition(":")[0] for one in wanted)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
