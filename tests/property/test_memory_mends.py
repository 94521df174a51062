"""What reviews of the memory in RAM found: each test fails without its mend."""

import random
import shutil
import threading
from unittest.mock import PropertyMock, patch

import pytest
from crewai.memory.recall_flow import RecallFlow
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from lancedb.table import AsyncTable, LanceTable
from strategies import memories

from fast_crewai.hooks.areas import memory_mirror
from fast_crewai.hooks.areas.memory_storage import TABLES

OTHER_SUM = "LanceDB has a sum of its own for such short vectors"
OTHER_DISTANCES = "LanceDB's distances are others"


pytestmark = pytest.mark.usefixtures("routes")


def plain(method):
    return getattr(LanceDBStorage, method).__wrapped__


def declined(routes, reason, route="memory.search"):
    return routes[route].tally.reasons.get(reason, 0)


def fast_calls(routes, route="memory.search"):
    tally = routes[route].tally
    return tally.calls - tally.fallbacks


def both(storage, *example):
    found = memories.outcome(storage.search, *example)
    assert found == memories.outcome(plain("search"), storage, *example)
    return found


def store(path, vectors, scopes=("/a",)):
    """A store of records with these vectors, in fragments of 40."""
    rng = random.Random(1)
    storage = LanceDBStorage(path=path, vector_dim=len(vectors[0]), compact_every=0)
    made = []
    for number, vector in enumerate(vectors):
        record = memories.record(rng, number, 3)
        scope = scopes[number % len(scopes)]
        made.append(record.model_copy(update={"embedding": vector, "scope": scope}))
    for first in range(0, len(made), 40):
        storage.save(made[first : first + 40])
    return storage


def numbers(rng, count):
    return [rng.uniform(-1, 1) for _ in range(count)]


def near_and_far(size):
    """Vectors whose distances to zero are exact in any order of adding; then some others."""
    rng = random.Random(size)
    near = [[n / 64, *[0.0] * (size - 1)] for n in range(21)]
    far = [[9 + x for x in numbers(rng, size)] for _ in range(60)]
    return near + far


@pytest.mark.parametrize("size", range(8, 17))
def test_short_vectors_are_left_to_lance(tmp_path, routes, size):
    """A load that looks right (its first distances are exact) must not serve what follows."""
    storage = store(tmp_path, near_and_far(size))
    before, left = fast_calls(routes), declined(routes, OTHER_SUM)
    both(storage, [0.0] * size)
    rng = random.Random(0)
    for _ in range(20):
        query = [8 + x for x in numbers(rng, size)]
        for scope in (None, "/a"):
            both(storage, query, scope, None, None, 20)
    assert fast_calls(routes) == before
    assert declined(routes, OTHER_SUM) > left


@pytest.mark.parametrize("size", [1, 7, 17, 24, 31, 32, 48])
def test_other_lengths_are_equal_whatever_was_compared_at_the_load(tmp_path, routes, size):
    storage = store(tmp_path, near_and_far(size))
    before = fast_calls(routes)
    both(storage, [0.0] * size)
    rng = random.Random(0)
    for _ in range(20):
        query = [8 + x for x in numbers(rng, size)]
        for scope in (None, "/a"):
            both(storage, query, scope, None, None, 20)
    assert fast_calls(routes) > before


def test_equal_distances_are_left_to_lance(tmp_path, routes):
    rng = random.Random(2)
    few = [numbers(rng, 5) for _ in range(6)]
    storage = store(tmp_path, [rng.choice(few) for _ in range(200)], ("/a", "/b", "/a/c"))
    storage.touch_records([f"id{number}" for number in range(0, 200, 9)])
    both(storage, numbers(rng, 5), None, None, None, 1)
    assert TABLES.of(storage)._native is not None
    left = declined(routes, "equal distances")
    for _ in range(6):
        query = numbers(rng, 5)
        for scope in (None, "/a", "/b"):
            for limit in (1, 3, 10, 60):
                both(storage, query, scope, None, None, limit)
    assert declined(routes, "equal distances") > left


def test_a_tie_just_past_the_last_hit_is_seen(tmp_path, routes):
    """The one that is left out may be the one that Lance takes."""
    rng = random.Random(3)
    twin = numbers(rng, 5)
    storage = store(tmp_path, [twin, twin, *(numbers(rng, 5) for _ in range(30))])
    both(storage, numbers(rng, 5))
    left = declined(routes, "equal distances")
    both(storage, twin, None, None, None, 1)
    assert declined(routes, "equal distances") == left + 1


class Off:
    """A table in RAM whose distances are off by a bit, when asked with or without a filter."""

    def __init__(self, size):
        self._inner = memory_mirror_class(size)

    def __len__(self):
        return len(self._inner)

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def search(self, *arguments):
        tasks, rows = self._inner.search(*arguments)
        return [[(place, distance * (1 + 2**-20)) for place, distance in t] for t in tasks], rows


