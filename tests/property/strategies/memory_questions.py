"""Stores to be written, how they are opened, and what is then asked (tests/memory_asker.py).

Hypothesis chooses what is asked, how much and in which order, and numbers from which the arguments
follow: of nested choices it mostly makes the first ones, or repeats others.
"""

from random import Random
from typing import Any

from hypothesis import strategies as st

from strategies.memories import LABELS, SCOPES

DIMENSIONS = (3, 5, 7, 16, 21, 32, 32, 48)  # in stores of 32 many records have a vector in common
QUERIES = ("what", "é?", "w" * 30)
PATHS = ("/", "/a", "/a/b", "/é", "a", "/none", "/a_b/")
WEIGHTS = (0.0, 0.2, 0.5, 1.0)
DETAILS: tuple[Any, ...] = (None, None, {}, {"k": 1}, {"s": "t"}, {"k": [1, {"n": None}]})


def _scope(chance: Random) -> str | None:
    return chance.choice((None, None, "/", "/a", "/a/b", chance.choice((*SCOPES, "/a/", "/no"))))


def _labels(chance: Random) -> list[str] | None:
    return chance.choice((None, None, chance.sample((*LABELS, "none"), chance.randrange(3))))


def _store(chance: Random) -> Any:
    """Dimension, records, seed, batches, touches and deletions."""
    count = chance.choice((0, 1, 5, 20, 30, 60, 60, 90))
    number = chance.getrandbits(30)
    return (chance.choice(DIMENSIONS), count, number, chance.randint(1, 3), chance.randrange(4))


def _options(chance: Random) -> Any:
    found = {
        "recency_weight": chance.choice(WEIGHTS),
        "semantic_weight": chance.choice(WEIGHTS),
        "importance_weight": chance.choice(WEIGHTS),
        "recency_half_life_days": chance.randint(1, 60),
        "exploration_budget": chance.randrange(3),
        "confidence_threshold_low": chance.choice(WEIGHTS),
        "confidence_threshold_high": chance.choice(WEIGHTS),
        "query_analysis_threshold": chance.choice((3, 20, 200)),
        "read_only": chance.random() < 0.5,
        "analysis": _analysis(chance) if chance.random() < 0.7 else None,
    }
    if chance.random() < 0.3:
        found["root_scope"] = chance.choice(("/a", "/a", "/é", "/none"))
    return found


def _analysis(chance: Random) -> Any:
    """What the model says of a query."""
    return {
        "complexity": chance.choice(("simple", "complex")),
        "recall_queries": chance.choices(QUERIES, k=chance.randrange(5)),
        "suggested_scopes": chance.choices(PATHS, k=chance.randrange(5)),
        "time_filter": chance.choice((None, "2026-02-01", "soon", "2026-01-05T10:00:00")),
    }


def _search(chance: Random) -> Any:
    return (
        chance.randrange(12),  # the query; 0: one of a wrong length
        _scope(chance),
        _labels(chance),
        chance.choice(DETAILS),
        chance.choice((0, 1, 3, 10, 10, 20, 100)),
        chance.choice((0.0, 0.0, 0.1, 0.4)),
    )


def _recall(chance: Random) -> Any:
    return {
        "query": chance.choice(QUERIES),
        "scope": _scope(chance),
        "categories": _labels(chance),
        "limit": chance.choice((1, 2, 5, 5, 12, 12, 0)),
        "depth": chance.choice(("shallow", "deep", "deep")),
        "source": chance.choice((None, "u", "v")),
        "include_private": chance.random() < 0.5,
    }


def _page(chance: Random) -> Any:
    return {
        "scope": _scope(chance),
        "limit": chance.choice((200, 40, 5, 1, 0)),
        "offset": chance.choice((0, 0, 0, 1, 7, 100, -1)),
    }


def _deletion(chance: Random) -> Any:
    return {
        "scope": chance.choice((None, "/a", "/é/ü", "/none", "a/b")),
        "categories": _labels(chance),
        "metadata_filter": chance.choice(DETAILS),
        "record_ids": chance.choice((None, None, [], ["id1", "id'7", "nobody's"])),
    }


def _path(chance: Random) -> Any:
    return {"path": _scope(chance)}


KINDS: dict[str, Any] = {
    "search": _search,
    "recall": _recall,
    "scope-recall": lambda chance: (chance.choice(PATHS), _recall(chance)),
    "slice-recall": lambda chance: (chance.sample(PATHS, chance.randrange(4)), _recall(chance)),
    "list_records": _page,
    "info": _path,
    "tree": _path,
    "list_scopes": _path,
    "list_categories": _path,
    "count": lambda chance: {"scope_prefix": _scope(chance)},
    "forget": _deletion,
}
_OFTEN = ("search", "search", "recall", "recall", *(kind for kind in KINDS if kind != "forget"))
_numbers = st.integers(0, 1 << 64)


def _made(parts: Any) -> Any:
    """A case. All of it follows from all numbers: where Hypothesis repeats some, it is another."""
    listens, writer, *kinds = parts
    asked = [kind for some in kinds for kind in some]
    seed = repr(parts)
    questions = [
        (kind, KINDS[kind](Random(f"{seed} {place}"))) for place, (kind, _) in enumerate(asked)
    ]
    return _store(Random(f"{seed} s")), _options(Random(f"{seed} o")), listens, questions, writer


_questions = st.tuples(st.sampled_from(_OFTEN), _numbers)
cases = st.tuples(
    st.booleans(),  # whether somebody listens to events
    st.sampled_from(("off", "on")),  # who writes the store
    st.lists(_questions, min_size=10, max_size=24),
    st.lists(st.tuples(st.just("forget"), _numbers), max_size=1),  # in the middle, or at the end
    st.lists(_questions, max_size=4),
).map(_made)
