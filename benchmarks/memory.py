"""Memory operations on stores of several sizes: plain CrewAI and with Fast-CrewAI.

    python benchmarks/memory.py [--sizes 1000x384 10000x1536] [--rounds 7] [--only search …] [--rss]

Each side is a process with a copy of the same store of its own; they take turns. Answers (ids,
contents, scopes, categories, scores to 1e-6: a recall's depend on the time) are compared
before and while they are timed. The embedder and the model are local and take next to no time.
CPU is that of all threads of the process, background threads included. Loading a store into RAM
is measured by itself: it is the search that takes longest of the first three, less a later one.

With --rss, how far a process grows at most (MB) by its first deletion by category, which looks at
all rows, with the table in RAM and without; and by the searches that read it into RAM.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

SIZES = ("1000x384", "10000x1536", "100000x384", "100000x1536")
TOPICS = 200
BATCH = 2000
_READY = 20
_LOADED = 3  # searches, by which a large store is in RAM
SCOPES = [f"/crew/{crew}/agent{n}" for crew in ("research", "sales", "ops") for n in range(5)]
SCOPES += [f"/team{team}/p{part}" for team in range(16) for part in range(3)]
OPERATIONS = (
    "search", "search in a scope", "recall shallow", "recall deep", "recall deep, analysed",
    "list", "info", "tree", "forget", "remember 50",
)  # fmt: skip


# ------------------------------------------------------------------ one side, in its own process


@lru_cache(maxsize=100_000)
def vector(text: str, size: int) -> Any:
    """A unit vector near that of the text's topic, its first word."""
    import hashlib

    import numpy

    def normal(seed: int) -> Any:
        drawn = numpy.random.default_rng(seed).standard_normal(size).astype(numpy.float32)
        return drawn / numpy.linalg.norm(drawn)

    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
    topic = int(text.partition(" ")[0].removeprefix("topic"))
    both = normal(topic) + 0.8 * normal(seed)
    return both / numpy.linalg.norm(both)


def sentence(number: int) -> str:
    return f"topic{number * 7919 % TOPICS} note {number} of " + "words and more words " * 8


def query(number: int) -> str:
    return f"topic{number * 104_729 % TOPICS} what about question {number}"


def records(first: int, last: int, size: int) -> list[Any]:
    from datetime import datetime, timedelta
    from random import Random

    from crewai.memory.types import MemoryRecord

    made = []
    for number in range(first, last):
        chance = Random(number)
        when = datetime(2026, 11, 1) - timedelta(microseconds=chance.randrange(90 * 86_400 * 10**6))
        made.append(
            MemoryRecord(
                id=f"{number:08x}-0000-4000-8000-{chance.getrandbits(48):012x}",
                content=sentence(number),
                scope=chance.choice(SCOPES),
                categories=[f"cat{n}" for n in chance.sample(range(30), chance.randint(0, 3))],
                metadata={"k": chance.randrange(10)},
                importance=round(chance.random(), 3),
                created_at=when,
                last_accessed=when,
                embedding=vector(sentence(number), size).tolist(),
                source=chance.choice([None, "u1"]),
                private=chance.random() < 0.02,
            )
        )
    return made


def make_store(folder: Path, count: int, size: int) -> None:
    """A compacted store, written by CrewAI's own storage."""
    from datetime import timedelta

    from crewai.memory.storage.lancedb_storage import LanceDBStorage

    storage = LanceDBStorage(path=folder, compact_every=0)
    for first in range(0, count, BATCH):
        storage.save(records(first, min(count, first + BATCH), size))
        vector.cache_clear()
    storage.optimize()
    storage._table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)


def _model() -> Any:
    from crewai.llms.base_llm import BaseLLM
    from crewai.memory import analyze

    class Model(BaseLLM):
        """Splits a question into three, and says that nothing is to be merged."""

        def call(self, messages: Any, *_: Any, response_model: Any = None, **__: Any) -> Any:
            if response_model is analyze.QueryAnalysis:
                return analyze.QueryAnalysis(
                    keywords=["x"],
                    suggested_scopes=[],
                    recall_queries=[query(n) for n in (1, 2, 3)],
                )
            if response_model is analyze.MemoryAnalysis:
                return analyze.MemoryAnalysis(
                    suggested_scope=SCOPES[0], categories=["cat1"], importance=0.6
                )
            if response_model is analyze.ConsolidationPlan:
                return analyze.ConsolidationPlan(actions=[], insert_new=True)
            return "nothing is missing"

        def supports_function_calling(self) -> bool:
            return True

    return Model(model="local")