memory_mirror_class = memory_mirror.MemoryMirror


def test_a_load_that_lance_contradicts_is_not_used(tmp_path, routes):
    storage = store(tmp_path, near_and_far(5))
    query = numbers(random.Random(4), 5)
    before, left = fast_calls(routes), declined(routes, OTHER_DISTANCES)
    with patch.object(memory_mirror, "MemoryMirror", Off):
        both(storage, query)
        both(storage, query, "/a")
    both(storage, query)  # this storage isn't tried again
    assert fast_calls(routes) == before
    assert declined(routes, OTHER_DISTANCES) == left + 3


@pytest.mark.parametrize("filtered", [False, True])
def test_a_load_is_compared_with_and_without_a_filter(tmp_path, routes, filtered):
    """One of Lance's two searches is off by a bit; each alone must be noticed."""
    storage = store(tmp_path, near_and_far(5))
    native = memory_mirror_class(5)
    handle = storage._table
    for batch in handle.search().with_row_id(True).limit(1000).to_batches():
        memory_mirror._add(native, batch)
    query = numbers(random.Random(4), 5)
    assert memory_mirror._same_hits(handle, native, query)
    assert not memory_mirror._same_hits(Lying(handle, filtered), native, query)


class Lying:
    """A table (then: its query) whose distances are wrong if there is a filter, or if there is
    none."""

    def __init__(self, inner, filtered, has_filter=False):
        self._inner, self._filtered, self._has_filter = inner, filtered, has_filter

    def where(self, text):
        return Lying(self._inner.where(text), self._filtered, True)

    def to_arrow(self):
        found = self._inner.to_arrow()
        if self._has_filter is not self._filtered:
            return found
        rows = [{**row, "_distance": row["_distance"] + 1.0} for row in found.to_pylist()]
        return type(found).from_pylist(rows)

    def __getattr__(self, name):
        method = getattr(self._inner, name)
        return lambda *arguments: Lying(method(*arguments), self._filtered, self._has_filter)


def test_a_load_is_compared_where_sums_are_not_exact(tmp_path, routes):
    """Vectors of 8 numbers, if they weren't left alone, and a first query that proves nothing."""
    storage = store(tmp_path, near_and_far(8))
    before, left = fast_calls(routes), declined(routes, OTHER_DISTANCES)
    with patch.object(memory_mirror, "_OTHERWISE", ()):
        both(storage, [0.0] * 8)
    assert fast_calls(routes) == before
    assert declined(routes, OTHER_DISTANCES) == left + 1


# ------------------------------------------------------------- patched and subclassed storages


@pytest.fixture
def storage(tmp_path):
    made = memories.build(tmp_path / "s", 2)
    for seed in range(3):
        both(made, memories.vector(2, seed))
    return made


class SentinelError(Exception):
    pass


def fails(*_, **__):
    raise SentinelError


PATCHES = {
    "the storage's rows": lambda s: patch.object(s, "_row_to_record", fails),
    "the class's rows": lambda s: patch.object(LanceDBStorage, "_row_to_record", fails),
    "the table's search": lambda s: patch.object(s._table, "search", fails),
    "LanceDB's search": lambda s: patch.object(LanceTable, "search", fails),
    "LanceDB's query": lambda s: patch.object(AsyncTable, "query", fails),
    "the filter": lambda s: patch(
        "crewai.memory.storage.lancedb_storage._scope_prefix_filter", fails
    ),
    "json": lambda s: patch("crewai.memory.storage.lancedb_storage.json.loads", fails),
    "records": lambda s: patch("crewai.memory.storage.lancedb_storage.MemoryRecord", fails),
    "records' making": lambda s: patch("crewai.memory.types.MemoryRecord.__init__", fails),
}
IN_RECORDS = {"records", "records' making", "the storage's rows", "the class's rows"}


@pytest.mark.parametrize("name", sorted(PATCHES))
def test_a_search_meets_what_is_patched(storage, routes, name):
    before = fast_calls(routes)
    with PATCHES[name](storage):
        theirs = memories.outcome(plain("search"), storage, memories.vector(2, 0), "/a")
        ours = memories.outcome(storage.search, memories.vector(2, 0), "/a")
    assert ours == theirs == (SentinelError, "")
    assert fast_calls(routes) == before


@pytest.mark.parametrize("name", sorted(set(PATCHES) - IN_RECORDS))
@pytest.mark.parametrize("what", ["list_scopes", "list_categories", "get_scope_info"])
def test_counting_meets_what_is_patched(storage, what, name):
    with PATCHES[name](storage):
        theirs = memories.outcome(plain(what), storage, "/a")
        ours = memories.outcome(getattr(storage, what), "/a")
    assert ours == theirs
    # CrewAI goes on after a text that json can't read.
    assert ours == (SentinelError, "") or name == "json"


