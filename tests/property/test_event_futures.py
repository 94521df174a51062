"""Waiting for event handlers by one wake-up, compared with a future of the loop for each."""

import asyncio
from concurrent.futures import Future

from crewai.flow import runtime
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_crewai.hooks.areas.event_futures import waiting_for_all

OUTCOMES = ["result", "error", "cancelled"]
LIKELY = ["result"] * 6 + OUTCOMES
TURNS = 8  # more than either takes


async def as_crewai(futures):
    await asyncio.gather(*[asyncio.wrap_future(f) for f in futures])


def end(future, outcome, number):
    if not future.set_running_or_notify_cancel():
        return
    if outcome == "error":
        future.set_exception(ValueError(number))
    else:
        future.set_result(number)


def make(spec):
    """A future that is done, at work, or still in the queue."""
    future = Future()
    if spec["starts"] == "done":
        if spec["outcome"] == "cancelled":
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            end(future, spec["outcome"], spec["number"])
    elif spec["starts"] == "running":
        future.set_running_or_notify_cancel()
    return future


def finish(future, spec):
    if future.done():
        if future.cancelled():
            future.set_running_or_notify_cancel() if future._state == "CANCELLED" else None
        return
    if spec["outcome"] == "cancelled" and future.cancel():
        future.set_running_or_notify_cancel()
    elif future.running():
        error = spec["outcome"] == "error"
        future.set_exception(ValueError(spec["number"])) if error else future.set_result(None)
    else:
        end(future, spec["outcome"], spec["number"])


async def seen(wait, specs, order, interrupted, debug):
    """What waiting for these futures shows, while they end one after the other."""
    asyncio.get_running_loop().set_debug(debug)
    futures = [make(spec) for spec in specs]
    task = asyncio.ensure_future(wait(futures))
    log = []

    async def look(what):
        await asyncio.sleep(0)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        log.append((what, task.done(), [future._state for future in futures]))

    await look("started")
    for step, place in enumerate(order):
        if step == interrupted:
            task.cancel()
            await look("interrupted")
        finish(futures[place], specs[place])
        await look(place)
    try:
        log.append(await asyncio.wait_for(task, 5))
    except (ValueError, asyncio.CancelledError) as error:
        log.append((type(error), error.args, type(error.__context__)))
    return log


@st.composite
def examples(draw):
    spec = st.fixed_dictionaries(
        {
            "starts": st.sampled_from(["done", "running", "waiting"]),
            "outcome": st.sampled_from(LIKELY),
        }
    )
    specs = draw(st.lists(spec, min_size=0, max_size=6))
    for number, one in enumerate(specs):
        one["number"] = number
    order = draw(st.permutations(range(len(specs))))
    return specs, order, draw(st.integers(-6, 6)), draw(st.sampled_from([False, False, True]))


@given(example=examples())
@settings(max_examples=200, deadline=None)
def test_the_same_end_at_the_same_time(example):
    ours = asyncio.run(seen(waiting_for_all(runtime), *example))
    assert ours == asyncio.run(seen(as_crewai, *example))


def test_as_many_turns_of_the_loop():
    """Other tasks run as often while handlers that have ended are waited for."""

    async def turns(wait, pending):
        futures = [make({"starts": "done", "outcome": "result", "number": 1}) for _ in range(3)]
        if pending:
            futures.append(make({"starts": "running"}))
        task = asyncio.ensure_future(wait(futures))
        await asyncio.sleep(0)
        if pending:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            futures[-1].set_result(None)
        count = 0
        while not task.done():
            count += 1
            await asyncio.sleep(0)
        return count

    for pending in (False, True):
        ours = asyncio.run(turns(waiting_for_all(runtime), pending))
        assert ours == asyncio.run(turns(as_crewai, pending))


def test_wakes_the_loop_once():
    async def wakes(wait):
        loop = asyncio.get_running_loop()
        futures = [make({"starts": "running"}) for _ in range(5)]
        task = asyncio.ensure_future(wait(futures))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        calls, call = [], loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *given, **named: (calls.append(1), call(*given, **named))
        await asyncio.to_thread(lambda: [future.set_result(None) for future in futures])
        del loop.call_soon_threadsafe
        await task
        return len(calls)

    assert asyncio.run(wakes(as_crewai)) == asyncio.run(wakes(waiting_for_all(runtime))) + 4


def test_patched_functions_are_called(monkeypatch):
    called = []
    gather = asyncio.gather
    monkeypatch.setattr(asyncio, "gather", lambda *given: called.append(given) or gather(*given))
    future = make({"starts": "done", "outcome": "result", "number": 1})
    asyncio.run(waiting_for_all(runtime)([future]))
    assert len(called) == 1