def operations(folder: str, size: int) -> dict[str, Callable[[int], Any]]:
    from crewai.events.event_listener import EventListener
    from crewai.memory.unified_memory import Memory

    EventListener().formatter.verbose = False  # what a crew that isn't verbose sets
    options: dict[str, Any] = {
        "llm": _model(),
        "storage": folder,
        "embedder": lambda texts: [vector(text, size) for text in texts],
        "exploration_budget": 0,
    }
    memory, reader = Memory(**options), Memory(read_only=True, **options)
    storage: Any = memory._storage
    reader._storage = storage  # touches nothing: every recall finds the same store

    long = " ".join(["and why, where, when and how, with all that belongs to it"] * 5)
    for number in range(_READY):  # else making these vectors would be part of what is measured
        texts = [sentence(10**6 + 50 * number + n) for n in range(50)]
        for text in (query(number), f"{query(number)} {long}", *texts):
            vector(text, size)

    def found(results: list[Any]) -> list[Any]:
        return [(record.id, record.content, score) for record, score in results]

    def recall(text: str, depth: str) -> list[Any]:
        matches = reader.recall(text, depth=depth, limit=10)
        return [(m.record.id, m.record.scope, m.score, m.match_reasons) for m in matches]

    def remember(number: int) -> int:
        texts = [sentence(10**6 + 50 * number + n) for n in range(50)]
        memory.remember_many(texts, scope=SCOPES[0], categories=["cat1"], importance=0.5)
        memory.drain_writes()
        return len(memory.list_records(scope=SCOPES[0], limit=10**6))

    def info(_: int) -> Any:
        got = memory.info("/")
        return got.record_count, sorted(got.categories), sorted(got.child_scopes)

    def listed(number: int) -> list[Any]:
        return [(r.id, r.content) for r in memory.list_records(limit=200, offset=number)]

    return {
        "search": lambda n: found(storage.search(vector(query(n), size).tolist(), limit=10)),
        "search in a scope": lambda n: found(
            storage.search(vector(query(n), size).tolist(), scope_prefix="/crew", limit=10)
        ),
        "recall shallow": lambda n: recall(query(n), "shallow"),
        "recall deep": lambda n: recall(query(n), "deep"),
        "recall deep, analysed": lambda n: recall(f"{query(n)} {long}", "deep"),
        "list": listed,
        "info": info,
        "tree": lambda _: memory.tree("/", 3),
        "forget": lambda _: memory.forget(categories=["no such category"]),
        "remember 50": remember,
    }


def serve(folder: str, size: int) -> None:
    """Do what standard input says (a JSON list [operation, number] a line); answer in JSON."""
    import warnings

    warnings.filterwarnings("ignore")
    answers, sys.stdout = sys.stdout, sys.stderr
    known = operations(folder, size)
    for line in sys.stdin:
        name, number = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        output = known[name](number)
        measured = {
            "cpu_ms": 1e3 * (time.process_time() - cpu),
            "wall_ms": 1e3 * (time.perf_counter() - wall),
        }
        answer = {"output": output, **measured, "rss_mb": _resident(), "peak_mb": _peak()}
        print(json.dumps(answer, default=str), file=answers, flush=True)


