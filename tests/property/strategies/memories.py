"""Stores of memories, made by CrewAI, and what is asked of them."""

import atexit
import datetime
import functools
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from hypothesis import strategies as st

NOW = datetime.datetime(2026, 3, 1, 12)
SCOPES = (
    "/",
    "",
    "/a",
    "/a/b",
    "/a/b/c",
    "/a/b2",
    "/a_b",
    "/axb",
    "/a%b",
    "/a'b",
    "/a\\b",
    "/é/ü",
    "/A",
    "a",
    "/z//y",
)
LABELS = ("x", "y", "é", "")
DETAILS: tuple[Any, ...] = ({}, {"k": 1}, {"k": 2, "s": "t"}, {"k": [1, {"n": None}]}, {"k": 1.0})
SIZES = ((3, 0), (16, 1), (21, 40), (5, 120), (32, 12), (384, 9))  # vector, records


PROGRAMS = st.lists(  # for ``written``
    st.tuples(st.sampled_from(("save", "touch", "delete", "other", "optimize")), st.integers(0, 9)),
    max_size=6,
)


class Frozen(datetime.datetime):
    @classmethod
    def utcnow(cls) -> datetime.datetime:
        return NOW


def record(rng: random.Random, number: int, dim: int) -> Any:
    from crewai.memory.types import MemoryRecord

    # In two of the stores few different vectors: many equal distances, which ours leaves to Lance.
    tied = dim in (32, 384) and rng.random() < 0.5
    values = random.Random(rng.randrange(12)) if tied else rng
    created = NOW - datetime.timedelta(days=rng.randrange(90), microseconds=rng.randrange(2) * 7)
    return MemoryRecord(
        id=f"id'{number}" if number % 7 == 0 else f"id{number}",
        content=rng.choice(["", "text", "é\n'"]) + str(number),
        scope=rng.choice(SCOPES),
        categories=rng.sample(LABELS, rng.randrange(3)),
        metadata=rng.choice(DETAILS),
        importance=rng.choice([0.0, 0.3, 0.7, 1.0]),
        created_at=created,
        last_accessed=created,
        embedding=[values.uniform(-1, 1) for _ in range(dim)],
        source=rng.choice([None, "u", "v"]),
        private=rng.random() < 0.3,
    )


def build(path: Any, size: int, seed: int = 0) -> Any:
    """A store in several fragments, with rows that were written again and deleted."""
    from crewai.memory.storage.lancedb_storage import LanceDBStorage

    dim, count = SIZES[size]
    rng = random.Random(f"{size} {seed}")
    storage = LanceDBStorage(path=path, vector_dim=dim, compact_every=0)
    records = [record(rng, number, dim) for number in range(count)]
    for first in range(0, count, 25):
        storage.save(records[first : first + 25])
    if count > 5:
        storage.touch_records([r.id for r in rng.sample(records, 4)])
        storage.delete(record_ids=[records[2].id])
        storage.optimize()
        storage.touch_records([r.id for r in rng.sample(records, 3)])
    return storage


def written(storage: Any, folder: Path, program: list[tuple[str, int]]) -> Iterator[None]:
    """Write to the store in the folder, by this storage or another one; yields after each."""
    from crewai.memory.storage.lancedb_storage import LanceDBStorage

    for what, number in program:
        if what in ("save", "other"):
            other = what == "other"
            writer = LanceDBStorage(folder, compact_every=0) if other else storage
            writer.save([record(random.Random(number), 100 + number + other * 50, 21)])
        elif what == "touch":
            storage.touch_records([f"id{number}", "nobody's"])
        elif what == "delete":
            storage.delete(record_ids=[f"id{number}", f"id{number + 10}"])
        else:
            storage._table.optimize()
        yield


@functools.cache
def stores() -> list[Any]:
    folder = tempfile.mkdtemp(prefix="memories")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return [build(f"{folder}/{size}", size) for size in range(len(SIZES))]


def vector(size: int, seed: int) -> list[float]:
    rng = random.Random(seed)
    return [rng.uniform(-1, 1) for _ in range(SIZES[size][0])]


def shown(value: Any) -> Any:
    """A record as everything that can be seen of it; lists of them, and exceptions, too."""
    from crewai.memory.types import MemoryRecord

    if isinstance(value, MemoryRecord):
        extra = (value.__pydantic_extra__, value.__pydantic_private__)
        return (list(vars(value).items()), value.model_fields_set, extra, repr(value))
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return [(key, shown(item)) for key, item in value.items()]
    return (type(value), value)


