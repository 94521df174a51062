"""Processes that are killed (-9) while they write to a memory store: nothing of it may be lost.

    python tests/memory_kills.py [--kills 100]

Plain and accelerated processes take turns in random order. Each first says what it finds in the
store that the last one left (accelerated ones: also that CrewAI's own search finds the same),
then writes, and logs before and after each write, until it is killed. What is found must be all
that was logged as done, touches included, and of the write that was cut off one of its commits.
Ends with 1 and the first difference.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from itertools import zip_longest
from pathlib import Path
from typing import Any

import memory_writes as writes
from memory_writes import SIDES, State

START = 240  # seconds that a process has for its start


def now() -> str:
    return datetime.now(timezone.utc).replace(tzinfo=None).isoformat()


def serve(path: Path, seed: int) -> None:
    """Say what the store holds; then write without end."""
    from crewai.memory.storage.lancedb_storage import LanceDBStorage

    chance, storage = random.Random(seed), writes.open_store(path)
    plain = getattr(LanceDBStorage.search, "__wrapped__", LanceDBStorage.search)
    query = [chance.uniform(-1, 1) for _ in range(writes.SIZE)]
    same = True
    for scope in (None, "/a", "/c"):
        found = storage.search(query, scope, limit=1000)
        same = same and repr(found) == repr(plain(storage, query, scope, limit=1000))
    hits = writes.all_rows(storage, query)
    touched = {r.id: r.last_accessed.isoformat() for r, _ in storage.search(query, limit=1000)}
    opened = {"query": query, "hits": hits, "touched": touched, "same": same}
    print(json.dumps({**opened, "in_ram": writes.searches_in_ram()}), flush=True)
    for _ in range(10_000):
        known = [id_ for id_, _, _ in writes.all_rows(storage, query)]
        write = writes.plan(chance, f"s{seed}", known, len(known))
        print(json.dumps(["begin", write, now()]), flush=True)
        writes.do(storage, write)
        print(json.dumps(["done", write, now()]), flush=True)


def one(
    folder: Path, side: str, seed: int, seconds: float
) -> tuple[dict[str, Any], list[list[Any]]]:
    """What a process found, and its log up to the moment it was killed."""
    command = [sys.executable, *SIDES[side], __file__, "--serve", str(folder / "store"), str(seed)]
    process = subprocess.Popen(
        command,
        env=writes.environment(folder / "data"),
        stdout=subprocess.PIPE,
        text=True,
    )
    begun = time.monotonic()
    slow = threading.Timer(START, process.kill)
    slow.start()
    assert process.stdout
    try:
        line = process.stdout.readline()
        slow.cancel()
        took = time.monotonic() - begun
        time.sleep(seconds)
    finally:
        process.kill()
    rest = process.stdout.read()  # `communicate` would leave out what has been read ahead
    if process.wait() != -9 or not line:
        raise RuntimeError(f"{side} ended with {process.returncode}")
    whole = [text for text in rest.splitlines(keepends=True) if text.endswith("\n")]
    return {**json.loads(line), "start": took}, [json.loads(text) for text in whole]


class Expected:
    """What the store may hold: one of some states; and since when rows have been touched."""

    def __init__(self) -> None:
        self.states: list[State] = [{}]
        self.touched: dict[str, str] = {}

    def problem(self, opened: dict[str, Any]) -> str | None:
        if not opened["same"]:
            return "found something else than CrewAI's own search"
        wrong = [writes.problem(opened["query"], opened["hits"], s) for s in self.states]
        if None not in wrong:
            return " / ".join(map(str, wrong))
        self.states = [self.states[wrong.index(None)]]
        for id_, when in opened["touched"].items():
            if when < self.touched.get(id_, ""):
                return f"{id_} was touched after {self.touched[id_]}, not {when}"
        return None

    def follow(self, log: list[list[Any]]) -> None:
        for (kind, write, begun), done in zip_longest(log, log[1:]):
            if kind != "begin":
                continue
            now = self.states[-1]
            after = writes.states_after(now, write)
            # A write that was cut off may have done nothing, or a part, or all of it.
            self.states = after[-1:] if done else [now, *after]
            if done and write[0] == "touch":
                self.touched.update(dict.fromkeys(set(write[1]) & set(now), begun))
            elif write[0] in ("update", "delete"):
                for id_ in write[1]:
                    self.touched.pop(id_, None)


def run(folder: Path, kills: int) -> int:
    chance, expected = random.Random(0), Expected()
    in_ram = cut = written = 0
    slowest = 0.0
    sides: list[str] = []
    last: list[Any] = []
    for number in range(kills + 1):
        side = ("off", "on")[number % 2] if number < 4 else chance.choice(("off", "on"))
        opened, log = one(folder, side, number, chance.uniform(0.0, 1.2))
        wrong = expected.problem(opened)
        if wrong:
            print(f"after {number} kills, {side} after {sides[-1:]}: {wrong}; it did {last[-3:]}")
            return 1
        expected.follow(log)
        last = log
        in_ram += opened["in_ram"]
        slowest = max(slowest, opened["start"])
        written += len(log) // 2
        cut += bool(log) and log[-1][0] == "begin"
        sides.append(side)
    counts = f"{kills} kills, {cut} in a write, {written} writes, {in_ram} searches in RAM"
    print(f"{counts}: all kept (slowest start {slowest:.0f} s)")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(Path(args.serve[0]), int(args.serve[1]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder), args.kills)


if __name__ == "__main__":
    sys.exit(main())
