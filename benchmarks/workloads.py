"""Crews and flows to measure: one side of a benchmark, run each time a line comes in.

    python [-m fast_crewai run] benchmarks/workloads.py NAME BASE_URL

After the line "collect" Python's garbage is collected before memory is measured. Answers with JSON
lines: {"cpu_ms", "wall_ms", "rss_kb", "units", "output"}. An unchanged CrewAI program: the other
side is this same file under `python -m fast_crewai run`. But for `research`, the models are in the
process and cost nothing.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
sys.path.insert(0, str(Path(__file__).parents[1] / "_examples"))  # its name in a wheel

from crewai import Agent, BaseLLM, Crew, Process, Task
from crewai.events import crewai_event_bus
from crewai.flow.flow import Flow, and_, listen, or_, router, start
from crewai.tools import BaseTool, tool
from pydantic import BaseModel, Field
from research_crew import build_crew

LATENCY = 0.1  # seconds a model of the concurrent crews takes to answer


class Model(BaseLLM):
    """Uses tools in turn, ``steps`` times in all, then gives ``answer``.

    In ReAct text format, or by native tool calls. ``latency`` is waited for as a client would.
    """

    steps: int = 0
    answer: str = "the sum is known"
    native: bool = False
    latency: float = 0.0
    names: tuple[str, ...] = ("add",)
    arguments: str = '{"a": 1, "b": 2}'
    turns: Any = Field(default_factory=itertools.count)

    def call(self, messages: Any, tools: Any = None, *_: Any, **__: Any) -> Any:
        if self.latency:
            time.sleep(self.latency)
        return self._next()

    async def acall(self, messages: Any, tools: Any = None, *_: Any, **__: Any) -> Any:
        if self.latency:
            await asyncio.sleep(self.latency)
        return self._next()

    def _next(self) -> Any:
        done = next(self.turns)
        if done >= self.steps:
            return self.answer if self.native else f"Thought: done\nFinal Answer: {self.answer}"
        name = self.names[done % len(self.names)]
        arguments = self.arguments.replace("1", str(done), 1)  # a repeated call would be refused
        if self.native:
            function = {"name": name, "arguments": arguments}
            return [{"id": f"call_{done}", "type": "function", "function": function}]
        return f"Thought: next\nAction: {name}\nAction Input: {arguments}"

    def supports_function_calling(self) -> bool:
        return self.native

    def get_context_window_size(self) -> int:
        return 1_000_000

    def get_input_tokens_count(self, messages: Any, *_: Any, **__: Any) -> int:
        return 1000  # counting costs nothing either: it is the provider's


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Filters(BaseModel):
    """Which results are wanted."""

    language: str | None = Field(default=None, description="ISO code of the results' language")
    sites: list[str] | None = Field(default=None, description="Only these sites")
    safe: bool = Field(default=True, description="Leave out what is not for children")


class SearchArguments(BaseModel):
    """A search."""

    query: str = Field(..., description="What to look for, in plain words", min_length=1)
    limit: int = Field(default=10, ge=1, le=100, description="Number of results")
    filters: Filters = Field(default_factory=Filters, description="Which results are wanted")
    weights: dict[str, float] = Field(default_factory=dict, description="Weight of each field")
    alternatives: list[Filters] | None = Field(default=None, description="Used without results")


class Search(BaseTool):
    name: str = "search"
    description: str = "Search the library and return the passages that fit, the best first."
    args_schema: type[BaseModel] = SearchArguments

    def _run(self, query: str, **_: Any) -> str:
        return f"Results for {query}: ".ljust(200, "x")


QUERY = '{"query": "item 1", "limit": 5, "filters": {"language": "en"}, "weights": {"title": 2.0}}'


def _one_agent(model: Model, tools: list[Any], verbose: bool = False) -> Crew:
    agent = Agent(
        role="Worker",
        goal="Answer",
        backstory="You work.",
        llm=model,
        tools=tools,
        max_iter=model.steps + 5,
        verbose=verbose,
    )
    task = Task(description="Answer it.", expected_output="An answer.", agent=agent)
    return Crew(agents=[agent], tasks=[task], verbose=verbose)


def research(base_url: str) -> str:
    crew = build_crew({"model": "openai/gpt-4o-mini", "base_url": base_url, "api_key": "x"})
    result = crew.kickoff(inputs={"topic": "bicycle sharing", "year": "2024"})
    return "\n".join(task.raw for task in result.tasks_output)


def react(_url: str, steps: int, verbose: bool = False) -> str:
    return str(_one_agent(Model(model="scripted", steps=steps), [add], verbose).kickoff().raw)


def tools(_url: str, steps: int, count: int, native: bool) -> str:
    made = [Search(name=f"search_{number}") for number in range(count)]
    names = tuple(one.name for one in made)
    model = Model(model="scripted", steps=steps, native=native, names=names, arguments=QUERY)
    return str(_one_agent(model, made).kickoff().raw)


def sequential(_url: str, count: int) -> str:
    agents, tasks = [], []
    for number in range(count):
        agents.append(
            Agent(role=f"Worker {number}", goal="Answer", backstory="-", llm=Model(model="s"))
        )
        tasks.append(
            Task(description=f"Part {number} of {{topic}}", expected_output="-", agent=agents[-1])
        )
    result = Crew(agents=agents, tasks=tasks).kickoff(inputs={"topic": "a sum"})
    return "\n".join(task.raw for task in result.tasks_output)


def hierarchical(_url: str, steps: int) -> str:
    arguments = '{"task": "part 1", "context": "none", "coworker": "Worker"}'
    names = ("delegate_work_to_coworker",)
    manager = Model(model="scripted", steps=steps, names=names, arguments=arguments)
    agent = Agent(role="Worker", goal="Answer", backstory="-", llm=Model(model="scripted"))
    task = Task(description="Have it done.", expected_output="An answer.")
    crew = Crew(agents=[agent], tasks=[task], process=Process.hierarchical, manager_llm=manager)
    return str(crew.kickoff().raw)


class Report(BaseModel):
    title: str
    points: list[str]


def structured(_url: str, count: int) -> str:
    answer = Report(title="Sums", points=["one"] * 20).model_dump_json()
    agent = Agent(
        role="Worker", goal="Answer", backstory="-", llm=Model(model="scripted", answer=answer)
    )
    tasks = [
        Task(description="Report.", expected_output="-", agent=agent, output_pydantic=Report)
        for _ in range(count)
    ]
    return str(Crew(agents=[agent], tasks=tasks).kickoff().pydantic)


class State(BaseModel):
    log: list[str] = []


def _flow_class(count: int) -> type[Flow[State]]:
    """A chain of ``count`` methods: each fifth a router, others wait for one or two of them."""

    def method(name: str, answer: str | None = None) -> Callable[[Any], Any]:
        def body(self: Any) -> Any:
            self.state.log.append(name)
            return answer

        body.__name__ = body.__qualname__ = name
        return body

    members: dict[str, Any] = {"__module__": __name__, "m0": start()(method("m0"))}
    last = "m0"
    for number in range(1, count):
        name = f"m{number}"
        if number % 5 == 0:
            members[name] = router(last)(method(name, f"label{number}"))
            last = f"label{number}"
            continue
        condition: Any = last
        if number % 5 == 2 and number > 5:
            condition = and_(last, "m0")
        elif number % 5 == 3:
            condition = or_(last, "never")
        members[name] = listen(condition)(method(name))
        last = name
    return type("Chain", (Flow[State],), members)


def flow(_url: str, chain: type[Flow[State]]) -> str:
    run = chain()
    run.kickoff()
    return " ".join(run.state.log)


def agent_kickoff(_url: str) -> str:
    agent = Agent(role="Worker", goal="Answer", backstory="-", llm=Model(model="scripted"))
    return str(agent.kickoff("Answer it.").raw)


def crews(_url: str, count: int) -> str:
    """``count`` crews at once, three model calls each."""
    model = partial(Model, model="scripted", steps=2, latency=LATENCY)

    async def all_of_them() -> list[Any]:
        made = [_one_agent(model(), [add]) for _ in range(count)]
        return await asyncio.gather(*[crew.akickoff() for crew in made])

    return "\n".join(str(result.raw) for result in asyncio.run(all_of_them()))


@dataclass(frozen=True)
class Workload:
    """``units``: how many of ``unit`` one run has."""

    run: Callable[[str], str]
    units: int
    unit: str


WORKLOADS = {
    "research": Workload(research, 1, "crew"),
    "react": Workload(partial(react, steps=39), 40, "step"),
    "react-20-tools": Workload(partial(tools, steps=19, count=20, native=False), 20, "step"),
    "native-3-tools": Workload(partial(tools, steps=19, count=3, native=True), 20, "step"),
    "history-300": Workload(partial(react, steps=299), 300, "step"),
    "sequential": Workload(partial(sequential, count=5), 5, "task"),
    "hierarchical": Workload(partial(hierarchical, steps=5), 11, "step"),
    "structured": Workload(partial(structured, count=5), 5, "task"),
    "flow": Workload(partial(flow, chain=_flow_class(20)), 20, "method"),
    "verbose": Workload(partial(react, steps=19, verbose=True), 20, "step"),
    "one-answer": Workload(partial(react, steps=0), 1, "kickoff"),
    "agent": Workload(agent_kickoff, 1, "kickoff"),
    "crews-50": Workload(partial(crews, count=50), 50, "crew"),
    "crews-200": Workload(partial(crews, count=200), 200, "crew"),
}


def _rss_kb() -> int:
    """Resident memory of this process (Linux), or 0."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def main() -> None:
    workload, base_url = WORKLOADS[sys.argv[1]], sys.argv[2]
    answers = sys.stdout
    sys.stdout = sys.stderr  # what CrewAI prints is no answer
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        output = workload.run(base_url)
        crewai_event_bus.flush()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        if line.strip() == "collect":
            gc.collect()
        answer = {
            "cpu_ms": cpu * 1e3,
            "wall_ms": wall * 1e3,
            "rss_kb": _rss_kb(),
            "units": workload.units,
            "output": output,
        }
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
