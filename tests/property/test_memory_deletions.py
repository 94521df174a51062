"""Deletions by category or metadata, which read no vectors, against CrewAI's own."""

import datetime
import json
import random
import shutil
import sys
from unittest.mock import patch

import pytest
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from strategies import memories

from fast_crewai.hooks.areas import memory_delete
from fast_crewai.hooks.areas.memory_storage import TABLES

pytestmark = pytest.mark.usefixtures("routes")


@pytest.fixture
def stores(template, tmp_path):
    """Two equal stores."""
    for name in ("ours", "plain"):
        shutil.copytree(template, tmp_path / name)
    made = [LanceDBStorage(path=tmp_path / name, compact_every=0) for name in ("ours", "plain")]
    for storage in made:
        storage.search(memories.vector(2, 0))
    assert TABLES.of(made[0])._native is not None
    return made


def rows(storage):
    found = storage._table.search().limit(1000).to_list()
    return [(row["id"], row["vector"]) for row in found]


def both(stores, **wishes):
    ours, plain = stores
    found = memories.outcome(ours.delete, **wishes)
    assert found == memories.outcome(LanceDBStorage.delete.__wrapped__, plain, **wishes)
    assert rows(ours) == rows(plain)
    return found


def columns_read():
    """The columns that LanceDB is asked for, query by query."""
    from lancedb.query import LanceEmptyQueryBuilder

    asked = []
    original = LanceEmptyQueryBuilder.to_batches

    def to_batches(self, *arguments, **options):
        asked.append(self._columns)
        return original(self, *arguments, **options)

    return asked, patch.object(LanceEmptyQueryBuilder, "to_batches", to_batches)


def test_no_vectors_are_read(stores):
    asked, watched = columns_read()
    with watched:
        stores[0].delete(categories=["x"])
    assert len(asked) == 1
    assert "vector" not in asked[0]
    assert "categories_str" in asked[0]


def test_nothing_is_read_for_categories_that_nobody_has(stores):
    asked, watched = columns_read()
    with watched:
        assert stores[0].delete(categories=["none", "X"]) == 0
    assert not asked
    assert both(stores, categories=["none", "X"]) == (int, 0)


def test_only_rows_with_one_of_the_categories_become_records(stores):
    storage = stores[0]
    has = {
        row["id"]
        for row in storage._table.search().limit(1000).to_list()
        if "\\u00e9" in row["categories_str"] or '"y"' in row["categories_str"]
    }
    native = TABLES.of(storage)._native
    assert set(native.labelled(None, ["é", "y"])) == has
    assert 0 < len(has) < len(native)
    assert set(native.labelled("/a", ["é", "y"])) < has


KINDS = (
    {"categories": ["x"]},
    {"categories": ["é", "none"]},
    {"categories": ("y",)},
    {"categories": ["x", ""], "metadata_filter": {"k": 1}},
    {"categories": ["y"], "older_than": memories.NOW - datetime.timedelta(days=30)},
    {"metadata_filter": {"k": 1}},
)


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("scope", [None, "/", "/a", "/é", "/a%b"])
def test_what_is_left(stores, what, scope):
    kind, count = both(stores, scope_prefix=scope, **what)
    assert kind is int and (count or scope not in (None, "/"))


ODD = {
    "importance": (7.0,),
    "created_at": ("soon", "2026-02-30T00:00:00", "2026-01-01T00:00:00Z"),
    "last_accessed": ("soon", "2026-02-30T00:00:00", ""),
    "categories_str": ("{", "null", "[1]", '["\\ud800"]', '"x"', ""),
    "metadata_str": ("{", "[]", '{"\\ud800": 1}', '{"k": NaN}', '{"k": ' + "1" * 4301 + "}", ""),
}


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize(("column", "value"), [(c, v) for c in ODD for v in ODD[c]])
def test_a_row_that_is_no_record_is_as_without_us(stores, column, value, loaded):
    """Even if it has none of the categories; but not if it is in another scope."""
    for storage in stores:
        row = storage._record_to_row(memories.record(random.Random(1), 300, 21))
        row = {**row, "categories_str": "[]", "scope": "/odd", column: value}
        storage._table.add([row])
        TABLES.of(storage).drop()
        for _ in range(8 * loaded):
            memories.outcome(storage.search, memories.vector(2, 0))
    for wishes in ({"scope_prefix": "/a"}, {"metadata_filter": {"k": 2}}, {}):
        both(stores, categories=["x"], **wishes)
    both(stores, metadata_filter={"k": 2})


