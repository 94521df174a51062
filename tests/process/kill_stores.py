"""CrewAI's SQLite stores, written by plain and accelerated processes at once that are killed.

    python tests/process/kill_stores.py [--processes 8] [--seconds 60]

Kickoff outputs and flow states; kill -9 at random moments. Some keep their connections
(FAST_CREWAI_FIX=kept-connections). Ends with an AssertionError if a write
that was acknowledged is missing, or a database isn't whole.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

if __name__ == "__main__":  # of this tree, whichever is installed
    sys.path.insert(0, str(Path(__file__).parents[2]))

from helpers import PACKAGE, PYTHON, code, environment

WRITER = """
import itertools, json, sys
import fast_crewai
kind, me, folder, count = sys.argv[1:5]
if kind != "plain":
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
if kind != "plain":
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
        FAST_CREWAI_FIX="kept-connections" if kind == "kept" else "",
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


def killing(
    folder: Path, number: int, seconds: float, kinds: tuple[str, ...] = ("plain", "fast")
) -> tuple[dict[str, int], dict[str, list[list[str]]]]:
    """``number`` writers, as many of each kind; one after the other is killed, and replaced by one
    of its kind. Returns kills and acknowledged writes of each kind; all the writes are there."""
    chance = random.Random(number)
    started, kills = 0, dict.fromkeys(kinds, 0)

    def another(kind: str) -> tuple[str, subprocess.Popen[str]]:
        nonlocal started
        started += 1
        me = f"{kind}{started}"
        return me, begin(kind, me, folder, 0)

    writers = dict(another(kinds[n % len(kinds)]) for n in range(number))
    everybody = list(writers)
    try:
        go(folder, writers)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(chance.uniform(0.1, 0.4))
            ready = [me for me in sorted(writers) if told(folder, me)]
            if not ready:
                continue
            me = chance.choice(ready)
            killed = writers.pop(me)
            assert killed.poll() is None, killed.communicate()[1]
            killed.kill()
            killed.communicate()
            kind = me.strip("0123456789")
            kills[kind] += 1
            name, fresh = another(kind)
            writers[name] = fresh
            everybody.append(name)
            assert fresh.stdin is not None
            fresh.stdin.write("\n")  # it begins as soon as it can
            fresh.stdin.flush()
    finally:
        for writer in writers.values():
            writer.kill()
            writer.communicate()
    acknowledged = {kind: [] for kind in kinds}
    for me in everybody:
        acknowledged[me.strip("0123456789")] += told(folder, me)
    for kind, lines in acknowledged.items():
        assert {what for what, _ in lines} == {"output", "state"}, f"no writes of a {kind} process"
    every = [line for lines in acknowledged.values() for line in lines]
    check(folder, every)
    return kills, acknowledged


SIDES = {"plain": "without us", "fast": "with us", "kept": "kept connections"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kills, acknowledged = killing(Path(folder), args.processes, args.seconds, tuple(SIDES))
    print(f"{args.processes} processes on the same stores for {args.seconds:g} s, {PACKAGE}")
    for kind, side in SIDES.items():
        count = len(acknowledged[kind])
        print(f"{side:16}  {kills[kind]} killed, {count} of {count} acknowledged writes are there")
    print("PRAGMA integrity_check: ok")


if __name__ == "__main__":
    main()
