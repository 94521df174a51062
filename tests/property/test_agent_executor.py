"""The executor's loop in a worker thread: random flows in its place, then agents."""

import asyncio
import concurrent.futures
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from strategies import flow_runs
from strategies.flow_runs import passing_for_the_executor

import fast_crewai
from fast_crewai import engine

SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.fixture(scope="module", autouse=True)
def tally():
    fast_crewai.install()
    state = engine.registry().states["agents.executor-loop"]
    assert state.state == "active", state.reason
    yield state.tally
    fast_crewai.uninstall()


def silent(strategy):
    return strategy.map(lambda example: example | {"silent": True})


@settings(SETTINGS, max_examples=300)
@given(silent(flow_runs.sequential))
def test_the_same_in_the_same_order(example):
    with fast_crewai.disabled():
        expected = flow_runs.run(example)
    with passing_for_the_executor():
        assert flow_runs.run(example) == expected


@settings(SETTINGS, max_examples=50)
@given(silent(flow_runs.side_by_side))
def test_the_same_side_by_side(example):
    def unordered():
        log, _, left = flow_runs.run(example)
        del left["state"]["seen"]
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


def run_all(flows, workers, timeout=60):
    """All flows at once, on a loop with so many worker threads; the work each hand-off carried."""
    sent = []

    class Pool(concurrent.futures.ThreadPoolExecutor):
        def submit(self, function, *arguments, **options):
            sent.append(getattr(function, "args", (function,))[0])
            return super().submit(function, *arguments, **options)

    async def together():
        asyncio.get_running_loop().set_default_executor(Pool(workers, "asyncio"))
        running = asyncio.gather(*(flow.kickoff_async() for flow in flows))
        return await asyncio.wait_for(running, timeout)

    with passing_for_the_executor():
        return asyncio.run(together()), sent


def test_methods_that_follow_each_other_take_one_hand_off(tally):
    calls = tally.calls
    log = []
    _, sent = run_all([flow_runs.build(chain(*["sync"] * 6), log)], 4)
    assert len(log) == 6
    assert len([call for call in sent if getattr(call, "__name__", "") == "_work"]) == 1
    assert len(sent) == 3  # the two others end the run: memory, events
    assert tally.calls == calls + 1


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
