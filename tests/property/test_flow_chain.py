"""The methods of a flow in one worker thread: nothing but time tells it from CrewAI's engine."""

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from unittest import mock

import pytest
from crewai.events.utils.console_formatter import ConsoleFormatter
from crewai.flow.flow import Flow, listen, start
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import flow_chains, flow_runs

import fast_crewai
from fast_crewai import engine
from fast_crewai.hooks.areas import agent_executor

SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.fixture(scope="module", autouse=True)
def tally():
    fast_crewai.install()
    state = engine.registry().states["flow.chain"]
    assert state.state == "active", state.reason
    yield state.tally
    fast_crewai.uninstall()


@pytest.fixture(scope="module", autouse=True)
def quiet():
    with mock.patch.object(ConsoleFormatter, "print_panel"):
        yield


@settings(SETTINGS, max_examples=150)
@given(flow_chains.sequential)
def test_the_same_in_the_same_order(table):
    with fast_crewai.disabled():
        expected = vars(flow_chains.whole(table))
    assert vars(flow_chains.whole(table)) == expected


@settings(SETTINGS, max_examples=100)
@given(flow_chains.side_by_side)
def test_the_same_side_by_side(table):
    def unordered():
        seen = flow_chains.whole(table)
        calls = sorted((e[0], str(e[1]), e[2]) for e in seen.log if e[0] in flow_runs.NAMES)
        del seen.left["state"], seen.left["pending"]
        seen.left["outputs"].sort(key=repr)
        return calls, seen.left, sorted(e[0] for e in seen.events), sorted(set(seen.places))

    with fast_crewai.disabled():
        expected = unordered()
    assert unordered() == expected


def table(count=6, **more):
    """A chain of methods."""
    method = {"results": [1], "takes": False, "persist": None, "router": False, "kind": "sync"}
    return {
        "methods": {f"m{i}": method | {"listen": f"m{i - 1}", "start": None} for i in range(count)},
        "persist": None,
        "fails": False,
        "silent": False,
        "most": 100,
        "state": "dict",
        "watcher": None,
        "asynchronous": False,
    } | more


class Steps:
    """In which kind of thread the engine's coroutines were stepped."""

    def __init__(self):
        self.on_loop = self.in_worker = 0

    def __enter__(self):
        advance = agent_executor._Run._advance

        def counting(run, *arguments, **options):
            if threading.current_thread().name.startswith("asyncio"):
                self.in_worker += 1
            else:
                self.on_loop += 1
            return advance(run, *arguments, **options)

        self._patch = mock.patch.object(agent_executor._Run, "_advance", counting)
        self._patch.start()
        return self

    def __exit__(self, *_):
        self._patch.stop()


def test_a_chain_stays_in_its_worker():
    with Steps() as steps:
        seen = flow_chains.whole(table())
    assert (steps.on_loop, steps.in_worker) == (1, 5)
    assert [entry[0] for entry in seen.log] == [f"m{i}" for i in range(6)]


@pytest.mark.parametrize("state", ["noisy", "not a name", "serializing", "copying", "nested"])
def test_code_of_the_state_stays_on_the_loop(state):
    with Steps() as steps:
        seen = flow_chains.whole(table(state=state))
    assert (steps.on_loop, steps.in_worker) == (0, 0)
    assert seen.places and {entry[1][0] for entry in seen.places} == {"MainThread"}


def test_a_state_that_no_event_carries_is_not_looked_at():
    with Steps() as steps:
        seen = flow_chains.whole(table(state="noisy", silent=True))
    assert (steps.on_loop, steps.in_worker) == (1, 5)
    assert not [entry for entry in seen.places if entry[1][0] != "MainThread"]


def test_results_of_routers_are_printed_on_the_loop():
    example = table(4)
    example["methods"]["m2"] |= {"router": True, "results": [flow_chains.Noisy("label")]}
    example["methods"]["m3"]["listen"] = "label"
    with fast_crewai.disabled():
        expected = vars(flow_chains.whole(example))
    with Steps() as steps:
        seen = vars(flow_chains.whole(example))
    assert seen == expected
    assert steps.in_worker
    assert ("printed", ("MainThread", True)) in seen["places"]


@pytest.mark.parametrize("watcher", flow_chains.WATCHERS)
def test_watchers_see_the_engine_on_the_loop(watcher):
    with Steps() as steps:
        seen = flow_chains.whole(table(watcher=watcher))
    places = {entry[-1] for entry in seen.log if entry[0] in ("hook", "sink", "emitted")}
    assert places == {("MainThread", True)} or (watcher == "no emit" and places)
    if watcher.endswith("later"):
        assert (steps.on_loop, steps.in_worker) == (6, 0)
    else:
        assert (steps.on_loop, steps.in_worker) == (0, 0)


