"""Writes to CrewAI's SQLite stores: plain, accelerated, and with kept connections, in turns.

    python benchmarks/stores.py [--rounds 9] [--row "1 writer" …] [--folder /dev/shm]

What is written must be equal before anything is measured. Every write is synced to the disk, by
all sides: ``--folder`` on a disk in memory shows what remains without that. "kept" is "on" with
``FAST_CREWAI_FIX=kept-connections``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

PROCESSES, WRITES, OLD = 8, 40, 1000
TABLES = {"outputs.db": "latest_kickoff_task_outputs", "flows.db": "flow_states"}
OUTPUT = {
    "description": "Do the thing. " * 4,
    "raw": "An answer of a few words. " * 12,
    "agent": "Worker",
    "messages": [{"role": role, "content": "x" * 200} for role in ("system", "user", "assistant")],
}


class Task:
    """What the store reads of a task."""

    def __init__(self, name: str) -> None:
        self.id, self.key, self.expected_output = name, "key", "An answer."


class Stores:
    """The stores of one side, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        from crewai.flow.persistence.sqlite import SQLiteFlowPersistence
        from crewai.memory.storage.kickoff_task_outputs_storage import (
            KickoffTaskOutputsSQLiteStorage,
        )
        from crewai.utilities.task_output_storage_handler import TaskOutputStorageHandler

        self.folder = folder
        self.outputs = KickoffTaskOutputsSQLiteStorage(str(folder / "outputs.db"))
        self.flows = SQLiteFlowPersistence(str(folder / "flows.db"))
        self.handler: Any = TaskOutputStorageHandler.__new__(TaskOutputStorageHandler)
        self.handler.storage = self.outputs

    def one_writer(self) -> list[float]:
        return self._adds("w")

    def processes(self) -> list[float]:
        """How long each write of eight processes took."""
        readers = []
        go, start = os.pipe()
        for number in range(PROCESSES):
            reader, writer = os.pipe()
            if os.fork() == 0:
                os.close(start)
                os.read(go, 1)
                taken = self._adds(f"p{number}")
                os.write(writer, json.dumps(taken).encode())
                os._exit(0)
            os.close(writer)
            readers.append(reader)
        os.close(go)
        os.close(start)  # they all begin
        taken = []
        for reader in readers:
            with os.fdopen(reader, "rb") as file:
                taken += json.loads(file.read())
            os.wait()
        return taken

    def update(self) -> list[float]:
        return _each(5, lambda n: self.handler.update(OLD + n, self._log(OLD + n)))

    def update_again(self) -> list[float]:
        """Nobody else has written since the one before."""
        self.handler.update(OLD, self._log(OLD))
        return _each(WRITES, lambda n: self.handler.update(OLD + n, self._log(OLD + n)))

    def save(self) -> list[float]:
        return _each(WRITES, lambda n: self.flows.save_state("flow", f"m{n}", OUTPUT))

    def prepare(self, row: str) -> None:
        """The same rows as before every sample."""
        with closing(sqlite3.connect(self.outputs.db_path)) as connection, connection:
            connection.execute("DELETE FROM latest_kickoff_task_outputs")
            if row.startswith("update at 1,000 rows"):
                old = json.dumps(OUTPUT)
                connection.executemany(
                    "INSERT INTO latest_kickoff_task_outputs VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    [(str(n), "key", "-", f"[{n}, {old}]", n, "{}", 0, "-") for n in range(OLD)],
                )
        with closing(sqlite3.connect(self.flows.db_path)) as connection, connection:
            connection.execute("DELETE FROM flow_states")

    def content(self) -> Any:
        """All rows but for their times, in no order."""
        found = []
        for file, table in TABLES.items():
            with closing(sqlite3.connect(self.folder / file)) as connection:
                cursor = connection.execute(f"SELECT * FROM {table}")
                names = [column[0] for column in cursor.description]
                kept = [i for i, name in enumerate(names) if name not in ("timestamp", "id")]
                found.append(sorted([str([row[i] for i in kept]) for row in cursor]))
        return found

    def _adds(self, name: str) -> list[float]:
        return _each(WRITES, lambda n: self.outputs.add(Task(f"{name}-{n}"), OUTPUT, n))

    @staticmethod
    def _log(number: int) -> dict[str, Any]:
        log = {"task": Task(f"t{number}"), "output": OUTPUT, "task_index": number}
        return {**log, "inputs": {}, "was_replayed": False}


