"""Processes and threads that write to one memory store and search it, against a model.

    python tests/memory_freshness.py [--operations 10000] [--processes on on] [--threads 8]

Every write is logged with the table's version that it made; each search with the version that
the storage's handle read before and after it (plain CrewAI reads that one, no newer). When all
have ended the writes are replayed by version, and every search must have found exactly what the
table held at its version. In the accelerated processes CrewAI's own search is asked, too, and must
agree in every field. Ends with 1 and the first difference.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from pathlib import Path
from typing import Any

import memory_writes as writes
from memory_writes import SIDES, State

LIMIT = 1500  # seconds
PHASE = 0.7  # seconds in which one process writes a lot, and the others hardly


class Worker:
    """One process's storage, with threads that use it, and what they have seen."""

    def __init__(self, path: Path, number: int, count: int) -> None:
        from crewai.memory.storage.lancedb_storage import LanceDBStorage

        self.path, self.storage = path, writes.open_store(path)
        self.number, self.count = number, count
        self.plain = getattr(LanceDBStorage.search, "__wrapped__", LanceDBStorage.search)
        self.log: list[Any] = []
        self.known: list[str] = []
        self.compared = 0

    def work(self, thread: int, operations: int) -> None:
        chance = random.Random(f"{self.number} {thread}")
        try:
            for _ in range(operations):
                turn = int(time.time() / PHASE) % self.count == self.number
                if chance.random() < (0.3 if turn else 0.02):
                    self._write(chance, f"p{self.number}t{thread}")
                else:
                    self._search(chance)
        except BaseException as error:
            self.log.append(["error", f"{type(error).__name__}: {error}"])

    def _write(self, chance: random.Random, prefix: str) -> None:
        with (self.path.parent / "one-writer").open("w") as file:  # closing it gives it back
            fcntl.flock(file, fcntl.LOCK_EX)  # so that the version is this write's
            known = self.known
            write = writes.plan(chance, prefix, known, len(known))
            writes.do(self.storage, write)
            self.log.append(["write", self.storage._table.version, write])

    def _search(self, chance: random.Random) -> None:
        query = [chance.uniform(-1, 1) for _ in range(writes.SIZE)]
        scope = chance.choice((None, None, "/a"))
        table = self.storage._table
        before = table.version
        found = self.storage.search(query, scope, limit=1000)
        theirs = self.plain(self.storage, query, scope, limit=1000)
        if table.version != before or self.storage._table is not table:
            return  # somebody has written in between: which version was read isn't known
        self.compared += 1
        if repr(found) != repr(theirs):
            self.log.append(["error", f"version {before}: {found} but plain: {theirs}"])
        if scope is None:
            hits = [(record.id, record.content, score) for record, score in found]
            self.known = [id_ for id_, _, _ in hits]
            self.log.append(["search", before, query, hits])


def serve(path: Path, number: int, count: int, threads: int, operations: int) -> None:
    worker = Worker(path, number, count)
    print("ready", flush=True)
    sys.stdin.readline()
    running = [
        threading.Thread(target=worker.work, args=(n, operations // threads))
        for n in range(threads)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    numbers = {"in_ram": writes.searches_in_ram(), "compared": worker.compared}
    print(json.dumps({"log": worker.log, **numbers}), flush=True)


def check(answers: list[dict[str, Any]], first: State, version: int) -> str | None:
    """The first thing that is wrong in what the processes have seen."""
    entries = [entry for answer in answers for entry in answer["log"]]
    versions, states = [version], [first]
    for _, after, write in sorted((e for e in entries if e[0] == "write"), key=lambda e: e[1]):
        new = writes.states_after(states[-1], write)
        for number, state in enumerate(new):
            if after < versions[-1]:
                return f"version {after} after {versions[-1]}"
            versions.append(after - len(new) + 1 + number)
            states.append(state)
    for kind, *rest in entries:
        if kind == "error":
            return str(rest[0])
        if kind == "search":
            read, query, hits = rest
            expected = states[bisect_right(versions, read) - 1]
            wrong = writes.problem(query, [tuple(hit) for hit in hits], expected)
            if wrong:
                return f"version {read}: {wrong}"
    return None


def run(folder: Path, sides: list[str], threads: int, operations: int) -> int:
    store = folder / "store"
    storage = writes.open_store(store)
    first = {f"first-{n}": f"first {n}" for n in range(20)}
    writes.do(storage, ["save", first])
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, *SIDES[side], __file__, "--serve", str(store)),
                *map(str, (number, len(sides), threads, operations // len(sides))),
            ],
            env=writes.environment(folder / "data"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number, side in enumerate(sides)
    ]
    deadline = threading.Timer(LIMIT, lambda: [process.kill() for process in processes])
    deadline.start()
    try:
        for process in processes:
            assert process.stdout and process.stdout.readline() == "ready\n"
        version = storage._table.version
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [json.loads(process.communicate()[0] or "null") for process in processes]
    finally:
        deadline.cancel()
        for process in processes:
            process.kill()
    if None in answers:
        print("a process has ended early")
        return 1
    wrong = check(answers, first, version)
    if wrong:
        print(wrong[:5000])
        return 1
    for side, answer in zip(sides, answers, strict=True):
        kinds = [entry[0] for entry in answer["log"]]
        print(
            f"{side}: {kinds.count('write')} writes, {kinds.count('search')} searches against the "
            f"model, {answer['compared']} against CrewAI's, {answer['in_ram']} in RAM"
        )
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--processes", choices=SIDES, nargs="+", default=["on", "on"])
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--serve", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(Path(args.serve[0]), *map(int, args.serve[1:]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), args.processes, args.threads, args.operations)


if __name__ == "__main__":
    sys.exit(main())
