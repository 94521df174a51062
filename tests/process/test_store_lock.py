"""The store lock, shared with processes that run plain CrewAI."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import PACKAGE, PYTHON, code, environment

pytest.importorskip("crewai_core.lock_store")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="the route is for POSIX")

PRELUDE = """
import faulthandler, os, signal, sys, threading, time
import fast_crewai
faulthandler.dump_traceback_later(150, exit=True)
if sys.argv[1] == "fast":
    fast_crewai.install()
import crewai_core.lock_store as store
from crewai_core.lock_store import lock
import portalocker

def tally():
    from fast_crewai import engine
    return engine.registry().states["database.store-lock"].tally

def threads(number, work):
    started = [threading.Thread(target=work, args=(n,)) for n in range(number)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
"""


def begin(folder: Path, text: str, kind: str, *arguments: str) -> subprocess.Popen[str]:
    env = environment(
        TMPDIR=folder,
        PYTHONPATH=PACKAGE.parent,
        FAST_CREWAI_STRICT="1",
        CREWAI_DISABLE_TELEMETRY="true",
    )
    command = [PYTHON, "-c", code(PRELUDE) + code(text), kind, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=env, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8"
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=170)
    assert (process.returncode, err) == (0, "")
    return out


def alone(folder: Path, text: str, kind: str = "fast") -> str:
    return finish(begin(folder, text, kind))


def test_no_update_is_lost_between_plain_and_fast(tmp_path: Path) -> None:
    text = """
        from pathlib import Path
        inside = 0

        def work(_):
            global inside
            for _ in range(63):
                with lock("counter"):
                    inside += 1
                    assert inside == 1
                    with open("counter") as file:
                        value = int(file.read())
                    time.sleep(0)
                    Path("counter").write_text(str(value + 1))
                    inside -= 1

        sys.stdin.readline()
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        threads(8, work)
        after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        assert before == after
        if sys.argv[1] == "fast":
            assert (tally().calls, tally().fallbacks) == (504, 0)
    """
    (tmp_path / "counter").write_text("0")
    processes = [begin(tmp_path, text, kind) for kind in ("plain", "fast")]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        finish(process)
    assert (tmp_path / "counter").read_text() == "1008"


HOLD = """
    with lock("held"):
        print("held", flush=True)
        sys.stdin.readline()
"""


def hold(folder: Path, kind: str) -> subprocess.Popen[str]:
    process = begin(folder, HOLD, kind)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def let_go(process: subprocess.Popen[str]) -> None:
    finish(process)


@pytest.mark.parametrize(("holder", "waiter"), [("plain", "fast"), ("fast", "plain")])
def test_each_excludes_the_other(tmp_path: Path, holder: str, waiter: str) -> None:
    text = """
        start = time.perf_counter()
        try:
            with lock("held", timeout=0.6):
                print("entered")
        except portalocker.exceptions.LockException as error:
            assert time.perf_counter() - start >= 0.6
            inner = error.__cause__
            print(type(error).__name__, error, [type(inner).__name__, type(inner.args[0]).__name__,
                  type(inner.args[0].args[0]).__name__], inner.fh, inner.args[0].fh.closed)
    """
    process = hold(tmp_path, holder)
    messages = {alone(tmp_path, text, kind) for kind in (waiter, "plain")}
    let_go(process)
    assert len(messages) == 1
    (message,) = messages
    assert "(timeout=0.6s). This commonly occurs" in message
    assert "['LockException', 'LockException', 'BlockingIOError'] None True" in message
    assert alone(tmp_path, text, waiter) == "entered\n"


@pytest.mark.parametrize("end", ["kill", "release"])
@pytest.mark.parametrize("holder", ["plain", "fast"])
def test_taken_at_once_when_the_holder_is_gone(tmp_path: Path, holder: str, end: str) -> None:
    process = hold(tmp_path, holder)
    text = """
        print("waiting", flush=True)
        with lock("held"):
            print(time.time())
    """
    waiter = begin(tmp_path, text, "fast")
    assert waiter.stdout is not None
    assert waiter.stdout.readline() == "waiting\n"
    time.sleep(0.4)
    if end == "kill":
        process.kill()
        process.communicate()
        released = time.time()
    else:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        released = time.time()
    assert float(finish(waiter)) - released < 0.15
    if end != "kill":
        finish(process)


def test_threads_take_turns_without_polling(tmp_path: Path) -> None:
    text = """
        waits, order, ready = [], [], threading.Barrier(8)

        def work(_):
            ready.wait()
            for _ in range(20):
                start = time.perf_counter()
                with lock("turns"):
                    waits.append(time.perf_counter() - start)
                    time.sleep(0.002)

        threads(8, work)
        assert max(waits) < 0.2, max(waits)  # the first of portalocker's pauses is 0.25 s

        def late(number):
            time.sleep(0.02 * number)
            with lock("order"):
                order.append(number)

        with lock("order"):
            others = threading.Thread(target=threads, args=(6, late))
            others.start()
            time.sleep(0.5)
        others.join()
        assert order == sorted(order), order
    """
    alone(tmp_path, text)


def test_timeout_and_nesting(tmp_path: Path) -> None:
    text = """
        def times_out(*_):
            start = time.perf_counter()
            try:
                with lock("mine", timeout=0.3):
                    raise AssertionError("entered")
            except portalocker.exceptions.LockException as error:
                assert 0.3 <= time.perf_counter() - start < 0.8
                assert "(timeout=0.3s)" in str(error)
                assert type(error.__cause__) is portalocker.exceptions.LockException

        with lock("mine"):
            times_out()  # not reentrant
            threads(3, times_out)
            with lock("another"):
                pass
        with lock("mine", timeout=0):
            pass
        manager = lock("mine")  # taken by one thread, released by another
        manager.__enter__()
        threads(1, lambda _: manager.__exit__(None, None, None))
        with lock("mine", timeout=0.3):
            pass
    """
    alone(tmp_path, text)


def test_fork(tmp_path: Path) -> None:
    text = """
        def child(work):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    work()
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitpid(pid, 0)[1] == 0

        def take():
            start = time.perf_counter()
            with lock("forked", timeout=5):
                assert time.perf_counter() - start < 1

        entered = threading.Event()

        def brief(_):
            with lock("forked"):
                entered.set()
                time.sleep(0.3)

        with lock("other"):
            waiting = threading.Thread(target=lambda: lock("other").__enter__())
            waiting.start()
            holder = threading.Thread(target=brief, args=(0,))
            holder.start()
            entered.wait()
            pid = os.fork()  # while one thread holds and one waits
            if pid == 0:
                # The file is open in both: the parent's release frees it, as with portalocker.
                time.sleep(0.5)
                take()
                with lock("fresh"):
                    pass
                os._exit(0)
            holder.join()
            assert os.waitpid(pid, 0)[1] == 0
        waiting.join()
        child(take)
        with lock("inherited"):
            child(lambda: None)
        manager = lock("left by the child")
        manager.__enter__()
        child(lambda: manager.__exit__(None, None, None))
        manager.__exit__(None, None, None)
        threads(4, lambda _: take())
    """
    alone(tmp_path, text)


def test_interrupted_waiters_and_holders(tmp_path: Path) -> None:
    text = """
        class Stop(Exception):
            pass

        def stop(*_):
            raise Stop

        signal.signal(signal.SIGALRM, stop)

        def interrupted(seconds, work):
            try:
                signal.setitimer(signal.ITIMER_REAL, seconds)
                work()
                while True:
                    time.sleep(1)
            except Stop:
                pass

        def hold(started, seconds):
            with lock("i"):
                started.set()
                time.sleep(seconds)

        def wait():
            with lock("i"):
                raise AssertionError

        started = threading.Event()
        holder = threading.Thread(target=hold, args=(started, 1))
        holder.start()
        started.wait()
        interrupted(0.2, wait)
        behind = threading.Thread(target=hold, args=(threading.Event(), 0))
        behind.start()
        holder.join()
        at = time.perf_counter()
        behind.join()
        assert time.perf_counter() - at < 0.2

        def busy():
            while True:
                with lock("i"):
                    pass

        for number in range(300):  # at any point
            interrupted(0.0005 + number % 50 * 0.0001, busy)
        start = time.perf_counter()
        with lock("i", timeout=2):
            pass
        assert time.perf_counter() - start < 0.3
        assert len(os.listdir("/proc/self/fd")) < 20

        def handler(*_):  # a signal's handler may want a lock as well
            name = f"i{len(handled)}"
            handled.append(name)
            with lock(name):
                pass

        handled = []
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        for _ in range(3000):
            with lock("i"):
                pass
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert handled
    """
    if sys.platform == "linux":
        alone(tmp_path, text)


def test_file_deleted_while_waiting(tmp_path: Path) -> None:
    """Who waits keeps its file, as with portalocker; who comes later has a new one."""
    text = """
        import glob, tempfile
        order = []

        def wait(_):
            with lock("gone"):
                order.append("waiter")

        with lock("gone"):
            waiter = threading.Thread(target=wait, args=(0,))
            waiter.start()
            time.sleep(0.3)
            [path] = glob.glob(tempfile.gettempdir() + "/crewai:*.lock")
            os.unlink(path)
            time.sleep(0.4)
            order.append("holder")
        waiter.join()
        print(order)
    """
    assert alone(tmp_path, text, "fast") == alone(tmp_path, text, "plain")


@pytest.mark.parametrize("seconds", [8])
def test_busy_threads_leave_room_for_plain_processes(tmp_path: Path, seconds: int) -> None:
    text = f"""
        end = time.monotonic() + {seconds}
        print("busy", flush=True)
        def work(_):
            while time.monotonic() < end:
                with lock("held"):
                    time.sleep(0.005)
        threads(4, work)
    """
    busy = begin(tmp_path, text, "fast")
    assert busy.stdout is not None
    assert busy.stdout.readline() == "busy\n"
    took = """
        start = time.perf_counter()
        with lock("held"):
            print(time.perf_counter() - start)
    """
    assert float(alone(tmp_path, took, "plain")) < seconds - 1.5
    finish(busy)


def test_custom_backends_and_patches(tmp_path: Path) -> None:
    text = """
        from contextlib import contextmanager
        from unittest import mock
        seen = []

        @contextmanager
        def backend(name, *, timeout):
            seen.append((name, timeout))
            yield

        asked = lock("late")  # decided when it is entered
        store.set_lock_backend(backend)
        with asked, lock("b", timeout=3):
            pass
        assert seen == [("late", 120), ("b", 3)]
        store.set_lock_backend(None)
        with mock.patch("portalocker.Lock") as patched, lock("p"):
            patched.assert_called_once()
        with mock.patch.object(store, "_redis_available", lambda: False), lock("p"):
            pass
        assert tally().reasons == {
            "a lock backend of the user's": 1,
            "patched: portalocker.Lock": 1,
            "patched: _redis_available": 1,
        }
    """
    text = text.replace("from contextlib", "tally().strict = False\n        from contextlib", 1)
    alone(tmp_path, text)


def test_no_time_is_an_attempt_all_the_same(tmp_path: Path) -> None:
    text = """
        held, done = threading.Event(), threading.Event()

        def hold(number):
            with lock("n"):
                held.set()
                done.wait(20)

        started = [threading.Thread(target=hold, args=(n,)) for n in range(2)]
        for thread in started:
            thread.start()
        held.wait(20)
        time.sleep(0.5)  # one holds, one stands in line
        for timeout in (1e-6, 1e-5, 1e-3):
            try:
                with lock("n", timeout=timeout):
                    raise SystemExit(f"entered while it was held ({timeout})")
            except portalocker.exceptions.LockException:
                pass
        done.set()
    """
    alone(tmp_path, text)
