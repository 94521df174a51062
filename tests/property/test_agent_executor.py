"""The executor's loop in a worker thread: random flows in its place, then agents."""

import asyncio
import concurrent.futures
import json
import re
import threading
import time
from unittest import mock

import pytest
from crewai import Agent, Crew, Task
from crewai.events.event_bus import crewai_event_bus
from crewai.llms.base_llm import BaseLLM
from crewai.tools import BaseTool
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from strategies import flow_runs
from strategies.flow_runs import passing_for_the_executor

import fast_crewai
from fast_crewai import engine
from fast_crewai.hooks.areas import worker_threads

SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)

# CrewAI's own, of every agent
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def tally():
    fast_crewai.install()
    state = engine.registry().states["agents.executor-loop"]
    assert state.state == "active", state.reason
    crew_run([], False, "kickoff")  # the first of a process emits one event more
    yield state.tally
    fast_crewai.uninstall()


def silent(strategy):
    return strategy.map(lambda example: example | {"silent": True})


@settings(SETTINGS, max_examples=200)
@given(silent(flow_runs.sequential))
def test_the_same_in_the_same_order(table):
    with fast_crewai.disabled():
        expected = flow_runs.run(table)
    with passing_for_the_executor():
        assert flow_runs.run(table) == expected


@settings(SETTINGS, max_examples=50)
@given(silent(flow_runs.side_by_side))
def test_the_same_side_by_side(table):
    def unordered():
        log, _, left = flow_runs.run(table)
        del left["state"]["seen"]
        del left["pending"]  # with CrewAI's engine, too, what ended first is seen by the others
        left["outputs"].sort(key=repr)
        return sorted(e[:3] for e in log if e[0] in flow_runs.NAMES), left

    with fast_crewai.disabled():
        expected = unordered()
    with passing_for_the_executor():
        assert unordered() == expected


def chain(*kinds, results=(1,)):
    """Methods that start one after the other."""
    method = {"results": list(results), "takes": False, "persist": None, "router": False}
    return {
        "methods": {
            f"m{i}": method | {"kind": kind, "listen": f"m{i - 1}", "start": None}
            for i, kind in enumerate(kinds)
        },
        "persist": None,
        "fails": False,
        "silent": True,
        "most": 100,
    }


def run_all(flows, workers, timeout=60, own=0):
    """All flows at once, on a loop with so many worker threads; the work each hand-off carried.

    ``own``: how many runs may have a thread of their own instead.
    """
    sent = []

    def submit(function, *arguments, **options):
        sent.append(getattr(function, "args", (function,))[0])
        return type(pool).submit(pool, function, *arguments, **options)

    pool = concurrent.futures.ThreadPoolExecutor(workers, "asyncio")
    pool.submit = submit

    async def together():
        asyncio.get_running_loop().set_default_executor(pool)
        running = asyncio.gather(*(flow.kickoff_async() for flow in flows))
        return await asyncio.wait_for(running, timeout)

    with passing_for_the_executor(), mock.patch.object(worker_threads, "MOST", own):
        return asyncio.run(together()), sent


def test_methods_that_follow_each_other_take_one_hand_off(tally):
    calls = tally.calls
    log = []
    _, sent = run_all([flow_runs.build(chain(*["sync"] * 6), log)], 4)
    assert len(log) == 6
    assert [getattr(call, "__name__", call) for call in sent] == ["_work"]
    assert tally.calls == calls + 1


def test_a_run_needs_no_thread_of_the_pool():
    log = []
    _, sent = run_all([flow_runs.build(chain(*["sync"] * 6), log)], 4, own=1)
    assert len(log) == 6 and not sent
    assert all(entry[2] == ("asyncio", False) for entry in log)


def test_many_runs_need_no_more_workers_than_before():
    """Methods, and coroutines that wait for a worker themselves, of 64 runs: two workers do."""

    def flow():
        async def waits():
            await asyncio.to_thread(time.sleep, 0.001)
            return await asyncio.gather(*(asyncio.to_thread(int, "1") for _ in range(3)))

        made = flow_runs.build(chain("sync", "async", "sync", "returns a coroutine", "sync"), [])
        made._methods["m1"] = waits
        made._methods["m3"] = lambda: waits()
        return made

    flows = [flow() for _ in range(64)]
    run_all(flows, 2)
    assert all(len(flow.method_outputs) == 5 for flow in flows)


def test_a_worker_is_given_back_between_methods_when_others_wait():
    """Two runs and one worker: the first asks again and again for what the second does."""
    done = threading.Event()
    asked = []

    def asks():
        time.sleep(0.01)
        asked.append(done.is_set())
        return "x" if done.is_set() else "y"

    first = flow_runs.build(chain("sync", "sync"), [])
    first._definition.methods["m1"].router = True
    first._definition.methods["m1"].listen = {"or": ["m0", "y"]}
    first._methods["m1"] = asks
    second = flow_runs.build(chain("sync", "sync", "sync"), [])
    second._methods["m2"] = done.set
    run_all([first, second], 1)
    assert asked[-1] and len(asked) < 8


