"""The public classes: Rust against the Python twin and the usual library, results compared first.

    python benchmarks/api.py [--documents 100000] [--rounds 7]

Writes benchmarks/results/api.json, and for `get_performance_improvements` benchmarks.json in the
user's cache folder.

No gain was found for tasks (threads share the GIL, coroutines one loop) and single SQLite rows.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import itertools
import json
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from harness import interleave, line, summary, write

from fast_crewai.database import AcceleratedSQLiteWrapper
from fast_crewai.memory import AcceleratedMemoryStorage
from fast_crewai.memory.words import words
from fast_crewai.serialization import AgentMessage
from fast_crewai.tasks import AcceleratedTaskExecutor
from fast_crewai.tools import AcceleratedToolExecutor

Sides = dict[str, Callable[[], Any]]


@dataclass
class Message:
    id: str
    sender: str
    recipient: str
    content: str
    timestamp: int


PARAGRAPH = "The quick brown fox reads a report, as models write them.\n" * 8
FIELDS = ("msg-1", "researcher", "writer", PARAGRAPH, 1700000000)


def messages() -> dict[str, Sides]:
    rust, python = (AgentMessage(*FIELDS, use_rust=side) for side in (True, False))
    plain, text = Message(*FIELDS), rust.to_json()
    assert json.loads(text) == json.loads(python.to_json()) == asdict(plain)
    read = {side: AgentMessage.from_json(text, use_rust=side) for side in (True, False)}
    assert read[True] == rust and read[False] == python and Message(**json.loads(text)) == plain
    return {
        "message to_json": {
            "rust": rust.to_json,
            "python": python.to_json,
            "json+dataclass": lambda: json.dumps(asdict(plain)),
        },
        "message from_json": {
            "rust": lambda: AgentMessage.from_json(text),
            "python": lambda: AgentMessage.from_json(text, use_rust=False),
            "json+dataclass": lambda: Message(**json.loads(text)),
        },
    }


SCHEMA = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "minLength": 1, "maxLength": 200},
        "limit": {"type": "integer", "minimum": 1, "maximum": 100},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "mode": {"enum": ["fast", "deep"]},
    },
    "required": ["query"],
    "additionalProperties": False,
}


def validation() -> dict[str, Sides]:
    import jsonschema

    good = {"query": "cats", "limit": 5, "tags": ["a", "b", "c"], "mode": "deep"}
    bad = {"limit": 0, "tags": ["a", "a"], "wind": 1}
    sides: Sides = {}
    for name, side in (("rust", True), ("python", False)):
        executor = AcceleratedToolExecutor(use_rust=side)
        executor.register_tool("search", print, SCHEMA)
        assert executor.batch_validate([good, bad], "search") == [True, False]
        sides[name] = lambda e=executor: e.validate_args(good, "search")  # type: ignore[misc]
    library = jsonschema.Draft202012Validator(SCHEMA)
    assert library.is_valid(good) and not library.is_valid(bad)
    return {"validate_args": {**sides, "jsonschema": lambda: library.validate(good)}}


def memory(documents: int) -> dict[str, Sides]:
    chance = random.Random(1)
    vocabulary = [f"word{number}" for number in range(30_000)]
    weights = list(itertools.accumulate(1 / (n + 10) for n in range(30_000)))

    def sentence(length: int) -> str:
        return " ".join(chance.choices(vocabulary, cum_weights=weights, k=length))

    stores = {
        n: AcceleratedMemoryStorage(use_rust=s) for n, s in (("rust", True), ("python", False))
    }
    texts = [sentence(30) for _ in range(documents)]
    for text in texts:
        for store in stores.values():
            store.save(text)
    queries = [sentence(6) for _ in range(20)]
    for query in queries[:3]:
        found = [[(i["id"], i["score"]) for i in s.search(query, 5, 0)] for s in stores.values()]
        assert found[0] == found[1]
    turn = {name: itertools.cycle(queries) for name in [*stores, "TfidfVectorizer"]}
    sides: Sides = {
        name: lambda s=store, n=name: s.search(next(turn[n]), 5, 0)  # type: ignore[misc]
        for name, store in stores.items()
    }
    if (find := vectorizer(texts)) is not None:
        for query in queries:
            ours = [item["score"] for item in stores["rust"].search(query, 5, 0)]
            assert all(abs(a - b) < 1e-9 for a, b in zip(ours, find(query, 5), strict=True))
        sides["TfidfVectorizer"] = lambda: find(next(turn["TfidfVectorizer"]), 5)
    return {f"memory search, {documents}": sides}


def vectorizer(texts: list[str]) -> Callable[[str, int], list[float]] | None:
    """The scores of the best by scikit-learn; None if it isn't installed (extra ``bench``)."""
    try:
        import numpy as np
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError:
        return None
    weights = TfidfVectorizer(analyzer=words)
    matrix = weights.fit_transform(texts)

    def find(query: str, limit: int) -> list[float]:
        scores = (matrix @ weights.transform([query]).T).toarray().ravel()
        best = np.argpartition(-scores, limit)[:limit]
        return sorted((float(s) for s in scores[best] if s > 0), reverse=True)

    return find