def outcome(function: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return shown(function(*arguments, **options))
    except Exception as error:
        return (type(error), str(error))


sizes = st.sampled_from((0, 1, 2, 3, 2, 3, 4, 5))
scopes = st.sampled_from((None, *SCOPES, "/a/", "//", "/nothing", "/a\nb"))
labels = st.lists(st.sampled_from((*LABELS, "none")), max_size=2) | st.none()
details = st.sampled_from((None, {}, {"k": 1}, {"s": "t"}, {"k": [1, {"n": None}]}))
limits = st.sampled_from((1, 2, 5, 10, 10, 1000, 0))
searches = st.tuples(
    sizes, st.integers(0, 15), scopes, labels, details, limits, st.sampled_from((0.0, 0.3, 1))
)


def search(function: Any, example: Any) -> Any:
    size, seed, scope, categories, metadata, limit, score = example
    storage = stores()[size]
    query = vector(size, seed)
    return outcome(function, storage, query, scope, categories, metadata, limit, score)


recalls = st.tuples(
    sizes,
    st.lists(st.integers(0, 15), min_size=1, max_size=2),
    st.lists(st.sampled_from((*SCOPES, "/a/")), min_size=1, max_size=3),
    labels,
    st.sampled_from((1, 4, 10)),
    st.sampled_from((None, "u", "nobody", "")),
    st.booleans(),
    st.sampled_from((None, NOW - datetime.timedelta(days=40))),
)


@functools.cache
def _recall_flow(size: int) -> Any:
    from crewai.memory.recall_flow import RecallFlow

    return RecallFlow(storage=stores()[size], llm=None, embedder=None)


def recall(function: Any, example: Any) -> Any:
    size, seeds, paths, categories, limit, source, everything, cutoff = example
    flow = _recall_flow(size)
    state = flow.state
    state.query_embeddings = [(str(seed), vector(size, seed)) for seed in seeds]
    state.candidate_scopes, state.categories, state.limit = paths, categories or [], limit
    state.source, state.include_private, state.time_cutoff = source, everything, cutoff
    state.chunk_findings, state.confidence = [], -1.0
    with patch("crewai.memory.types.datetime", Frozen):
        found = function(flow)
    assert found is state.chunk_findings
    # CrewAI's come as its threads end.
    return sorted(map(repr, map(shown, found))), state.confidence


_scores = st.sampled_from((0.5, 0.5, 0.25, 0.9, -1.0, float("nan"), float("inf"), 1, True, "0.5"))
_hits = st.tuples(
    st.sampled_from(
        ("pair", "pair", "pair", "pair", "list", "alone", "none", "other", "zone", "int")
    ),
    st.integers(0, 9),
    _scores,
)
_results = st.lists(_hits, max_size=6)
scored = st.tuples(
    st.lists(st.tuples(st.sampled_from(("dict", "dict", "dict", "tuple", "odd")), _results)),
    st.sampled_from((0, 1, 3, 3, 10, -1, -100)),
    st.lists(st.sampled_from(("a", "b")), max_size=2),
    st.sampled_from(((0.3, 0.5, 0.2, 30), (0.0, 1.0, 0.0, 1), (1, 0, 0, 7), (1.0, 1.0, 1.0, 0))),
)


def synthesize(function: Any, example: Any) -> Any:
    """What is answered of scored records: of which, with what; or the exception."""
    from crewai.memory.types import MemoryConfig, MemoryRecord

    findings, limit, gaps, weights = example
    known = [record(random.Random(n), n, 3) for n in range(10)]
    Other = type("Other", (MemoryRecord,), {})  # noqa: N806

    def hit(what: str, number: int, score: Any) -> Any:
        found = known[number].model_copy()
        if what == "other":
            found = Other(**vars(found))
        elif what == "zone":
            found.created_at = NOW.replace(tzinfo=datetime.timezone.utc)
        elif what == "int":
            found.importance = 1
        made.append(found)
        return {"list": [found, score], "alone": (found,), "none": None}.get(what, (found, score))

    made: list[Any] = []
    flow = _recall_flow(2)
    names = ("semantic_weight", "recency_weight", "importance_weight", "recency_half_life_days")
    config = flow._config
    flow._config = MemoryConfig.model_construct(**dict(zip(names, weights, strict=True)))
    state = flow.state
    state.chunk_findings = []
    for kind, results in findings:
        hits: Any = [hit(*one) for one in results]
        finding = {"scope": "/", "results": tuple(hits) if kind == "tuple" else hits}
        state.chunk_findings.append(hits if kind == "odd" else finding)
    state.limit, state.evidence_gaps, state.final_results = limit, gaps, []
    places = {id(found): place for place, found in enumerate(made)}
    try:
        with patch("crewai.memory.types.datetime", Frozen):
            found = function(flow)
    except Exception as error:
        return type(error), str(error), state.final_results
    finally:
        flow._config = config
    assert found is state.final_results
    return [
        (type(m), places[id(m.record)], sorted(m.model_fields_set), memories_of(m)) for m in found
    ]


def memories_of(match: Any) -> Any:
    return [(name, repr(value)) for name, value in vars(match).items()]


def _flow_state(function: Any, flow: Any) -> Any:
    state = flow.state.model_dump()
    found = outcome(function, flow)
    assert repr(flow.state.model_dump()) == repr(state)
    return repr(found)


class Thing:
    def __repr__(self) -> str:
        return "thing"


anything = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.floats() | st.just(NOW),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=5,
) | st.builds(Thing)
states = st.tuples(st.integers(0, 99), st.integers(0, 4), anything)