@pytest.mark.parametrize("off", [True, False])
def test_nothing_follows_the_method_that_was_running_when_cancelled(off):
    entered, go_on, left_it = threading.Event(), threading.Event(), threading.Event()
    log = []
    flow = flow_runs.build(chain("sync", "sync", "sync"), log)

    def slow():
        entered.set()
        go_on.wait(10)
        left_it.set()

    flow._methods["m1"] = slow

    async def cancelled():
        task = asyncio.ensure_future(flow.kickoff_async())
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        outputs = flow.method_outputs
        go_on.set()
        await asyncio.to_thread(left_it.wait, 10)
        await asyncio.sleep(0.05)
        assert outputs == flow.method_outputs == [1]

    with passing_for_the_executor():
        if off:
            with fast_crewai.disabled():
                asyncio.run(cancelled())
        else:
            asyncio.run(cancelled())
    assert [entry[0] for entry in log if entry[0] in flow_runs.NAMES] == ["m0"]
    assert set(flow._completed_methods) == {"m0"}


def test_methods_wait_for_a_loop_that_is_stopped():
    log = []
    flow = flow_runs.build(chain(*["sync"] * 4), log)
    loop = asyncio.new_event_loop()
    entered = threading.Event()

    def slow():
        entered.set()
        time.sleep(0.2)
        log.append(("m0",))

    def methods():
        return [entry[0] for entry in log if entry[0] in flow_runs.NAMES]

    flow._methods["m0"] = slow
    with passing_for_the_executor():
        task = loop.create_task(flow.kickoff_async())
        loop.run_until_complete(asyncio.wait([task], timeout=0.05))
        assert entered.is_set()
        time.sleep(0.4)
        assert methods() == ["m0"]
        loop.run_until_complete(task)
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert methods() == ["m0", "m1", "m2", "m3"]


@pytest.mark.parametrize(
    "error",
    [
        concurrent.futures.CancelledError,
        concurrent.futures.InvalidStateError,
        asyncio.CancelledError,
        TimeoutError,
        SystemExit,
        KeyboardInterrupt,
    ],
)
def test_what_a_method_raises(error):
    def outcome():
        flow = flow_runs.build(chain("sync", "sync", results=["x", error]), [])
        flow._methods["m1"] = flow_runs.action(flow, [], "m1", "sync", [error], takes=False)
        with pytest.raises(BaseException) as caught:
            flow.kickoff()
        return caught.type, str(caught.value), flow_runs.left(flow)

    with fast_crewai.disabled():
        expected = outcome()
    with passing_for_the_executor():
        assert outcome() == expected


def test_a_coroutine_changes_the_context_only_of_what_it_starts():
    """m2 listens to m0 in a task of its own; m3 runs later, in the one of m0."""
    table = chain("sync", "sync", "async", "sync", results=["x"])
    methods = table["methods"]
    methods["m1"] |= {"router": True, "listen": "m0"}
    methods["m2"] |= {"listen": "m0"}
    methods["m3"] |= {"listen": "x"}
    with fast_crewai.disabled():
        expected = flow_runs.run(table)
    with passing_for_the_executor():
        assert flow_runs.run(table) == expected
    seen = [entry[3][0] for entry in expected[0] if entry[0] in methods]
    assert seen == ["unset"] * 4


def test_long_runs_do_not_nest():
    flow = flow_runs.build(chain("sync", "sync", "sync"), [])
    flow.max_method_calls = 3000
    left = iter(range(2000))
    for name in ("m1", "m2"):
        flow._definition.methods[name].router = name == "m2"
    flow._definition.methods["m1"].listen = {"or": ["m0", "y"]}
    flow._methods["m1"] = lambda: next(left, None)
    flow._methods["m2"] = lambda: "y" if len(flow.method_outputs) < 3000 else "end"
    run_all([flow], 2)
    assert len(flow.method_outputs) >= 3000


# ------------------------------------------------------------------------ agents


class Search(BaseTool):
    name: str = "search"
    description: str = "Finds passages."

    def _run(self, query: str = "") -> str:
        PLACES.append((flow_runs.place(), flow_runs.variable.get(), query))
        flow_runs.variable.set("tool")
        if query == "fail":
            raise OSError("no network")
        return f"Passages about {query}"


PLACES = []