ROWS: dict[str, Callable[[Stores], list[float]]] = {
    "1 writer": Stores.one_writer,
    "8 processes": Stores.processes,
    "update at 1,000 rows": Stores.update,
    "update at 1,000 rows, again": Stores.update_again,
    "flow state": Stores.save,
}


def _each(count: int, work: Callable[[int], Any]) -> list[float]:
    taken = []
    for number in range(count):
        begun = time.perf_counter()
        work(number)
        taken.append((time.perf_counter() - begun) * 1e3)
    return taken


def _cpu() -> float:
    """Seconds of this process and of children that have ended."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def serve(folder: Path) -> None:
    """Run a row for each line that comes in, and answer with figures per write."""
    stores = Stores(folder)
    for line in sys.stdin:
        row = line.strip()
        stores.prepare(row)
        cpu, wall = _cpu(), time.perf_counter()
        taken = sorted(ROWS[row](stores))
        cpu, wall = _cpu() - cpu, time.perf_counter() - wall
        answer = {
            "wall_ms": wall * 1e3 / len(taken),
            "cpu_ms": cpu * 1e3 / len(taken),
            "p99_ms": taken[int(0.99 * len(taken))],
            "content": stores.content(),
        }
        print(json.dumps(answer), flush=True)


def begin(side: str, folder: Path) -> subprocess.Popen[str]:
    from sides import SIDES

    (folder / side).mkdir()
    silent = {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true"}
    fix = {"FAST_CREWAI_FIX": "kept-connections" if side == "kept" else ""}
    return subprocess.Popen(
        [
            sys.executable,
            *SIDES["off" if side == "off" else "on"],
            __file__,
            "--serve",
            str(folder / side),
        ],
        env={**os.environ, **silent, "CREWAI_STORAGE_DIR": str(folder / side), **fix},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(process: subprocess.Popen[str], row: str) -> dict[str, Any]:
    assert process.stdin and process.stdout
    print(row, file=process.stdin, flush=True)
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"the process ended with {process.wait()}")
    return json.loads(answer)  # type: ignore[no-any-return]


def main() -> None:
    from harness import interleave, line, write

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--row", choices=ROWS, nargs="+", default=list(ROWS))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve)
        return
    results: dict[str, Any] = {"folder": "default" if args.folder is None else str(args.folder)}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        workers = {side: begin(side, Path(folder)) for side in ("off", "on", "kept")}
        for row in args.row:
            first = {side: ask(worker, row)["content"] for side, worker in workers.items()}
            assert first["off"] == first["on"] == first["kept"], f"{row}: rows differ"
            assert any(first["off"])
            answers: dict[str, list[dict[str, Any]]] = {side: [] for side in workers}

            def run(side: str, row: str = row, answers: Any = answers) -> float:
                answers[side].append(ask(workers[side], row))
                return float(answers[side][-1]["wall_ms"])

            interleave({side: lambda side=side: run(side) for side in workers}, args.rounds)
            results[row] = {}
            for what in ("wall_ms", "cpu_ms", "p99_ms"):
                samples = {s: [float(a[what]) for a in given] for s, given in answers.items()}
                ratios = {
                    side: [a / b for a, b in zip(samples["off"], samples[side], strict=True)]
                    for side in ("on", "kept")
                }
                name = f"{row}, {what.partition('_')[0]}"
                for side, values in samples.items():
                    print(line(f"{name}, {side}", values, "ms"))
                for side, values in ratios.items():
                    print(line(f"{name}, off / {side}", values, "x"), flush=True)
                results[row][what] = {
                    **samples,
                    "ratio": ratios["on"],
                    "ratio kept": ratios["kept"],
                }
        for worker in workers.values():
            worker.communicate()
    print(f"written to {write('stores', results)}")


if __name__ == "__main__":
    main()