def _resident() -> float:
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _peak() -> float:
    """Not getrusage's, which begins with that of the process that started this one."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


# ------------------------------------------------------------------------------- both sides


class Side:
    def __init__(self, arguments: list[str], folder: Path, size: int) -> None:
        from sides import SILENT

        environment = {
            **os.environ,
            **SILENT,
            "CREWAI_TRACING_ENABLED": "false",
            "CREWAI_DISABLE_VERSION_CHECK": "true",
            "CREWAI_STORAGE_DIR": str(folder.parent / f"{folder.name}-data"),
            "OPENAI_API_KEY": "none",
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._process = subprocess.Popen(
            [sys.executable, *arguments, __file__, "--serve", str(folder), str(size)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def do(self, name: str, number: int) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        print(json.dumps([name, number]), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{name}: the process ended with {self._process.wait()}")
        return json.loads(line)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._process.communicate()


def measure(
    root: Path, count: int, size: int, rounds: int, only: list[str], rss: bool
) -> dict[str, Any]:
    from harness import interleave, summary
    from sides import SIDES

    source = root / f"{count}x{size}"
    make_store(source, count, size)
    folders = {side: root / f"{count}x{size}-{side}" for side in SIDES}
    for folder in folders.values():
        shutil.copytree(source, folder)
    results: dict[str, Any] = {}
    if rss:
        results["rss"] = peaks(folders, size)
    sides = {side: Side(SIDES[side], folder, size) for side, folder in folders.items()}
    try:
        results["load"] = _load(sides, count)
        for name in only:
            first = {side: sides[side].do(name, 0)["output"] for side in sides}
            assert same(first["off"], first["on"]), f"{name}: answers differ: {first}"
            answers: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}

            def run(side: str, name: str = name, given: Any = answers) -> float:
                given[side].append(sides[side].do(name, len(given[side]) + 1))
                return float(given[side][-1]["cpu_ms"])

            cpu = interleave({side: lambda side=side: run(side) for side in sides}, rounds)
            for off, on in zip(answers["off"], answers["on"], strict=True):
                same_output = same(off["output"], on["output"])
                assert same_output, f"{name}: answers differ: {off}, {on}"
            results[name] = {
                "cpu_ms": {side: summary(values) for side, values in cpu.items()},
                "wall_ms": {
                    side: summary([a["wall_ms"] for a in given]) for side, given in answers.items()
                },
                "peak_mb": {side: given[-1]["peak_mb"] for side, given in answers.items()},
            }
            _print(f"{count} x {size}", name, results[name])
    finally:
        for side in sides.values():
            side.close()
        for folder in (source, *folders.values()):
            shutil.rmtree(folder, ignore_errors=True)
    return results


def peaks(folders: dict[str, Path], size: int) -> dict[str, Any]:
    from sides import SIDES

    results: dict[str, Any] = {}
    for what, searches in (("forget, not in RAM", 0), ("forget, in RAM", _LOADED)):
        grown = {}
        for name, folder in folders.items():
            side = Side(SIDES[name], folder, size)
            try:
                before = side.do("info", 0)["rss_mb"]
                loading = [side.do("search", n)["peak_mb"] for n in range(searches)]
                answer = side.do("forget", 0)
                assert answer["output"] == 0
                grown[name] = {"peak_mb": answer["peak_mb"] - before}
                if loading:
                    grown[name]["peak_of_searches_mb"] = loading[-1] - before
            finally:
                side.close()
            print(f"{what:26} {name:4} {grown[name]}", flush=True)
        results[what] = grown
    return results


def same(one: Any, other: Any) -> bool:
    """Equal, scores to 1e-6: those of a recall depend on the time."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, abs_tol=1e-6)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _load(sides: dict[str, Side], count: int) -> dict[str, Any]:
    """The first searches, one of which reads the store into RAM, and what the process grows by."""
    results: dict[str, Any] = {}
    for name, side in sides.items():
        before = side.do("info", 0)
        first = [side.do("search", 0) for _ in range(_LOADED)]
        later = side.do("search", 0)
        highest = max(first, key=lambda answer: float(answer["cpu_ms"]))
        results[name] = {
            "cpu_ms": highest["cpu_ms"] - later["cpu_ms"],
            "wall_ms": highest["wall_ms"] - later["wall_ms"],
            "peak_mb": later["peak_mb"],
            "rss_bytes_a_record": 1e6 * (later["rss_mb"] - before["rss_mb"]) / count,
        }
        print(
            f"{'load':26} {name:4} {results[name]['cpu_ms']:9.1f} CPU ms, "
            f"{results[name]['rss_bytes_a_record']:.0f} bytes of RSS a record",
            flush=True,
        )
    return results


def _print(store: str, name: str, result: dict[str, Any]) -> None:
    off, on = (result["cpu_ms"][side] for side in ("off", "on"))
    wall = [result["wall_ms"][side]["median"] for side in ("off", "on")]
    print(
        f"{store:14} {name:22} {off['median']:10.2f} {on['median']:9.2f} CPU ms  "
        f"x{off['median'] / on['median']:<6.1f} (quartiles {off['low']:.2f}-{off['high']:.2f}, "
        f"{on['low']:.2f}-{on['high']:.2f}; wall x{wall[0] / wall[1]:.1f})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=list(SIZES[:2]), metavar="RECORDSxDIMENSION")
    parser.add_argument("--rounds", type=int, default=7, choices=range(1, _READY - 1))
    parser.add_argument("--only", nargs="+", choices=OPERATIONS, default=list(OPERATIONS))
    parser.add_argument("--rss", action="store_true", help="what a process grows by, too")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve[0], int(args.serve[1]))
        return
    from harness import write

    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as root:
        os.environ.setdefault("CREWAI_STORAGE_DIR", root)
        for given in args.sizes:
            count, size = map(int, given.split("x"))
            results[given] = measure(Path(root), count, size, args.rounds, args.only, args.rss)
            results[given]["rounds"] = args.rounds
    gains = {
        f"{store}, {name}": found["cpu_ms"]["off"]["median"] / found["cpu_ms"]["on"]["median"]
        for store, result in results.items()
        for name, found in result.items()
        if name in OPERATIONS
    }
    print(f"written to {write('memory', {**results, 'times_faster': gains})}")


if __name__ == "__main__":
    main()
