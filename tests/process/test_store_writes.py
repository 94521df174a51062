"""CrewAI's SQLite stores, written by plain and accelerated processes side by side, some killed."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest
from helpers import PACKAGE, PYTHON, code, environment

pytest.importorskip("crewai_core.lock_store")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="the routes are for POSIX")

WRITER = """
import itertools, json, sys
import fast_crewai
kind, me, folder, count = sys.argv[1:5]
if kind == "fast":
    fast_crewai.install()
from crewai.flow.persistence.sqlite import SQLiteFlowPersistence
from crewai.memory.storage.kickoff_task_outputs_storage import KickoffTaskOutputsSQLiteStorage
from crewai.utilities.task_output_storage_handler import TaskOutputStorageHandler

class Task:
    key, expected_output = "key", "an answer"
    def __init__(self, name):
        self.id = name

print("ready", flush=True)
sys.stdin.readline()
handler = TaskOutputStorageHandler()
flows = SQLiteFlowPersistence(folder + "/flows.db")
for number in itertools.islice(itertools.count(), int(count) or None):
    name = f"{me}-{number}"
    if number % 2:
        handler.storage.add(Task(name), {"raw": "x" * 300}, number)
    else:
        handler.update(number, {"task": Task(name), "output": {"raw": name}, "task_index": number,
                                "inputs": {}, "was_replayed": False})
    print("output", name, flush=True)
    flows.save_state(name, "method", {"value": name})
    print("state", name, flush=True)
if kind == "fast":
    used = [r["name"] for r in fast_crewai.status().routes() if r["calls"] and not r["fallbacks"]]
    print("routes", json.dumps(used), flush=True)
"""


def begin(kind: str, me: str, folder: Path, count: int) -> subprocess.Popen[str]:
    env = environment(
        TMPDIR=folder,
        HOME=folder,
        CREWAI_STORAGE_DIR=folder,
        CREWAI_DISABLE_TELEMETRY="true",
        OTEL_SDK_DISABLED="true",
        PYTHONPATH=PACKAGE.parent,
    )
    command = [PYTHON, "-W", "error::ResourceWarning", "-c", code(WRITER)]
    with Path(folder, f"{me}.txt").open("w") as answers:
        return subprocess.Popen(
            [*command, kind, me, str(folder), str(count)],
            env=env,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=answers,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )


def told(folder: Path, me: str) -> list[list[str]]:
    """The whole lines that a writer has printed; what it acknowledged."""
    lines = Path(folder, f"{me}.txt").read_text("utf-8").split("\n")[:-1]
    return [line.split(" ", 1) for line in lines if " " in line]


def go(folder: Path, writers: dict[str, subprocess.Popen[str]]) -> None:
    for me, writer in writers.items():
        while "ready\n" not in Path(folder, f"{me}.txt").read_text("utf-8"):
            assert writer.poll() is None
            time.sleep(0.02)
    for writer in writers.values():
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()


def check(folder: Path, acknowledged: list[list[str]]) -> None:
    """Every acknowledged write is there, once a state, and both databases are whole."""
    outputs = folder / "latest_kickoff_task_outputs.db"
    wanted = {
        "output": "task_id FROM latest_kickoff_task_outputs",
        "state": "flow_uuid FROM flow_states",
    }
    for kind, path in (("output", outputs), ("state", folder / "flows.db")):
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
            found = [row[0] for row in connection.execute(f"SELECT {wanted[kind]}")]
        assert len(found) == len(set(found))
        assert {name for what, name in acknowledged if what == kind} <= set(found)
    assert sorted(path.name for path in folder.glob("*.db*")) == [
        "flows.db",
        "latest_kickoff_task_outputs.db",
    ]


def killing(folder: Path, number: int, seconds: float) -> None:
    """``number`` writers, half of them plain; one after the other is killed, and replaced."""
    acknowledged: list[list[str]] = []
    chance = random.Random(number)
    started = 0

    def another() -> tuple[str, subprocess.Popen[str]]:
        nonlocal started
        started += 1
        me = f"w{started}"
        return me, begin("fast" if started % 2 else "plain", me, folder, 0)

    writers = dict(another() for _ in range(number))
    try:
        go(folder, writers)
        end = time.monotonic() + seconds
        while time.monotonic() < end and writers:
            time.sleep(chance.uniform(0.1, 0.4))
            me = chance.choice(sorted(writers))
            killed = writers.pop(me)
            assert killed.poll() is None, killed.communicate()[1]
            killed.kill()
            killed.communicate()
            if seconds > 10:
                fresh = dict([another()])
                go(folder, fresh)
                writers.update(fresh)
    finally:
        for writer in writers.values():
            writer.kill()
            writer.communicate()
    for number in range(1, started + 1):
        acknowledged += told(folder, f"w{number}")
    assert {what for what, _ in acknowledged} == {"output", "state"}
    check(folder, acknowledged)


def test_all_writes_of_plain_and_fast_processes(tmp_path: Path) -> None:
    writers = {me: begin(me[:5].strip("0123"), me, tmp_path, 25) for me in ("fast0", "plain1")}
    go(tmp_path, writers)
    for me, writer in writers.items():
        _, errors = writer.communicate(timeout=100)
        assert (writer.returncode, errors) == (0, ""), me
    routes = json.loads(dict(told(tmp_path, "fast0"))["routes"])
    assert {"tasks.output-log", "database.store-lock"} <= set(routes)
    names = [f"{me}-{number}" for me in writers for number in range(25)]
    check(tmp_path, [[kind, name] for kind in ("output", "state") for name in names])


def test_no_acknowledged_write_is_lost_when_processes_are_killed(tmp_path: Path) -> None:
    killing(tmp_path, number=4, seconds=6)


@pytest.mark.slow
def test_no_acknowledged_write_is_lost_in_a_minute_of_kills(tmp_path: Path) -> None:
    killing(tmp_path, number=8, seconds=60)


STORE = """
import os, shutil, sqlite3, sys, threading
from contextlib import closing
from pathlib import Path
import fast_crewai
fast_crewai.install()
from crewai.memory.storage.kickoff_task_outputs_storage import KickoffTaskOutputsSQLiteStorage

