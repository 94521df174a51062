"""Programs that watch the flow engine, or what its loop sends to threads: as without us."""

import asyncio
import collections
import concurrent.futures
import threading
from unittest import mock

import crewai.flow.runtime as runtime
import pytest
import wrapt
from crewai import Agent, BaseLLM, Crew, Task
from crewai.agents.agent_executor import AgentExecutor
from crewai.flow.flow import Flow, listen, router, start
from crewai.tools import tool

import fast_crewai
from fast_crewai import engine
from fast_crewai.hooks.areas import agent_executor
from fast_crewai.hooks.areas.worker_threads import nobody_counts

# CrewAI's own, of every agent
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def installed():
    fast_crewai.install()
    for name in ("agents.executor-loop", "flow.chain", "flow.kickoff-end", "tasks.kickoff-threads"):
        assert engine.registry().states[name].state == "active"
    crew().kickoff()  # the first of a process emits one event more
    yield
    fast_crewai.uninstall()


class Model(BaseLLM):
    answers: list

    def get_input_tokens_count(self, *_, **__) -> int:
        return 1

    def call(self, *_, **__):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def acall(self, *_, **__):
        return self.call()


@tool
def add(a: int) -> int:
    """Add."""
    return a


def crew():
    answers = [f'Thought: x\nAction: add\nAction Input: {{"a": {n}}}' for n in range(2)]
    model = Model(model="fake", answers=[*answers, "Thought: done\nFinal Answer: it is so"])
    agent = Agent(role="Worker", goal="Answer", backstory="-", llm=model, tools=[add])
    task = Task(description="Answer.", expected_output="An answer.", agent=agent)
    return Crew(agents=[agent], tasks=[task])


class Steps(Flow):
    @start()
    def first(self):
        return 1

    @listen(first)
    def second(self):
        return 2

    @router(second)
    def third(self):
        return "on"

    @listen("on")
    def fourth(self):
        return 4


RUNS = {
    "crew": lambda: crew().akickoff(),
    "crew in a thread": lambda: crew().kickoff_async(),
    "flow": lambda: Steps(suppress_flow_events=True).kickoff_async(),
}


def place():
    return threading.current_thread().name.partition("_")[0]


class Pool(concurrent.futures.ThreadPoolExecutor):
    """A program's own, which hands on contexts, say."""

    def submit(self, *arguments, **options):
        self.seen["submit", place()] += 1
        return super().submit(*arguments, **options)


class Loop(asyncio.SelectorEventLoop):
    def run_in_executor(self, *arguments):
        self.seen["run_in_executor", place()] += 1
        return super().run_in_executor(*arguments)


def own_pool(loop, seen):
    pool = Pool(3, "mine")
    pool.seen = seen
    loop.set_default_executor(pool)


def own_class(loop, seen):
    loop.seen = seen


def on_the_loop(loop, seen):
    plain = loop.run_in_executor

    def run_in_executor(*arguments):
        seen["run_in_executor", place()] += 1
        return plain(*arguments)

    loop.run_in_executor = run_in_executor


def wrapped(loop, seen):
    def run_in_executor(plain, _, given, named):
        seen["run_in_executor", place()] += 1
        return plain(*given, **named)

    loop.run_in_executor = wrapt.FunctionWrapper(loop.run_in_executor, run_in_executor)


def tasks(loop, seen):
    plain = loop.create_task

    def create_task(*arguments, **options):
        seen["create_task", place()] += 1
        return plain(*arguments, **options)

    loop.create_task = create_task


WATCHERS = (own_pool, own_class, on_the_loop, wrapped, tasks)


@pytest.mark.parametrize("watch", WATCHERS)
@pytest.mark.parametrize("run", RUNS)
def test_all_hand_offs_are_seen(run, watch):
    def seen():
        counted = collections.Counter()
        loop = (Loop if watch is own_class else asyncio.SelectorEventLoop)()
        watch(loop, counted)
        try:
            result = loop.run_until_complete(RUNS[run]())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()
        return getattr(result, "raw", result), counted

    with fast_crewai.disabled():
        expected = seen()
    assert expected[1]
    assert seen() == expected


@pytest.mark.parametrize("run", ["crew", "flow"])
def test_in_debug_mode_the_engine_stays_on_its_loop(run):
    made = []

    class Noted(asyncio.Task):
        def __init__(self, coroutine, **options):
            made.append(coroutine.__qualname__)
            super().__init__(coroutine, **options)

    def tasks():
        made.clear()
        with mock.patch.object(asyncio.tasks, "Task", Noted):
            asyncio.run(RUNS[run](), debug=True)
        return [name for name in made if name.startswith("Flow.")]

    with fast_crewai.disabled():
        expected = tasks()
    assert tasks() == expected


def test_loops_that_nobody_watches():
    loop = asyncio.new_event_loop()
    assert nobody_counts(loop)
    loop.close()
    uvloop = pytest.importorskip("uvloop")
    loop = uvloop.new_event_loop()
    assert nobody_counts(loop)
    loop.close()


CALLED = [
    (runtime if "." not in name else AgentExecutor, name.rpartition(".")[2])
    for name in (read.partition(":")[2] for read in agent_executor.READS)
]


@pytest.mark.parametrize(
    ("owner", "name"), CALLED, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_replaced_part_of_the_engine_is_called_where_it_was(owner, name):
    plain = getattr(owner, name)

    def seen():
        calls = collections.Counter()

        def replacement(*arguments, **options):
            calls[place()] += 1
            return plain(*arguments, **options)

        made = crew()
        with mock.patch.object(owner, name, replacement):
            result = asyncio.run(made.akickoff()).raw
        return result, calls

    with fast_crewai.disabled():
        expected = seen()
    assert seen() == expected


@pytest.mark.parametrize(
    "name", ["_condition_satisfied", "_condition_branches", "_is_multi_event_or"]
)
def test_a_replaced_function_is_called_for_a_users_flow(name):
    plain = getattr(runtime, name)

    def seen():
        calls = collections.Counter()

        def replacement(*arguments, **options):
            calls[place()] += 1
            return plain(*arguments, **options)

        with mock.patch.object(runtime, name, replacement):
            result = asyncio.run(RUNS["flow"]())
        return result, calls

    with fast_crewai.disabled():
        expected = seen()
    assert seen() == expected