@pytest.mark.parametrize("what", ["list_scopes", "list_categories", "get_scope_info"])
@pytest.mark.parametrize("where", ["storage", "class"])
def test_counting_meets_patched_scans(storage, what, where):
    holder = storage if where == "storage" else LanceDBStorage
    with patch.object(holder, "_scan_rows", fails), pytest.raises(SentinelError):
        getattr(storage, what)("/a")


def test_a_patched_version_is_nothing_to_go_by(storage, routes):
    before = fast_calls(routes)
    same = storage._table.version
    with patch.object(LanceTable, "version", PropertyMock(return_value=same)):
        both(storage, memories.vector(2, 0))
    assert fast_calls(routes) == before


class Mine(LanceDBStorage):
    def _row_to_record(self, row):
        return super()._row_to_record(row).model_copy(update={"content": "mine"})

    def _scan_rows(self, *arguments, **options):
        return [{**row, "scope": "/mine/x"} for row in super()._scan_rows(*arguments, **options)]


def test_a_subclass_keeps_what_it_overrides(storage, routes, tmp_path):
    mine = Mine(path=tmp_path / "s", compact_every=0)
    names = ("search", "list-scopes", "list-categories", "scope-info", "deep-recall")
    before = [fast_calls(routes, f"memory.{name}") for name in names]
    found = mine.search(memories.vector(2, 0))
    assert {record.content for record, _ in found} == {"mine"}
    assert mine.list_scopes("/") == ["/mine"]
    assert mine.get_scope_info("/").child_scopes == ["/mine"]
    assert mine.list_categories("/") == plain("list_categories")(mine, "/")
    assert {r.content for r in deep(mine)} == {"mine"}
    assert [fast_calls(routes, f"memory.{name}") for name in names] == before


def deep(storage):
    """The records that a deep recall's searches find."""
    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.query_embeddings = [("q", memories.vector(2, 0))]
    flow.state.candidate_scopes = ["/a", "/"]
    flow.state.limit, flow.state.include_private = 5, True
    return [record for finding in flow._do_search() for record, _ in finding["results"]]


@pytest.mark.parametrize("holder", ["storage", "class"])
@pytest.mark.parametrize("name", ["search", "_row_to_record"])
def test_a_deep_recall_meets_what_is_patched(storage, holder, name):
    assert deep(storage)
    found = storage if holder == "storage" else LanceDBStorage
    with patch.object(found, name, fails):
        assert deep(storage) == []  # CrewAI leaves out scopes whose search fails


def test_searches_wait_while_the_table_is_followed(storage, routes):
    """Rows that were touched and a new one are applied in one piece."""
    table = TABLES.of(storage)
    native = table._native
    storage.touch_records(["id1", "id3"])
    inside, go_on = threading.Event(), threading.Event()
    apply = table._apply

    def slowly(handle):
        inside.set()
        assert go_on.wait(20)
        apply(handle)

    found = []
    with patch.object(table, "_apply", slowly):
        threads = [
            threading.Thread(target=lambda: found.append(storage.search(memories.vector(2, 0))))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        assert inside.wait(20)
        threads[0].join(0.2)
        assert not found
        go_on.set()
        for thread in threads:
            thread.join()
    expected = memories.shown(plain("search")(storage, memories.vector(2, 0)))
    assert [memories.shown(one) for one in found] == [expected] * 3
    assert table._native is native


def test_nothing_is_followed_while_a_search_runs(storage):
    """Between a search's look at the version and its hits the rows stay as they are."""
    table = TABLES.of(storage)
    current, apply = table.current, table._apply
    applied, early = threading.Event(), []
    other = threading.Thread(target=lambda: storage.search(memories.vector(2, 1)))

    def then_another(*arguments):
        native = current(*arguments)
        if other.ident is None:
            storage.touch_records(["id1"])
            other.start()
            early.append(applied.wait(0.5))  # an exception here would only be a fallback
        return native

    def noticed(handle):
        apply(handle)
        applied.set()

    with patch.object(table, "current", then_another), patch.object(table, "_apply", noticed):
        assert storage.search(memories.vector(2, 0))
        other.join()
    assert early == [False] and applied.is_set()
    both(storage, memories.vector(2, 0))


def test_a_table_made_again_under_its_name_is_another(tmp_path, routes):
    """The handle's version may be the same number: its file tells."""
    path = tmp_path / "s"
    storage = memories.build(path, 2)
    both(storage, memories.vector(2, 0))
    shutil.rmtree(path / "memories.lance")
    other = memories.build(path, 2, seed=1)
    assert other._table.version == storage._table.version
    both(storage, memories.vector(2, 0))
    both(other, memories.vector(2, 0))
