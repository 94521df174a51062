"""CrewAI's store lock while nobody else wants it: who replaces a step of portalocker's is asked."""

import builtins
import fcntl
import io
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import portalocker
import pytest
from portalocker import portalocker as system
from portalocker import utils

import fast_crewai
from fast_crewai import engine
from fast_crewai.hooks.areas import store_lock

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the route is for POSIX")

_STEPS = {
    **{
        name: (portalocker.Lock, name)
        for name in ("__init__", "acquire", "release", "_get_fh", "_get_lock", "_prepare_fh")
    },
    "lock": (system, "lock"),
    "unlock": (system, "unlock"),
    "flock": (fcntl, "flock"),
    "open": (builtins, "open"),
    "open there": (utils, "open"),
}


@pytest.fixture(scope="module")
def sides():
    fast_crewai.install()
    state = engine.registry().states["database.store-lock"]
    yield state.dispatcher.attribute.__wrapped__, state.dispatcher.attribute
    fast_crewai.uninstall()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def taken(monkeypatch):
    """Locks that were taken at once."""
    seen = []
    acquire = store_lock.Held.acquire

    def recorded(self, path):
        seen.append(acquire(self, path))
        return seen[-1]

    monkeypatch.setattr(store_lock.Held, "acquire", recorded)
    return seen


@pytest.mark.parametrize("step", _STEPS)
def test_a_replaced_step_is_taken(sides, folder, taken, monkeypatch, step):
    place, name = _STEPS[step]
    usual = getattr(place, name, open)
    answers = []
    for lock in sides:
        seen = []

        def replaced(*arguments, seen=seen, **options):
            seen.append([type(argument) for argument in arguments if argument is not usual])
            return usual(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(place, name, replaced, raising=False)
            with lock("name"):
                seen.append("inside")
        answers.append(len(seen))
    assert answers[0] == answers[1] > 1
    assert not taken


def test_what_a_free_lock_does(sides, folder, taken):
    events = []
    sys.addaudithook(lambda *event: events.append(event) if listening else None)
    answers = []
    for lock in sides:
        listening = False
        with pytest.raises(KeyError, match="mine"), lock("name"):  # the file is there
            raise KeyError("mine")
        handles = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc").is_dir() else 0
        events.clear()
        listening = True
        with lock("name"):
            listening = False
            (path,) = folder.iterdir()
            assert not _can_be_locked(path)
            inside = [(name, str(path) in map(str, values)) for name, values in events]
        answers.append([(name, own) for name, own in inside if own or name == "fcntl.flock"])
        assert _can_be_locked(path)
        if handles:
            assert len(list(Path("/proc/self/fd").iterdir())) == handles
    assert answers[0] == answers[1] != []
    assert taken == [True, True]


@pytest.mark.skipif(not hasattr(sys.flags, "warn_default_encoding"), reason="no such option")
def test_a_warning_about_the_encoding_is_portalockers():
    text = """if 1:
        import fast_crewai
        fast_crewai.install()
        from crewai_core.lock_store import lock
        with lock("test_free_locks"):
            pass
    """
    command = [sys.executable, "-X", "warn_default_encoding", "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert "portalocker/utils.py" in done.stderr
    assert "EncodingWarning" in done.stderr


def test_one_that_is_held_is_waited_for(sides, folder, taken):
    original, fast = sides
    order = []
    entered, go_on = threading.Event(), threading.Event()

    def hold():
        with original("name"):
            entered.set()
            assert go_on.wait(20)
            order.append("held")

    thread = threading.Thread(target=hold)
    thread.start()
    assert entered.wait(20)
    threading.Timer(0.1, go_on.set).start()
    with fast("name"):
        order.append("then")
    thread.join()
    assert order == ["held", "then"]
    assert taken == [False]
    with (
        pytest.raises(portalocker.exceptions.LockException),
        original("name"),
        fast("name", timeout=0.01),
    ):
        raise AssertionError("held")


def test_nobody_in_line_is_overtaken(sides, folder, taken, monkeypatch):
    _, fast = sides
    monkeypatch.setattr(store_lock.Lines, "is_empty", lambda self, path: False)
    with fast("name"):
        assert taken == []


@pytest.mark.parametrize("when", ["opened", "locked"])
def test_an_interrupt_keeps_no_lock(sides, folder, monkeypatch, when):
    _, fast = sides

    class Interrupted(store_lock.Held):
        def acquire(self, path):
            if when == "locked":
                assert super().acquire(path)
            else:
                self.fh = io.FileIO(path, "a")
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store_lock, "Held", Interrupted)
        with pytest.raises(KeyboardInterrupt) as caught, fast("name"):
            raise AssertionError("not entered")
    (path,) = folder.iterdir()
    assert _can_be_locked(path)  # though the traceback lives
    del caught
    with fast("name"):
        pass


def _can_be_locked(path):
    with path.open("a") as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


REPLACED_BEFORE = """
import portalocker, portalocker.utils
from portalocker import portalocker as system
def seen(*arguments, usual=PLACE.NAME, **options):
    print("seen")
    return usual(*arguments, **options)
PLACE.NAME = seen
from crewai_core.lock_store import lock
with lock("a", timeout=1):
    print("locked")
"""


@pytest.mark.parametrize("ours", ["", "from fast_crewai import finder; finder.start()"])
@pytest.mark.parametrize("step", ["lock", "unlock", "_get_fh", "_get_lock", "_prepare_fh"])
def test_a_step_replaced_before_us_is_taken(step, ours, tmp_path):
    place = "system" if step in ("lock", "unlock") else "portalocker.Lock"
    program = REPLACED_BEFORE.replace("PLACE", place).replace("NAME", step)
    run = subprocess.run(
        [sys.executable, "-c", f"{ours}\n{program}"],
        env={**os.environ, "TMPDIR": str(tmp_path), "CREWAI_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(run.stdout.split()) == {"seen", "locked"}
