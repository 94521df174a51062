"""More crews at once than asyncio's pool has threads."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM

import fast_crewai
from fast_crewai.hooks.areas import worker_threads

CREWS = 40  # asyncio has 32 threads at most

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # CrewAI's own fields


@pytest.fixture(autouse=True)
def installed():
    fast_crewai.install()
    yield
    fast_crewai.uninstall()


def crews(meeting):
    class Meets(BaseLLM):
        """Answers when all are asking."""

        def call(self, *arguments, **options):
            meeting.wait(60)
            return "Thought: so\nFinal Answer: met"

        async def acall(self, *arguments, **options):
            return self.call()

    for _ in range(CREWS):
        agent = Agent(role="r", goal="g", backstory="b", llm=Meets(model="fake"))
        task = Task(description="d", expected_output="e", agent=agent)
        yield Crew(agents=[agent], tasks=[task])


@pytest.mark.parametrize("way", ["akickoff", "kickoff_async"])
def test_all_wait_for_their_models_at_once(way):
    meeting = threading.Barrier(CREWS)

    async def together():
        running = asyncio.gather(*(getattr(crew, way)() for crew in crews(meeting)))
        return {result.raw for result in await asyncio.wait_for(running, 120)}

    assert asyncio.run(together()) == {"met"}


def test_never_more_than_the_most(monkeypatch):
    """Four runs at once: two in threads of their own, the others in the pool's only one."""
    monkeypatch.setattr(worker_threads, "MOST", 2)
    inside, most, own = [], [], []

    def call():
        inside.append(1)
        most.append(len(inside))
        own.append(worker_threads.is_own())
        all_there.wait(20)
        inside.pop()

    all_there = threading.Event()

    async def together():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1, "asyncio"))
        runs = [asyncio.ensure_future(worker_threads.in_worker(call)) for _ in range(4)]
        while len(inside) < 3:
            await asyncio.sleep(0.001)
        all_there.set()
        await asyncio.gather(*runs)
        await worker_threads.in_worker(call)

    asyncio.run(together())
    assert max(most) == 3 and own.count(True) == 3 and own[-1]


def test_the_loop_waits_for_what_was_cancelled():
    """As for asyncio's own threads: at its end, and only there."""
    entered, log = threading.Event(), []

    def call():
        entered.set()
        threading.Event().wait(0.1)
        log.append("ended")

    async def cancelled(wait):
        task = asyncio.ensure_future(wait(call))
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        log.append("cancelled")

    for wait in (asyncio.to_thread, worker_threads.in_worker):
        asyncio.run(cancelled(wait))
        log.append("closed")
        entered.clear()
    assert log == ["cancelled", "ended", "closed"] * 2


def test_as_in_asyncios_threads():
    """What the function sees and raises, with a loop that is closed meanwhile too."""
    variable = contextvars.ContextVar("variable", default="unset")

    def call(error):
        seen.append((threading.current_thread().name, variable.get()))
        variable.set("inside")
        if error is not None:
            raise error("failed")
        return "result"

    async def one(wait, error):
        variable.set("outside")
        try:
            return await wait(call, error), variable.get()
        except BaseException as raised:
            return repr(raised), raised.__context__, variable.get()

    for error in (None, ValueError, concurrent.futures.InvalidStateError, SystemExit):
        outcomes = []
        for wait in (asyncio.to_thread, worker_threads.in_worker):
            seen = []
            outcomes.append((asyncio.run(one(wait, error)), seen))
        assert outcomes[0] == outcomes[1]
        assert outcomes[0][1] == [("asyncio_0", "outside")]


@pytest.mark.parametrize("fails", [False, True])
def test_no_thread_is_left_after_the_loop(fails):
    def call():
        threads.append(threading.current_thread())
        if fails:
            raise ValueError("so")

    threads = []
    for _ in range(200):
        with contextlib.suppress(ValueError):
            asyncio.run(worker_threads.in_worker(call))
        assert not threads[-1].is_alive()


IN_A_DAEMON = """\
import asyncio, sys, threading, time

if sys.argv[1] == "accelerated":
    from fast_crewai.hooks.areas.worker_threads import in_worker
else:
    in_worker = asyncio.to_thread

def call():
    inside.set()
    time.sleep(0.5)
    print("done", threading.current_thread().daemon, flush=True)

async def twice():
    await in_worker(call)
    try:
        await in_worker(call)
    except RuntimeError as error:
        print(error, flush=True)

loop, inside = asyncio.new_event_loop(), threading.Event()
threading.Thread(target=loop.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(twice(), loop)
inside.wait()
"""


def test_the_interpreters_end_waits_as_for_asyncios_threads():
    def lines(way):
        run = [sys.executable, "-c", IN_A_DAEMON, way]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()

    plain = lines("plain")
    assert plain[0] == "done True"
    assert lines("accelerated")[0] == plain[0]


def test_none_starts_at_the_interpreters_end(monkeypatch):
    started = threading.active_count()
    monkeypatch.setattr(worker_threads.pool, "_shutdown", True)
    with pytest.raises(RuntimeError, match="cannot schedule new futures after"):
        asyncio.run(worker_threads.in_worker(print))
    assert threading.active_count() == started


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_none(monkeypatch):
    monkeypatch.setattr(worker_threads._threads, "_living", worker_threads.MOST)
    child = os.fork()
    if not child:
        os._exit(worker_threads._threads._living)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_who_gives_up_the_coroutine_does_not_wait():
    go_on, inside = threading.Event(), threading.Event()

    def call():
        inside.set()
        assert go_on.wait(10)

    async def given_up():
        coroutine = worker_threads.in_worker(call)
        coroutine.send(None)
        assert await asyncio.to_thread(inside.wait, 10)
        coroutine.close()
        go_on.set()

    asyncio.run(given_up())
    assert go_on.is_set()
