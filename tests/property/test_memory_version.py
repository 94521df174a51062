"""The version that a handle reads, asked for without LanceDB's event loop: always the handle's."""

import asyncio
import contextlib
import contextvars
import gc
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import timedelta
from unittest.mock import patch

import lancedb.table
import pytest
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from lancedb.background_loop import LOOP, BackgroundEventLoop
from lancedb.table import AsyncTable
from strategies import memories

from fast_crewai._core import Declined, answer_of
from fast_crewai.hooks.areas import memory_version
from fast_crewai.hooks.areas.memory_version import Versions

pytestmark = pytest.mark.usefixtures("routes")

DIM = memories.SIZES[2][0]
LOOPS = (asyncio._get_running_loop, asyncio._set_running_loop, contextvars.Context)


@pytest.fixture
def path(template, tmp_path):
    shutil.copytree(template, tmp_path / "s")
    return tmp_path / "s"


@pytest.fixture
def handle(path):
    return LanceDBStorage(path=path, compact_every=0)._table


@pytest.fixture
def directly(monkeypatch):
    """How often a version has been asked for without the loop, and the loop's turns."""
    counts = {"directly": 0, "loop": 0}

    def counted(name, function):
        def count(*arguments):
            counts[name] += 1
            return function(*arguments)

        return count

    monkeypatch.setattr(memory_version, "answer_of", counted("directly", answer_of))
    run = asyncio.run_coroutine_threadsafe
    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", counted("loop", run))
    return counts


