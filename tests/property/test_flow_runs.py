"""Random flows from start to end, as CrewAI runs them and as we do."""

import asyncio
import traceback
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest
from crewai.events.event_bus import crewai_event_bus
from crewai.flow.flow import Flow
from hypothesis import HealthCheck, given, settings
from strategies import flow_runs

import fast_crewai
from fast_crewai import engine

ROUTE = "flow.method-completion"
SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.fixture(scope="module", autouse=True)
def tally():
    fast_crewai.install()
    state = engine.registry().states[ROUTE]
    assert state.state == "active", state.reason
    yield state.tally
    fast_crewai.uninstall()


@settings(SETTINGS, max_examples=150)
@given(flow_runs.sequential)
def test_the_same_in_the_same_order(example):
    with fast_crewai.disabled():
        expected = flow_runs.run(example)
    assert flow_runs.run(example) == expected


@settings(SETTINGS, max_examples=50)
@given(flow_runs.side_by_side)
def test_the_same_side_by_side(example):
    def unordered():
        log, _, left = flow_runs.run(example)
        del left["state"]["seen"]
        del left["pending"]  # with CrewAI's engine, too, what ended first is seen by the others
        left["outputs"].sort(key=repr)
        kept = sorted((e[0], e[1], e[-1]) for e in map(tuple, log))
        return kept, left

    with fast_crewai.disabled():
        expected = unordered()
    assert unordered() == expected


def example(*kinds, persist=None, **method):
    """m0 starts; all others listen to it."""
    plain = {"results": [1], "takes": False, "persist": None, "listen": "m0"}
    plain |= {"router": False, "start": None, **method}
    return {
        "methods": {f"m{i}": plain | {"kind": kind} for i, kind in enumerate(kinds)},
        "persist": persist,
        "fails": False,
        "silent": False,
        "most": 100,
    }


def test_coroutines_take_turns_where_they_did():
    """The end of a method is a turn of the event loop: the other one starts before it."""
    started, finished = "method_execution_started", "method_execution_finished"
    log, _, _ = flow_runs.run(example("async at once", "async at once", "async at once"))
    events = [(e[0], e[1]) for e in log if e[0] in (started, finished)]
    assert events[2:] == [(started, "m1"), (started, "m2"), (finished, "m1"), (finished, "m2")]


def hand_offs(table, owner=flow_runs.Plain):
    """The functions that a flow sends to worker threads of the event loop."""
    sent = []
    log = []
    submit = ThreadPoolExecutor.submit

    def seen(pool, function, *arguments, **options):
        if pool._thread_name_prefix == "asyncio":
            inner = function.args[0] if hasattr(function, "args") else function
            sent.append(getattr(inner, "__name__", repr(inner)))
        return submit(pool, function, *arguments, **options)

    async def run():
        await flow_runs.build(table, log, owner).kickoff_async()

    with mock.patch.object(ThreadPoolExecutor, "submit", seen):  # a loop's own would be noticed
        asyncio.run(run())
    return sent, [entry for entry in log if entry[0] == "saved"]


SAVING = "_persist_method_completion"


def test_a_flow_without_persistence_sends_only_its_methods_to_threads(tally):
    before = tally.calls
    sent, _ = hand_offs(example("sync", "sync", "async"))
    assert sent.count(SAVING) == 0 and sent.count("run") == 2
    assert tally.calls == before + 3
    with fast_crewai.disabled():
        sent, _ = hand_offs(example("sync", "sync", "async"))
    assert sent.count(SAVING) == 3 and sent.count("run") == 2


@pytest.mark.parametrize("where", ["flow", "method"])
def test_saving_stays_in_a_thread(where):
    given = {"enabled": True}
    table = example("sync", "async", persist=given if where == "flow" else None)
    if where == "method":
        table["methods"]["m1"]["persist"] = given
    sent, saved = hand_offs(table)
    assert sent.count(SAVING) == len(saved) == (2 if where == "flow" else 1)
    assert {entry[3] for entry in saved} == {("asyncio", False)}


def test_a_method_of_a_subclass_is_called():
    class Own(flow_runs.Plain):
        def _persist_method_completion(self, method_name):
            seen.append((method_name, flow_runs.place()))

    seen = []
    hand_offs(example("sync", "sync"), Own)
    assert seen == [("m0", ("asyncio", False)), ("m1", ("asyncio", False))]


def test_a_patched_method_is_called(monkeypatch):
    seen = []
    monkeypatch.setattr(Flow, SAVING, lambda self, name: seen.append(name))
    hand_offs(example("sync", "sync"))
    assert seen == ["m0", "m1"]


def test_a_patched_to_thread_is_called(monkeypatch):
    async def to_thread(function, *arguments):
        seen.append(function.__name__)
        return function(*arguments)

    seen = []
    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    hand_offs(example("sync"))
    assert SAVING in seen


@pytest.mark.parametrize("off", [True, False])
def test_cancellation_arrives_at_the_end_of_a_method(off, monkeypatch):
    """Between the result, which is kept, and the event, which is not emitted."""
    flow = flow_runs.build(example("async"), [])
    emitted = []
    monkeypatch.setattr(type(crewai_event_bus), "emit", lambda *a: emitted.append(a[-1].type))

    async def cancelled():
        async def method():
            task.cancel()
            return 1

        task = asyncio.ensure_future(flow._execute_method("m0", method))
        with pytest.raises(asyncio.CancelledError):
            await task

    if off:
        with fast_crewai.disabled():
            asyncio.run(cancelled())
    else:
        asyncio.run(cancelled())
    assert flow.method_outputs == [1] and flow._method_execution_counts == {"m0": 1}
    assert emitted == ["method_execution_started"]


def test_tracebacks_show_the_lines_of_crewai():
    def lines():
        flow = flow_runs.build(example("async", results=[ValueError]), [])
        with pytest.raises(ValueError, match="m0") as caught:
            asyncio.run(flow._execute_method("m0", flow._methods["m0"]))
        frames = traceback.extract_tb(caught.value.__traceback__)
        return [(f.filename, f.lineno) for f in frames if f.lineno != definition]

    definition = Flow._execute_method.__code__.co_firstlineno
    with fast_crewai.disabled():
        expected = lines()
    assert lines() == expected
    assert any(line[0] == Flow._execute_method.__code__.co_filename for line in expected)