class Task:
    key, expected_output = "key", "an answer"
    def __init__(self, name):
        self.id = name

store = KickoffTaskOutputsSQLiteStorage(str(Path("db", "log.db").absolute()))

def add(name):
    store.add(Task(name), {"raw": name}, 1)

def copied():
    "What is in a copy of the one file, made while this process lives."
    assert os.listdir("db") == ["log.db"], os.listdir("db")
    shutil.copy("db/log.db", "copy.db")
    with closing(sqlite3.connect("copy.db")) as connection:
        rows = connection.execute("SELECT task_id FROM latest_kickoff_task_outputs").fetchall()
    return {row[0] for row in rows}
"""


def one_process(folder: Path, text: str) -> None:
    env = environment(
        TMPDIR=folder,
        HOME=folder,
        CREWAI_DISABLE_TELEMETRY="true",
        OTEL_SDK_DISABLED="true",
        PYTHONPATH=PACKAGE.parent,
        FAST_CREWAI_STRICT="1",
    )
    (folder / "db").mkdir(exist_ok=True)
    result = subprocess.run(
        [PYTHON, "-W", "error::ResourceWarning", "-c", code(STORE) + code(text)],
        env=env,
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_a_copy_of_the_file_has_every_write(tmp_path: Path) -> None:
    text = """
        for number in range(5):
            add(str(number))
            assert copied() == {str(n) for n in range(number + 1)}
        store.delete_all()
        assert copied() == set()
    """
    one_process(tmp_path, text)


def test_others_are_not_kept_out(tmp_path: Path) -> None:
    text = """
        with closing(sqlite3.connect(store.db_path, timeout=0)) as other:
            count = "SELECT count(*) FROM latest_kickoff_task_outputs"
            other.execute(count).fetchall()
            add("1")
            assert other.execute(count).fetchall() == [(1,)]
            with other:
                other.execute("DELETE FROM latest_kickoff_task_outputs")
        add("2")
        assert copied() == {"2"}

        failures = []
        def read():
            try:
                for _ in range(150):
                    store.load()
            except Exception as error:
                failures.append(error)
        def write(name):
            try:
                for number in range(40):
                    add(f"{name}-{number}")
            except Exception as error:
                failures.append(error)
        threads = [threading.Thread(target=read) for _ in range(3)]
        threads += [threading.Thread(target=write, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert copied() == {"2", *(f"{n}-{i}" for n in range(3) for i in range(40))}
    """
    one_process(tmp_path, text)


def test_a_child_made_by_fork_writes_too(tmp_path: Path) -> None:
    text = """
        add("parent")
        for number in range(3):
            pid = os.fork()
            if pid == 0:
                add(f"child {number}")
                os._exit(0)
            add(f"meanwhile {number}")
            assert os.waitpid(pid, 0)[1] == 0
        assert len(copied()) == 7
    """
    one_process(tmp_path, text)