def changes(path):
    """What may change a handle's version, or another handle's; each is given the handle."""
    other = LanceDBStorage(path=path, compact_every=0)
    rng = random.Random(5)

    def add(handle):
        storage = LanceDBStorage(path=path, compact_every=0)
        rows = [storage._record_to_row(memories.record(rng, rng.randrange(10**6), DIM))]
        handle.add(rows)

    def elsewhere(_):
        other.save([memories.record(rng, rng.randrange(10**6), DIM)])

    def old(handle):
        handle.checkout(rng.randint(1, handle.version))
        handle.checkout_latest() if rng.random() < 0.5 else None

    return [
        add,
        elsewhere,
        old,
        lambda handle: handle.update(where="id = 'id1'", values={"last_accessed": "x"}),
        lambda handle: handle.delete("id = 'nobody'"),
        lambda handle: handle.delete(f"id = 'id{rng.randrange(20)}'"),
        lambda handle: handle.optimize(cleanup_older_than=timedelta(days=1)),
        lambda handle: handle.checkout_latest(),
        lambda handle: handle.restore(),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_handles(path, handle, directly, seed):
    rng, versions = random.Random(seed), Versions()
    fresh = lancedb.connect(str(path), read_consistency_interval=timedelta(0))
    strict = fresh.open_table("memories")
    asked, seen = 0, set()
    done = 0
    for change in rng.choices(changes(path), k=40):
        with contextlib.suppress(ValueError, RuntimeError):  # an old version can't be written
            change(handle)
            done += 1
        for one in (handle, strict):
            assert versions.of(one) == one.version
            asked += 1
        seen.add(handle.version)
    assert directly["directly"] == asked
    assert done > 10
    assert len(seen) > 5


def test_a_handle_sees_what_it_sees(path, handle):
    """A handle learns of another's writes when LanceDB tells it, and not before."""
    versions, other = Versions(), LanceDBStorage(path=path, compact_every=0)
    before = versions.of(handle)
    other.save([memories.record(random.Random(1), 900, DIM)])
    assert versions.of(other._table) == other._table.version > before
    assert versions.of(handle) == handle.version == before
    handle.checkout_latest()
    assert versions.of(handle) == handle.version > before


def test_a_closed_table(handle):
    versions = Versions()
    assert versions.of(handle)
    handle._table.close()
    with pytest.raises(Exception) as ours:
        versions.of(handle)
    with pytest.raises(Exception) as theirs:
        handle.version  # noqa: B018
    assert (type(ours.value), str(ours.value)) == (type(theirs.value), str(theirs.value))


def test_whatever_is_patched_is_asked(handle, directly):
    versions = Versions()
    known = versions.of(handle)
    directly.update(directly=0)

    async def lying(_):
        return known + 7

    own_run = BackgroundEventLoop.run

    def run(self, future):
        return own_run(self, future) + 7

    class Loop(BackgroundEventLoop):
        pass

    table = lancedb.table
    with patch.object(table.LanceTable, "version", property(lambda _: known + 7)):
        assert versions.of(handle) == Versions().of(handle) == known + 7
    with patch.object(AsyncTable, "version", lying):
        assert versions.of(handle) == Versions().of(handle) == known + 7
    with patch.object(handle._table, "version", lambda: lying(0)):
        assert versions.of(handle) == Versions().of(handle) == known + 7
    with patch.object(BackgroundEventLoop, "run", run):
        assert versions.of(handle) == Versions().of(handle) == known + 7
    with patch.object(LOOP, "run", lambda future: run(LOOP, future)):
        assert versions.of(handle) == Versions().of(handle) == known + 7
    with patch.object(table, "LOOP", Loop()):
        assert versions.of(handle) == Versions().of(handle) == known
    assert directly["directly"] == 0
    assert versions.of(handle) == known
    assert directly["directly"] == 1


def test_threads_and_loops_at_work(path, handle):
    """Each thread gets its own answer, and keeps the loop that runs there, or none."""
    versions, failures = Versions(), []
    handles = [LanceDBStorage(path=path, compact_every=0)._table for _ in range(8)]
    for n, one in enumerate(handles):
        for _ in range(n):
            one.update(where="id = 'id1'", values={"last_accessed": str(n)})
    expected = [one.version for one in handles]
    assert len(set(expected)) > 4

    async def inside(one, wanted):
        loop = asyncio.get_running_loop()
        for _ in range(50):
            await asyncio.sleep(0)
            if versions.of(one) != wanted or asyncio.get_running_loop() is not loop:
                failures.append(one)

    def ask(one, wanted, with_loop):
        try:
            if with_loop:
                asyncio.run(inside(one, wanted))
            told = [(versions.of(one), asyncio._get_running_loop()) for _ in range(100)]
            failures.extend(answer for answer in told if answer != (wanted, None))
        except BaseException as error:
            failures.append(error)

    threads = [
        threading.Thread(target=ask, args=(one, wanted, n % 2))
        for n, (one, wanted) in enumerate(zip(handles, expected, strict=True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


class NeverError(Exception):
    pass


@pytest.mark.parametrize("collects", [True, False])
def test_what_gives_no_answer(collects):
    asked = []

    def never():
        asked.append(asyncio.get_running_loop())
        assert not gc.isenabled()
        return asyncio.get_running_loop().create_future()

    def elsewhere():
        return object()

    def fails():
        raise NeverError

    (gc.enable if collects else gc.disable)()
    try:
        with pytest.raises(Declined):
            answer_of(never, LOOPS, 0.02)
        with pytest.raises(Declined):
            answer_of(elsewhere, LOOPS, 60.0)
        with pytest.raises(NeverError):
            answer_of(fails, LOOPS, 60.0)
        for odd in (-1.0, float("nan"), float("inf"), 1e300):
            with pytest.raises(Declined):
                answer_of(never, LOOPS, odd)
        assert asyncio._get_running_loop() is None
        assert gc.isenabled() == collects
    finally:
        gc.enable()
    assert len(asked) == 1


def test_nobody_meets_the_loop_that_is_none(handle):
    """LanceDB keeps the contexts it is asked in, and may free what is in them when it is asked."""
    versions, held = Versions(), contextvars.ContextVar("held")
    by_loop, by_us = [], []
    known = versions.of(handle)

    class Held:
        def __init__(self, seen):
            self.seen = seen

        def __del__(self):
            self.seen.append((type(asyncio._get_running_loop()).__name__, gc.isenabled()))

    def inside(seen, ask):
        held.set(Held(seen))
        assert ask() == known

    for _ in range(100):
        contextvars.copy_context().run(inside, by_us, lambda: versions.of(handle))
        contextvars.copy_context().run(inside, by_loop, lambda: handle.version)
    assert len(by_us) == 100  # nothing of ours keeps what the caller's context holds
    assert versions.of(handle) == known
    assert {seen for seen in by_us + by_loop if "Answer" in seen[0] or not seen[1]} == set()


@pytest.mark.parametrize("outcome", ["set_result", "set_exception"])
def test_an_answer_from_another_thread(outcome):
    value = 5 if outcome == "set_result" else NeverError("no")

    def ask():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        future.add_done_callback(lambda _: None)
        assert future.cancelled() is False
        work = (loop.call_soon_threadsafe, getattr(future, outcome), value)
        threading.Timer(0.01, work[0], work[1:]).start()
        return future

    if outcome == "set_result":
        assert answer_of(ask, LOOPS, 60.0) == 5
    else:
        with pytest.raises(NeverError, match="no"):
            answer_of(ask, LOOPS, 60.0)


def test_a_callback_that_fails_is_the_answer():
    def callback():
        raise NeverError

    def ask():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        threading.Timer(0.01, loop.call_soon_threadsafe, (callback,)).start()
        return future

    with pytest.raises(NeverError):
        answer_of(ask, LOOPS, 60.0)


def test_lancedb_is_asked_where_there_is_no_answer(handle, directly, monkeypatch):
    versions = Versions()
    monkeypatch.setattr(memory_version, "_PATIENCE", 0.0)
    assert {versions.of(handle) for _ in range(20)} == {handle.version}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer's signals")
def test_a_wait_can_be_interrupted():
    def never():
        return asyncio.get_running_loop().create_future()

    def handler(*_):
        assert asyncio._get_running_loop() is None
        raise NeverError

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(NeverError):
            answer_of(never, LOOPS, 600.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert asyncio._get_running_loop() is None


FORKED = """
    import os, sys, warnings
    warnings.simplefilter("ignore")
    from crewai.memory.storage.lancedb_storage import LanceDBStorage
    from fast_crewai.hooks.areas import memory_version
    from fast_crewai.hooks.areas.memory_storage import TABLES
    asked, answer_of = [], memory_version.answer_of
    def counted(*arguments):
        asked.append(1)
        return answer_of(*arguments)
    memory_version.answer_of = counted
    storage = LanceDBStorage(path=sys.argv[1], compact_every=0)
    query = [0.5] * storage._vector_dim
    plain = LanceDBStorage.search.__wrapped__
    def check():
        asked.clear()
        ours = [(r.id, s) for r, s in storage.search(query)]
        assert ours == [(r.id, s) for r, s in plain(storage, query)]
        assert TABLES.version_of(storage._table) == storage._table.version
        assert len(asked) > 1
    check()
    # A child searches with LanceDB at its own risk (SIGSEGV in one of five, without us, too).
    for _ in range(5):
        child = os.fork()
        if not child:
            try:
                asked.clear()
                assert TABLES.version_of(storage._table) == storage._table.version
                assert len(asked) == 1
            except BaseException:
                os._exit(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        check()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks")
def test_a_forked_child_asks_by_itself(path):
    program = [sys.executable, "-m", "fast_crewai", "run", "-c", textwrap.dedent(FORKED)]
    done = subprocess.run([*program, str(path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