class Scripted(BaseLLM):
    """Answers one after the other; says the last one again."""

    model: str = "fake"
    answers: list
    native: bool = False

    def supports_function_calling(self) -> bool:
        return self.native

    def get_input_tokens_count(self, *_, **__) -> int:
        return 1

    def call(self, messages, tools=None, *arguments, **options):
        PLACES.append((flow_runs.place(), len(messages)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == "raise":
            raise ValueError("the model is down")
        return answer

    async def acall(self, *arguments, **options):
        return self.call(*arguments, **options)


def said(kind):
    if kind.startswith("use "):
        name, query = kind.removeprefix("use ").split()
        return f'Thought: I look\nAction: {name}\nAction Input: {{"query": "{query}"}}'
    return {"unreadable": "Action: what", "final": "Thought: done\nFinal Answer: it is so"}.get(
        kind, kind
    )


def called(kind):
    if not kind.startswith("use "):
        return {"unreadable": ""}.get(kind, kind)
    name, query = kind.removeprefix("use ").split()
    function = {"name": name, "arguments": json.dumps({"query": query})}
    return [{"id": "call", "type": "function", "function": function}]


KINDS = ["use search a", "use search a", "use search b", "use search fail", "use nothing a"]
answers = st.lists(st.sampled_from([*KINDS, *KINDS, "unreadable", "raise"]), max_size=6)


def crew_run(kinds, native, how):
    """What a run's events say, how they hang together, and in which thread each step ran."""
    llm = Scripted(
        model="fake", answers=[(called if native else said)(kind) for kind in [*kinds, "final"]]
    )
    llm.native = native
    agent = Agent(role="r", goal="g", backstory="b", llm=llm, tools=[Search()], max_iter=5)
    agent.max_retry_limit = 0
    task = Task(description="d {topic}", expected_output="e", agent=agent)
    crew = Crew(agents=[agent], tasks=[task])
    events, places = [], []
    bus = type(crewai_event_bus)
    emit = bus.emit

    def emitting(self, source, event):
        future = emit(self, source, event)
        events.append(event)
        places.append((event.type, flow_runs.place()))
        return future

    PLACES.clear()
    with mock.patch.object(bus, "emit", emitting):
        try:
            if how == "kickoff":
                ended = crew.kickoff(inputs={"topic": "t"}).raw
            elif how == "agent":
                ended = agent.kickoff("d").raw
            else:
                ended = asyncio.run(crew.akickoff(inputs={"topic": "t"})).raw
        except Exception as error:
            ended = type(error), str(error)
    numbers = {event.event_id: number for number, event in enumerate(events)}
    said_by = ("tool_name", "tool_args", "output", "response", "error", "agent_role", "attempts")
    facts = [
        [getattr(event, name, None).__repr__() for name in said_by]
        + [numbers.get(getattr(event, name), getattr(event, name) is None) for name in LINKS]
        for event in events
    ]
    return ended, places, [clean(fact) for fact in facts], list(PLACES)


LINKS = ("parent_event_id", "previous_event_id", "triggered_by_event_id", "started_event_id")


def clean(fact):
    return [re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|0x[0-9a-f]+", "id", str(part)) for part in fact]


@settings(SETTINGS, max_examples=25)
@given(answers, st.booleans(), st.sampled_from(["kickoff", "akickoff", "agent"]))
@example([*KINDS], False, "kickoff")
@example([*KINDS], True, "akickoff")
def test_agents_do_the_same(kinds, native, how):
    with fast_crewai.disabled():
        expected = crew_run(kinds, native, how)
    assert crew_run(kinds, native, how) == expected


@pytest.mark.parametrize("native", [True, False])
def test_an_agent_is_driven(tally, native):
    calls, fallbacks = tally.calls, tally.fallbacks
    ended, _, _, places = crew_run(KINDS, native, "kickoff")
    assert ended == ("final" if native else "it is so")
    kinds_of_threads = {place[0] for place in places}
    assert ("asyncio", False) in kinds_of_threads and ("MainThread", True) not in kinds_of_threads
    assert tally.calls == calls + 1 and tally.fallbacks == fallbacks


def test_many_agents_on_two_workers():
    async def together():
        executor = concurrent.futures.ThreadPoolExecutor(2, "asyncio")
        asyncio.get_running_loop().set_default_executor(executor)
        running = []
        for _ in range(64):
            llm = Scripted(model="fake", answers=[said("use search a"), said("final")])
            agent = Agent(role="r", goal="g", backstory="b", llm=llm, tools=[Search()])
            task = Task(description="d", expected_output="e", agent=agent)
            running.append(Crew(agents=[agent], tasks=[task]).akickoff())
        return await asyncio.wait_for(asyncio.gather(*running), 120)

    with mock.patch.object(worker_threads, "MOST", 0):
        assert {str(result) for result in asyncio.run(together())} == {"it is so"}