def reasons(tally, run):
    before = dict(tally.reasons)
    calls, fallbacks = tally.calls, tally.fallbacks
    run()
    assert tally.calls > calls
    assert (tally.fallbacks > fallbacks) == (tally.reasons != before)
    return {name for name, count in tally.reasons.items() if count != before.get(name, 0)}


def test_other_tasks_keep_the_engine_on_the_loop(tally):
    async def both():
        flow = flow_chains.built(table(), [])
        other = asyncio.ensure_future(asyncio.sleep(60))
        try:
            await flow.kickoff_async()
        finally:
            other.cancel()

    with Steps() as steps:
        assert reasons(tally, lambda: asyncio.run(both())) == {"not alone in its event loop"}
    assert (steps.on_loop, steps.in_worker) == (0, 0)


def test_a_task_that_comes_later_brings_it_back():
    class Own(Flow):
        _skip_auto_memory: bool = True

        @start()
        def first(self):
            pass

        @listen(first)
        def second(self):
            made = threading.Event()

            def make():
                tasks.append(loop.create_task(asyncio.sleep(60)))
                made.set()

            loop.call_soon_threadsafe(make)
            assert made.wait(10)

        @listen(second)
        def third(self):
            pass

        @listen(third)
        def fourth(self):
            loop.call_soon_threadsafe(tasks[0].cancel)

    async def run():
        nonlocal loop
        loop = asyncio.get_running_loop()
        await Own().kickoff_async()

    loop: asyncio.AbstractEventLoop
    tasks = []
    with Steps() as steps:
        asyncio.run(run())
    assert steps.on_loop >= 3


@pytest.mark.parametrize("first", [1, 2])
def test_two_chains_side_by_side_stay_on_the_loop(first, tally):
    """Two methods that start, or two that listen to the first."""
    example = table(5)
    methods = example["methods"]
    methods["m1"]["listen"], methods["m2"]["listen"] = "m0", "m0"
    methods["m3"]["listen"], methods["m4"]["listen"] = "m1", "m2"
    if first == 2:
        methods["m1"]["start"] = methods["m2"]["start"] = True
    barrier = threading.Barrier(2, timeout=10)
    flow = flow_chains.built(example, [])
    for name in ("m1", "m2", "m3", "m4"):
        flow._methods[name] = lambda: barrier.wait()
    with Steps() as steps:
        found = reasons(tally, flow.kickoff)
    assert found == {"not alone in its event loop"}
    assert (steps.on_loop, steps.in_worker) == (0, 0)


def test_a_method_of_a_subclass_is_called(tally):
    class Own(flow_runs.Plain):
        def _copy_and_serialize_state(self):
            return {"place": flow_runs.place()}

    flow = flow_runs.build(table(), [], Own)
    assert reasons(tally, flow.kickoff) == {"overridden: _copy_and_serialize_state"}


def test_coroutine_functions_have_tasks_of_their_own(tally):
    names = []

    class Own(Flow):
        _skip_auto_memory: bool = True

        @start()
        def first(self):
            pass

        @listen(first)
        async def second(self):
            names.append(asyncio.current_task())

        @listen(second)
        async def third(self):
            names.append(asyncio.current_task())

    assert reasons(tally, Own().kickoff) == {"has coroutine functions"}
    assert len(set(names)) == 2


def test_cancellation_ends_the_chain_after_the_method_that_runs():
    """As CrewAI's engine: the method ends in its thread, nothing follows."""

    def run():
        ran = []
        flow = flow_chains.built(table(), [])
        inside, go_on = threading.Event(), threading.Event()

        def waits():
            inside.set()
            assert go_on.wait(10)
            ran.append("m2")

        flow._methods["m2"] = waits
        flow._methods["m3"] = lambda: ran.append("m3")

        async def cancelled():
            task = asyncio.ensure_future(flow.kickoff_async())
            loop = asyncio.get_running_loop()
            threading.Thread(
                target=lambda: (inside.wait(10), loop.call_soon_threadsafe(task.cancel))
            ).start()
            with pytest.raises(asyncio.CancelledError):
                await task
            go_on.set()

        asyncio.run(cancelled())
        return ran, flow_runs.left(flow) | {"state": 0}

    with fast_crewai.disabled():
        expected = run()
    assert run() == expected
    assert expected[0] == ["m2"]


@settings(SETTINGS, max_examples=100)
@given(
    st.recursive(
        st.sampled_from([1, "a", None, 2.5]),
        lambda v: st.lists(v) | st.dictionaries(st.sampled_from("abc"), v),
        max_leaves=20,
    ),
    st.booleans(),
)
def test_a_plain_state_is_recognised(value, noisy):
    from fast_crewai.hooks.areas.plain_states import PlainStates

    assert PlainStates().plain(value)
    assert not PlainStates().plain([value, {"a": (flow_chains.Noisy(),)}])