def database(rows: int) -> dict[str, Sides]:
    """A row by its id, and a search, which the library alone has to be told in FTS5's syntax."""
    chance = random.Random(2)
    weights = list(itertools.accumulate(1 / (n + 1) for n in range(20_000)))

    def sentence(length: int) -> str:
        return " ".join(
            f"word{n}" for n in chance.choices(range(20_000), cum_weights=weights, k=length)
        )

    folder = tempfile.mkdtemp(prefix="fast-crewai-bench-")
    path = f"{folder}/memories.db"
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Files of their own: two copies of SQLite must not share one in one process.
    writer = AcceleratedSQLiteWrapper(path, use_rust=False)
    insert = "INSERT INTO long_term_memories (task_description, score) VALUES (?, 1)"
    writer.execute_batch([(insert, (sentence(30),)) for _ in range(rows)])
    shutil.copy(path, f"{path}.rust")
    wrappers = {
        "rust": AcceleratedSQLiteWrapper(f"{path}.rust", use_rust=True),
        "python": writer,
    }
    plain = sqlite3.connect(path)
    by_id = "SELECT * FROM long_term_memories WHERE id = ?"
    queries = [sentence(6) for _ in range(20)]
    for query in queries:
        found = [[row["id"] for row in w.search_fts(query, 10)] for w in wrappers.values()]
        assert found[0] == found[1]
    assert all(
        tuple(w.execute_query(by_id, (5,))[0].values()) == plain.execute(by_id, (5,)).fetchone()
        for w in wrappers.values()
    )
    turn = {name: itertools.cycle(queries) for name in wrappers}
    return {
        "SQLite, a row": {
            **{n: lambda w=w: w.execute_query(by_id, (5,)) for n, w in wrappers.items()},  # type: ignore[misc]
            "sqlite3": lambda: plain.execute(by_id, (5,)).fetchall(),
        },
        f"FTS, six words, {rows} rows": {
            n: lambda w=w, n=n: w.search_fts(next(turn[n]), 10)  # type: ignore[misc]
            for n, w in wrappers.items()
        },
    }


def tasks() -> dict[str, Sides]:
    def small() -> int:
        return 1

    def wait() -> int:
        time.sleep(0.001)
        return 1

    async def pause() -> int:
        await asyncio.sleep(0.001)
        return 1

    def pool(function: Callable[[], int], count: int) -> list[int]:
        with ThreadPoolExecutor(10) as threads:
            return [f.result() for f in [threads.submit(function) for _ in range(count)]]

    async def gather(count: int) -> list[int]:
        limit = asyncio.Semaphore(10)

        async def one() -> int:
            async with limit:
                return await pause()

        return list(await asyncio.gather(*(one() for _ in range(count))))

    rust, python = (AcceleratedTaskExecutor(10, use_rust=side) for side in (True, False))
    found = {}
    for name, function, count in (("10,000 small tasks", small, 10_000), ("500 waits", wait, 500)):
        sides: Sides = {
            "rust": lambda f=function, n=count: rust.execute_concurrent([f] * n),  # type: ignore[misc]
            "python": lambda f=function, n=count: python.execute_concurrent([f] * n),  # type: ignore[misc]
            "ThreadPoolExecutor": lambda f=function, n=count: pool(f, n),  # type: ignore[misc]
        }
        assert all(side() == [1] * count for side in sides.values())
        found[name] = sides
    found["500 coroutines"] = {
        "rust": lambda: rust.execute_concurrent([pause] * 500),
        "asyncio.gather": lambda: asyncio.run(gather(500)),  # the same loop: no gain expected
    }
    return found


def timer(call: Callable[[], Any]) -> Callable[[], float]:
    """Microseconds a call, over at least 20 ms."""

    def sample() -> float:
        count, begun = 0, time.perf_counter()
        while (passed := time.perf_counter() - begun) < 0.02 or count == 0:
            call()
            count += 1
        return passed / count * 1e6

    return sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    everything = {**messages(), **validation(), **memory(options.documents)}
    everything |= {**database(options.documents), **tasks()}
    results: dict[str, Any] = {}
    gains: dict[str, dict[str, float]] = {}
    for name, sides in everything.items():
        samples = interleave({n: timer(call) for n, call in sides.items()}, options.rounds)
        for side, values in samples.items():
            print(line(f"{name}: {side}", values, "µs"))
        results[name] = {side: summary(values) for side, values in samples.items()}
        medians = {side: statistics.median(values) for side, values in samples.items()}
        gains[name] = {s: round(m / medians["rust"], 2) for s, m in medians.items() if s != "rust"}
        print(f"{'':4}times faster than: {gains[name]}")
    print(write("api", {"microseconds": results, "times_faster": gains}))


if __name__ == "__main__":
    main()