def test_what_one_scan_reads_is_the_limit(stores):
    """CrewAI looks at so many rows, in Lance's order; the others stay."""
    scan = LanceDBStorage._scan_rows
    with patch.object(scan, "__defaults__", (None, 7, None)):
        asked, watched = columns_read()
        with watched:
            both(stores, categories=["x", "y", "é", ""])
    assert "vector" not in asked[0]


class Mine(LanceDBStorage):
    def _row_to_record(self, row):
        return super()._row_to_record({**row, "categories_str": '["x"]' if row["vector"] else ""})


def test_overrides_get_all_that_a_row_has(stores, tmp_path):
    mine = Mine(path=tmp_path / "ours", compact_every=0)
    count = mine._table.count_rows()
    assert mine.delete(categories=["x"]) == count


def test_patched_readers_get_all_that_a_row_has(stores):
    seen = []
    original = LanceDBStorage._row_to_record

    def look(self, row):
        seen.append(row["vector"])
        return original(self, row)

    with patch.object(LanceDBStorage, "_row_to_record", look):
        stores[0].delete(categories=["x"])
    with patch.object(stores[0], "_row_to_record", lambda row: look(stores[0], row)):
        stores[0].delete(categories=["y"])
    assert seen and all(len(vector) == 21 for vector in seen)


def test_a_vector_that_lacks_a_number_makes_no_record(stores):
    for storage in stores:
        row = storage._record_to_row(memories.record(random.Random(1), 300, 21))
        storage._table.add([{**row, "vector": [None, *row["vector"][1:]]}])
        for _ in range(8):
            memories.outcome(storage.search, memories.vector(2, 0))
    kind, _ = both(stores, categories=["x"])
    assert issubclass(kind, ValueError)


@pytest.mark.parametrize("what", KINDS)
@pytest.mark.parametrize("lacking", [False, True])
def test_what_is_not_in_ram_is_read_with_its_vectors(stores, what, lacking):
    for storage in stores:
        if lacking:
            row = storage._record_to_row(memories.record(random.Random(1), 300, 21))
            storage._table.add([{**row, "vector": [None, *row["vector"][1:]]}])
        TABLES.of(storage).drop()
    asked, watched = columns_read()
    with watched:
        kind, _ = both(stores, **what)
    assert asked and not any(asked)
    assert issubclass(kind, ValueError) == lacking


def test_vectors_do_not_become_lists_of_numbers(stores):
    storage = stores[0]
    TABLES.of(storage).drop()
    read = memory_delete._without_vectors
    with patch.object(memory_delete, "_without_vectors", wraps=read) as asked:
        storage.delete(categories=["x"])
    assert asked.called
    seen = read(storage._table.search().limit(5))
    assert len(seen) == 5 and not any("vector" in row for row in seen)


@pytest.mark.skipif(not hasattr(sys, "set_int_max_str_digits"), reason="a newer Python's")
def test_a_lower_limit_of_digits_is_as_without_us(stores):
    for storage in stores:
        row = storage._record_to_row(memories.record(random.Random(1), 300, 21))
        digits = '{"k": ' + "1" * 700 + "}"
        storage._table.add([{**row, "categories_str": "[]", "metadata_str": digits}])
        for _ in range(8):
            memories.outcome(storage.search, memories.vector(2, 0))
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        kind, _ = both(stores, categories=["x"])
    finally:
        sys.set_int_max_str_digits(limit)
    assert kind is ValueError


def test_another_decoder_reads_all_rows(stores):
    with patch.object(json.JSONDecoder, "decode", side_effect=RuntimeError("ours")):
        kind, _ = both(stores, categories=["nobody has it"])
    assert kind is RuntimeError
