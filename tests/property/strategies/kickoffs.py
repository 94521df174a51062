"""Crews that are kicked off in worker threads, several at once."""

import asyncio
import contextvars
import functools
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from hypothesis import strategies as st

from strategies.flow_runs import place

variable = contextvars.ContextVar("variable", default="unset")

examples = st.fixed_dictionaries(
    {
        "outcomes": st.lists(
            st.sampled_from(["a", "b", ValueError, KeyError]), min_size=1, max_size=9
        ),
        "pool": st.sampled_from(["none yet", "asyncio's", "own", "small"]),
        "cancelled": st.booleans(),
        "inputs": st.sampled_from([None, {}, {"a": 1}]),
    }
)


class Silent(BaseLLM):
    def call(self, *arguments: Any, **options: Any) -> str:
        return ""


class Quick(Crew):
    """Its kickoff is the example's."""

    def kickoff(self, inputs: Any = None, input_files: Any = None) -> Any:
        log, outcomes = variable.get()
        outcome = outcomes.pop()
        log.append((inputs, input_files, outcome, place()))
        if isinstance(outcome, type):
            raise outcome("failed")
        return outcome


@functools.cache
def crew() -> Quick:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CrewAI's own fields
        agent = Agent(role="r", goal="g", backstory="b", llm=Silent(model="fake"))
        task = Task(description="d", expected_output="e", agent=agent)
        return Quick(agents=[agent], tasks=[task])


def observe(function, example):
    """Results and exceptions of all, and what each saw."""
    log = []

    async def one(outcome):
        variable.set((log, [outcome]))
        return await function(crew(), example["inputs"])

    async def together():
        loop = asyncio.get_running_loop()
        if example["pool"] == "own":
            loop.set_default_executor(ThreadPoolExecutor(3, "mine"))
        elif example["pool"] == "small":
            loop.set_default_executor(ThreadPoolExecutor(1, "asyncio"))
        elif example["pool"] == "asyncio's":
            await asyncio.to_thread(int)
        tasks = [asyncio.ensure_future(one(outcome)) for outcome in example["outcomes"]]
        if example["cancelled"]:
            tasks.append(asyncio.ensure_future(one("a")))
            tasks.pop().cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        return [repr(one) for one in ended]

    return asyncio.run(together()), sorted(map(repr, log))
