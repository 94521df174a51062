"""The public classes shared by eight threads: nothing is lost, mixed up or counted twice.

    python tests/threads.py [--operations 100000] [--seeds 0 1 2 random]

A process for each PYTHONHASHSEED does so many operations on each class, Rust and Python; every
operation checks its own result, and what is left at the end must be the same everywhere. Ends
with 1 and the first difference.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fast_crewai.database import AcceleratedSQLiteWrapper
from fast_crewai.memory import AcceleratedMemoryStorage
from fast_crewai.serialization import AgentMessage, RustSerializer
from fast_crewai.tasks import AcceleratedTaskExecutor
from fast_crewai.tools import AcceleratedToolExecutor

THREADS = 8
LIMIT = 1800  # seconds for one process
# What a thread does at each step, and what is left in the end.
Work = tuple[Callable[[int, int], None], Callable[[], Any]]


def memory(side: bool, folder: Path, steps: int) -> Work:
    storage = AcceleratedMemoryStorage(path=folder / f"{side}.jsonl", use_rust=side)
    every = max(steps // 100, 1)  # the twin weighs all anew after each save

    def step(thread: int, number: int) -> None:
        kept = number - number % every
        text = f"thread{thread} step{kept} common"
        if number == kept:
            saved = storage.save(text, {"thread": thread})
            assert storage.get_all()[saved]["value"] == text
        if number % 10 == 0:
            (best,) = storage.search(f"thread{thread} step{kept}", 1, 0.0)
            assert best["value"] == text and best["metadata"] == {"thread": thread}
        assert len(storage) > 0

    def left() -> Any:
        items = storage.get_all()
        assert [item["id"] for item in items] == list(range(len(items)))
        again = AcceleratedMemoryStorage(path=folder / f"{side}.jsonl", use_rust=not side)
        assert again.get_all() == items
        return sorted(item["value"] for item in items)

    return step, left


def messages(side: bool, _folder: Path, _steps: int) -> Work:
    shared = AgentMessage("shared", "a", "b", "é\ud800", 2**64 - 1, use_rust=side)
    serializer = RustSerializer(use_rust=side)

    def step(thread: int, number: int) -> None:
        message = AgentMessage(f"{thread}", "a", "b", f"line\n{number}", number, use_rust=side)
        text = message.to_json()
        assert AgentMessage.from_json(text, use_rust=side) == message
        assert hash(AgentMessage.from_json(shared.to_json(), use_rust=side)) == hash(shared)
        written = serializer.serialize_batch([message, shared])
        assert serializer.deserialize_batch(written)[0]["content"] == f"line\n{number}"

    return step, lambda: shared.to_json()


def tools(side: bool, _folder: Path, _steps: int) -> Work:
    executor = AcceleratedToolExecutor(cache_ttl_seconds=600, cache_max_size=50, use_rust=side)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    executor.register_tool("double", lambda n: 2 * n, schema)

    def step(thread: int, number: int) -> None:
        assert executor.execute_tool("double", {"n": number}) == 2 * number
        own = {"minimum": thread}  # each thread's schema is another one
        assert executor.batch_validate([thread, thread - 1], own) == [True, False]
        assert executor.violations({"n": "x"}, "double")[0].schema_path[-1] == "type"

    def left() -> Any:
        stats = executor.get_stats()
        hits, misses = stats.pop("cache_hits"), stats.pop("cache_misses")
        assert stats.pop("executions") == misses
        return hits + misses, stats

    return step, left


def tasks(side: bool, _folder: Path, steps: int) -> Work:
    executor = AcceleratedTaskExecutor(4, use_rust=side)

    def step(thread: int, number: int) -> None:
        name = f"{thread}-{number % 20}"
        executor.register_task(name)
        executor.mark_started(name)
        executor.mark_completed(name, number)
        assert executor.get_result(name) == number
        if number % 100 == 0:
            assert executor.execute_concurrent([lambda: number, lambda: thread]) == [number, thread]
            assert len(executor.get_execution_order()) >= 1

    return step, lambda: (sorted(executor.get_execution_order()), executor.get_stats())


def database(side: bool, folder: Path, steps: int) -> Work:
    wrapper = AcceleratedSQLiteWrapper(folder / f"{side}.db", 3, use_rust=side)
    every = max(steps // 40, 1)  # each write is synced to the disk

    def step(thread: int, number: int) -> None:
        kept = number - number % every
        text = f"thread{thread} step{kept} common"
        if number == kept:
            wrapper.save_memory(text, {"thread": thread}, "2025", kept)
        if number % 10 == 0:
            (found,) = wrapper.search_fts(f"thread{thread} step{kept}", 1)
            assert found["task_description"] == text
        assert wrapper.execute_query("SELECT ? AS x", (number,)) == [{"x": number}]

    def left() -> Any:
        return sorted(row["task_description"] for row in wrapper.get_all_memories(10**6))

    return step, left


CLASSES = (memory, messages, tools, tasks, database)


def together(step: Callable[[int, int], None], steps: int) -> None:
    """Have all threads do their steps. Raises the first thread's error."""
    errors: list[BaseException] = []

    def run(thread: int) -> None:
        try:
            for number in range(steps):
                step(thread, number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    if errors:
        raise errors[0]


def here(operations: int) -> dict[str, str]:
    """What is left of each class, as a digest."""
    sys.setswitchinterval(1e-4)
    steps = operations // THREADS
    digests = {}
    with tempfile.TemporaryDirectory() as folder:
        for make in CLASSES:
            for side in (True, False):
                begun = time.monotonic()
                step, left = make(side, Path(folder), steps)
                together(step, steps)
                content = json.dumps(left(), sort_keys=True).encode()
                digests[f"{make.__name__}, rust={side}"] = hashlib.sha256(content).hexdigest()
                print(
                    f"  {make.__name__:9} rust={side!s:5} {time.monotonic() - begun:6.1f} s",
                    file=sys.stderr,
                    flush=True,
                )
                del step, left
    return digests


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--seeds", nargs="+", default=["0", "1", "2", "random"])
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(here(options.operations)))
        return 0
    expected: dict[str, str] = {}
    for seed in options.seeds:
        print(f"PYTHONHASHSEED={seed}", file=sys.stderr)
        command = [sys.executable, __file__, "--here", f"--operations={options.operations}"]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        ended = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, check=True, timeout=LIMIT
        )
        for name, digest in json.loads(ended.stdout).items():
            if expected.setdefault(name.partition(",")[0], digest) != digest:
                print(f"{name}: another result with PYTHONHASHSEED={seed}")
                return 1
    print(f"{options.operations} operations a class, {len(options.seeds)} hash seeds: the same")
    return 0


if __name__ == "__main__":
    sys.exit(main())