def ends(error):
    """How a flow whose third method raises ``error`` ends, with what in its log."""
    flow = flow_chains.built(table(), [])

    def fails():
        raise error

    flow._methods["m2"] = fails
    hung = []

    async def run():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, found: hung.append(str(found["exception"])))
        return await asyncio.wait({asyncio.ensure_future(flow.kickoff_async())}, timeout=0.5)

    try:
        try:
            raise LookupError("handled meanwhile")
        except LookupError:
            asyncio.run(run())
    except BaseException as raised:
        return type(raised), repr(raised.__context__), hung
    return hung


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, StopIteration])
def test_exceptions_that_asyncio_treats_in_its_own_way(error):
    with fast_crewai.disabled():
        expected = ends(error())
    assert ends(error()) == expected


def test_an_override_of_the_listener_is_called_for_each():
    class Own(flow_runs.Plain):
        async def _execute_single_listener(self, name, *given):
            called.append(name)
            return await super()._execute_single_listener(name, *given)

    called = []
    flow_runs.build(table(), [], Own).kickoff()
    assert called == ["m1", "m2", "m3", "m4", "m5"]


def test_a_wrapper_of_the_listener_is_called_for_each(monkeypatch):
    async def wrapper(flow, name, *given):
        called.append(name)
        return await wrapped(flow, name, *given)

    called, wrapped = [], Flow._execute_single_listener
    monkeypatch.setattr(Flow, "_execute_single_listener", wrapper)
    flow_chains.built(table(), []).kickoff()
    assert called == ["m1", "m2", "m3", "m4", "m5"]


def test_a_pool_of_the_users_gets_each_method():
    """It may open and close something around each of its jobs."""

    class Pool(ThreadPoolExecutor):
        def submit(self, function, *arguments, **options):
            def job():
                here.methods = 0
                return function(*arguments, **options)

            return super().submit(job)

    def method():
        here.methods += 1
        return here.methods

    async def run():
        asyncio.get_running_loop().set_default_executor(Pool(1))
        flow = flow_chains.built(table(), [])
        flow._methods.update((name, method) for name in flow._methods)
        await flow.kickoff_async()
        return flow.method_outputs

    here = threading.local()
    assert asyncio.run(run()) == [1] * 6


@pytest.mark.parametrize("where", ["class", "instance"])
@pytest.mark.parametrize(
    "name", ["_execute_single_listener", "_execute_listeners", "_execute_method", "_copy_state"]
)
def test_methods_that_are_replaced_meanwhile(name, where):
    def run():
        called, original = [], getattr(Flow, name)
        flow = flow_chains.built(table(), [])

        def wrapper(flow, *given):
            place = threading.current_thread() is threading.main_thread()
            called.append((place, [str(value) for value in given[:1]]))
            return original(flow, *given)

        def replaces():
            if where == "class":
                patch.start()
            else:
                object.__setattr__(flow, name, partial(wrapper, flow))

        flow._methods["m2"] = replaces
        patch = mock.patch.object(Flow, name, wrapper)
        try:
            flow.kickoff()
        finally:
            patch.stop()
        return called

    with fast_crewai.disabled():
        expected = run()
    assert run() == expected
    assert expected and all(place for place, _ in expected)


@pytest.mark.parametrize("kind", ["timer", "reader", "later"])
def test_callbacks_of_the_loop_never_run_beside_the_engine(kind):
    """They may change the state that the engine copies."""
    ours, theirs = socket.socketpair()

    async def run():
        loop = asyncio.get_running_loop()
        flow = flow_chains.built(table(), [])
        waiting = []
        if kind == "timer":
            waiting.append(loop.call_later(60, flow.state.clear))
        elif kind == "reader":
            loop.add_reader(ours, flow.state.clear)
        else:
            made = threading.Event()

            def later():
                waiting.append(loop.call_later(60, flow.state.clear))
                made.set()

            flow._methods["m2"] = lambda: (loop.call_soon_threadsafe(later), made.wait(10))
        with Steps() as steps:
            await flow.kickoff_async()
        loop.remove_reader(ours)
        waiting and waiting[0].cancel()
        return steps.in_worker

    with ours, theirs:
        assert asyncio.run(run()) == (1 if kind == "later" else 0)


@pytest.mark.skipif(not hasattr(asyncio, "timeout"), reason="Python 3.11")
def test_asyncios_own_timers_call_nobody():
    async def run():
        async with asyncio.timeout(60):
            await flow_chains.built(table(), []).kickoff_async()

    with Steps() as steps:
        asyncio.run(run())
    assert (steps.on_loop, steps.in_worker) == (1, 5)