def recall_state(function: Any, example: Any) -> Any:
    from crewai.memory.types import MemoryMatch

    seed, count, value = example
    rng = random.Random(seed)
    flow = _recall_flow(2)
    records = [record(rng, number, 3) for number in range(count)]
    if records:
        records[0].metadata = {"k": value}
    pairs = [(found, rng.random()) for found in records]
    flow.state.chunk_findings = [{"scope": "/", "results": pairs, "top_score": 0.5}]
    flow.state.final_results = [
        MemoryMatch(record=found, score=score, match_reasons=["semantic"]) for found, score in pairs
    ]
    flow.state.query_embeddings = [("q", [0.1, float("nan")])]
    return _flow_state(function, flow)


@functools.cache
def _encoding_flow() -> Any:
    from crewai.memory.encoding_flow import EncodingFlow

    return EncodingFlow(storage=stores()[2], llm=None, embedder=None)


def encoding_state(function: Any, example: Any) -> Any:
    from crewai.memory.encoding_flow import ItemState

    seed, count, value = example
    rng = random.Random(seed)
    flow = _encoding_flow()
    flow.state.items = [
        ItemState(
            content="c",
            embedding=[rng.random(), 0.0],
            metadata={"k": value},
            similar_records=[record(rng, 1, 3)],
            result_record=record(rng, 2, 3),
        )
        for _ in range(count)
    ]
    return _flow_state(function, flow)


pages = st.sampled_from((0, 1, 2, 3, 5, 10, 200, 1000, -1, 1 << 40))
listings = st.tuples(sizes, scopes, pages, pages)


def list_records(function: Any, example: Any) -> Any:
    size, scope, limit, offset = example
    return outcome(function, stores()[size], scope_prefix=scope, limit=limit, offset=offset)


questions = st.tuples(sizes, scopes.filter(lambda scope: scope is not None))
optional_questions = st.tuples(sizes, scopes)


def ask(function: Any, example: Any) -> Any:
    size, scope = example
    return outcome(function, stores()[size], scope)


def _rows(storage: Any) -> Any:
    rows = storage._table.search().limit(10_000).to_list()
    return sorted(rows, key=lambda row: row["id"])


deletions = st.tuples(
    st.sampled_from((0, 2, 3)),
    scopes,
    labels,
    st.sampled_from((None, ["id1", "id'7"], [])),
    st.sampled_from((None, NOW - datetime.timedelta(days=30))),
    details,
)


def delete(function: Any, example: Any) -> Any:
    """What a deletion returns, and what is left, of a store that is as before."""
    size, *wishes = example
    storage = stores()[size]
    version = storage._table.version
    try:
        return outcome(function, storage, *wishes), repr(_rows(storage))
    finally:
        if storage._table.version != version:
            storage._table.restore(version)


times = st.sampled_from((None, NOW - datetime.timedelta(days=30)))
writes = st.tuples(
    st.sampled_from(("add", "update", "fails", "conflicts")), st.integers(0, 2), st.booleans()
)


def write(function: Any, example: Any) -> Any:
    """CrewAI's own writing, on a stand-in table: results, calls, retries, exceptions."""
    what, conflicts, reopens = example
    log: list[Any] = []

    class Table:
        def __getattr__(self, name: str) -> Any:
            def call(*arguments: Any, **options: Any) -> Any:
                log.append((name, arguments, options))
                if name == "fails":
                    raise OSError("disk")
                if name == "conflicts" and len(log) <= conflicts:
                    raise OSError("Commit conflict")
                return len(log)

            return call

    class Storage:
        _table, _table_name = Table(), "t"
        _db = SimpleNamespace(open_table=lambda name: Table() if reopens else 1 / 0)

    with patch("time.sleep", lambda seconds: log.append(seconds)):
        return outcome(function, Storage(), what, [1], where="x"), log


usual = st.floats(-1, 1).map(lambda x: round(x, 9))
numbers = st.floats(allow_nan=True) | usual
vectors = st.lists(usual, min_size=3, max_size=40)
pairs = (
    st.lists(st.tuples(usual, usual), max_size=60).map(
        lambda both: ([a for a, _ in both], [b for _, b in both])
    )
    | st.tuples(vectors, vectors)
    | st.tuples(st.lists(numbers, max_size=4), st.lists(numbers | st.integers(-3, 3), max_size=4))
)


def similarity(function: Any, example: Any) -> Any:
    value = outcome(function, *example)
    return repr(value)
