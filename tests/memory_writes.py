"""What the memory programs write to a store, and what a store then must hold: id → content.

A record's vector follows from its content, so that whoever knows the content knows the distances.
"""

from __future__ import annotations

import math
import os
import random
from pathlib import Path
from typing import Any

SIZE = 7
QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "OTEL_SDK_DISABLED": "true",
    "LANCEDB_LOG": "error",  # it warns of each compaction that a stale handle begins
    "LANCE_LOG": "error",
}
SIDES: dict[str, list[str]] = {"off": [], "on": ["-m", "fast_crewai", "run"]}
WRITES = ("save", "save", "save", "touch", "touch", "delete", "update", "optimize")

State = dict[str, str]


def vector(text: str) -> list[float]:
    chance = random.Random(text)
    return [chance.uniform(-1, 1) for _ in range(SIZE)]


def score(query: list[float], content: str) -> float:
    pairs = zip(query, vector(content), strict=True)
    return 1.0 / (1.0 + sum((a - b) ** 2 for a, b in pairs))


def open_store(path: Path) -> Any:
    from crewai.memory.storage.lancedb_storage import LanceDBStorage

    storage = LanceDBStorage(path=path, vector_dim=SIZE, compact_every=0)
    storage._compact_every = 3  # each third touch compacts, with FAST_CREWAI_FIX=memory-files
    storage._save_count = 0.5  # type: ignore[assignment] # saves never do, in a thread of their own
    return storage


def record(id_: str, content: str) -> Any:
    from crewai.memory.types import MemoryRecord

    scope = random.Random(content).choice(("/a", "/a/b", "/c"))
    return MemoryRecord(id=id_, content=content, scope=scope, embedding=vector(content))


def plan(chance: random.Random, prefix: str, known: list[str], rows: int) -> list[Any]:
    """One write: [what, {id: content}], ids of others among them, more deletions when full."""
    what = chance.choice((*WRITES, *(("delete",) * 4 if rows > 60 else ())))
    new = f"{chance.getrandbits(40):x}"
    if what in ("save", "update") and (what == "save" or not known):
        return ["save", {f"{prefix}-{new}-{n}": f"{new} {n}" for n in range(chance.randint(1, 3))}]
    if what == "update":
        return ["update", {chance.choice(known): f"{new} again"}]
    if what == "optimize":
        return [what, {}]
    return [what, dict.fromkeys(chance.sample(known, min(len(known), chance.randint(1, 4))), "")]


def do(storage: Any, write: list[Any]) -> None:
    what, rows = write
    if what == "save":
        storage.save([record(id_, content) for id_, content in rows.items()])
    elif what == "update":
        for id_, content in rows.items():
            storage.update(record(id_, content))
    elif what == "touch":
        storage.touch_records(list(rows))
    elif what == "delete":
        storage.delete(record_ids=list(rows) or ["nobody's"])
    else:
        try:
            storage.optimize()
        except RuntimeError as error:  # a handle of an older version: CrewAI lets that through
            if "commit conflict" not in str(error):
                raise


def states_after(before: State, write: list[Any]) -> list[State]:
    """What a store holds after each commit of a write; the last is what it holds in the end."""
    what, rows = write
    if what == "save":
        return [before | rows]
    if what in ("delete", "update"):
        without = {id_: content for id_, content in before.items() if id_ not in rows}
        return [without] if what == "delete" else [without, without | rows]
    return [before]


def all_rows(storage: Any, query: list[float]) -> list[tuple[str, str, float]]:
    found = storage.search(query, limit=1000)
    return [(r.id, r.content, score_) for r, score_ in found]


def problem(query: list[float], found: list[Any], expected: State) -> str | None:
    """What is wrong with the hits of a search of everything."""
    rows = {id_: content for id_, content, _ in found}
    if len(found) != len(rows) or rows != expected:
        more = sorted(rows.items() - expected.items())
        less = sorted(expected.items() - rows.items())
        return f"{len(found)} rows; too many: {more}; missing: {less}"
    scores = [given for _, _, given in found]
    if scores != sorted(scores, reverse=True):
        return f"not the nearest first: {scores}"
    for _, content, given in found:
        if not math.isclose(given, score(query, content), rel_tol=1e-5):
            return f"{content} has the score {given}"
    return None


def searches_in_ram() -> int:
    """How often this process has searched in RAM, up to now."""
    import sys

    if "fast_crewai" not in sys.modules:
        return 0
    from fast_crewai import engine

    tally = engine.registry().states["memory.search"].tally
    return tally.calls - tally.fallbacks


def environment(folder: Path) -> dict[str, str]:
    found = {**os.environ, **QUIET, "CREWAI_STORAGE_DIR": str(folder)}
    found.pop("FAST_CREWAI", None)
    return found
