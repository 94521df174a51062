"""What is counted in RAM against CrewAI's own counting."""

import inspect
import json
import random
import shutil
import struct
import sys
from unittest.mock import patch

import pytest
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import memories

from fast_crewai._core import Declined, MemoryMirror
from fast_crewai.hooks.areas.memory_scan import Columns
from fast_crewai.hooks.areas.memory_storage import TABLES

WHAT = ("list_scopes", "get_scope_info", "list_categories")
SCOPES = (*memories.SCOPES, "/a/", "//", "/nothing", "/a/b/", "é")


pytestmark = pytest.mark.usefixtures("routes")


def compare(storage, scopes=SCOPES):
    for what in WHAT:
        plain = getattr(LanceDBStorage, what).__wrapped__
        for scope in scopes:
            expected = memories.outcome(plain, storage, scope)
            found = memories.outcome(getattr(storage, what), scope)
            assert repr(found) == repr(expected), (what, scope)


def load(storage, size=2):
    storage.search(memories.vector(size, 0))
    return TABLES.of(storage)._native


@pytest.mark.parametrize("size", [0, 2, 3, 4])
def test_every_scope(tmp_path, size):
    storage = memories.build(tmp_path / "s", size)
    compare(storage)
    assert load(storage, size) is not None
    with patch.object(Columns, "scan", side_effect=AssertionError("not in RAM")):
        storage.list_scopes("/")
        storage.get_scope_info("/")
    compare(storage)


def test_after_any_writes(template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(memories.PROGRAMS, st.booleans())
    def check(program, searches):
        shutil.rmtree(folder / "s", ignore_errors=True)
        shutil.copytree(template, folder / "s")
        storage = LanceDBStorage(path=folder / "s", compact_every=0)
        load(storage)
        for _ in memories.written(storage, folder / "s", program):
            compare(storage, ("/", "/a", "/é"))
            if searches:
                load(storage)

    check()


def test_a_table_that_grows_is_followed(template, tmp_path):
    shutil.copytree(template, tmp_path / "s")
    storage = LanceDBStorage(path=tmp_path / "s", compact_every=0)
    native = load(storage)
    records = [memories.record(random.Random(n), 200 + n, 21) for n in range(3)]
    storage.save([record.model_copy(update={"scope": "/new/x"}) for record in records])
    with patch.object(Columns, "scan", side_effect=AssertionError("not in RAM")):
        assert storage.get_scope_info("/new").record_count == 3
        assert "/new" in storage.list_scopes("/")
    assert TABLES.of(storage)._native is native


TIMES = (
    *("2026-02-30T00:00:00", "2026-01-01 00:00:00", "2026-01-01T00:00:00+02:00"),
    *("soon", "", "2026", "2027-01-01T00:00:00.500", "1999-12-31T23:59:59"),
    "2026-01-01T00:00:00Z",
)
LABELS = ('"text"', "[1, [2]]", "{", "", "null", '{"k": 1}', "[1, 2]")


@pytest.mark.parametrize(
    ("column", "text"),
    [("created_at", time) for time in TIMES] + [("categories_str", labels) for labels in LABELS],
)
def test_values_of_other_forms(template, tmp_path, column, text):
    shutil.copytree(template, tmp_path / "s")
    storage = LanceDBStorage(path=tmp_path / "s", compact_every=0)
    row = storage._record_to_row(memories.record(random.Random(1), 300, 21))
    storage._table.add([{**row, column: text, "scope": "/a"}])
    load(storage)
    compare(storage, ("/", "/a", "/é"))


@pytest.fixture
def at_most(routes):
    """Make CrewAI's scans read no more than a number of rows: ours, too, which decline if the
    number isn't the one that they were switched on with."""
    module = sys.modules[LanceDBStorage.__module__]
    scan = inspect.unwrap(LanceDBStorage._scan_rows)
    prefix, _, columns = scan.__defaults__
    states = [routes[f"memory.{name}"] for name in ("list-scopes", "list-categories", "scope-info")]

    def watch():
        for state in states:
            state.dispatcher.watch()

    def limit(rows):
        patched.setattr(module, "_SCAN_ROWS_LIMIT", rows)
        patched.setattr(scan, "__defaults__", (prefix, rows, columns))
        watch()

    with pytest.MonkeyPatch.context() as patched:
        yield limit
    watch()
    reasons = [reason for state in states for reason in state.tally.reasons]
    assert not [reason for reason in reasons if reason.startswith("patched: _SCAN")]


def test_the_rows_that_a_scan_reads_first(template, tmp_path_factory, at_most):
    folder = tmp_path_factory.mktemp("first")

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(memories.PROGRAMS, st.integers(0, 40), st.booleans())
    def check(program, rows, indexed):
        shutil.rmtree(folder / "s", ignore_errors=True)
        shutil.copytree(template, folder / "s")
        storage = LanceDBStorage(path=folder / "s", compact_every=0)
        if indexed:
            storage._ensure_scope_index()
        load(storage)
        for _ in memories.written(storage, folder / "s", program):
            for limit in (rows, 3 * rows):
                at_most(limit)
                compare(storage, ("/", "/a", "/é"))
            load(storage)

    check()


def test_the_first_rows_are_counted_in_ram(template, tmp_path, at_most):
    shutil.copytree(template, tmp_path / "s")
    storage = LanceDBStorage(path=tmp_path / "s", compact_every=0)
    native = load(storage)
    storage.touch_records([row["id"] for row in storage._scan_rows(limit=5)])  # now they come last
    storage.save([memories.record(random.Random(3), 400, 21)])
    all_rows = native.summary(None, 10**6)[0]
    for rows in (1, 5, all_rows - 1, all_rows, all_rows + 1):
        at_most(rows)
        compare(storage, ("/", "/a"))
        with patch.object(Columns, "scan", side_effect=AssertionError("not in RAM")):
            storage.list_scopes("/")
            found = storage.get_scope_info("/")
        assert found.record_count == min(rows, all_rows + 1)
    assert TABLES.of(storage)._native is native


@pytest.mark.parametrize("ids", [(5, 7), (7, 5)])
def test_rows_in_another_order_than_their_ids_are_left_to_lance(ids):
    mirror = MemoryMirror(1)
    for number in ids:
        text = (struct.pack("<2i", 0, 1), b"%d" % number)
        half = struct.pack("<d", 0.5)
        row_id, vector = struct.pack("<Q", number), struct.pack("<f", number)
        mirror.add(row_id, vector, half, [False], [text] * 8)
    with pytest.raises(Declined):
        mirror.summary(None, 1)
    mirror.scanned()
    if ids == (7, 5):
        with pytest.raises(Declined):
            mirror.summary(None, 1)
    else:
        with pytest.raises(Declined, match="time"):  # it knew which one
            mirror.summary(None, 1)


def test_a_subclass_needs_no_hash(tmp_path):
    class Own(LanceDBStorage):
        __hash__ = None

    storage = Own(path=tmp_path / "s", vector_dim=3, compact_every=0)
    storage.save([memories.record(random.Random(1), 1, 3)])
    storage.touch_records(["id1"])
    with patch.object(type(TABLES), "known", side_effect=AssertionError("asked")):
        compare(storage, ("/", "/a"))
    assert storage.delete(categories=["none"]) == 0
    assert storage.delete(record_ids=["id1"]) == 1


def test_another_decoder_reads_the_labels(template):
    storage = LanceDBStorage(path=template, compact_every=0)
    load(storage)
    with patch.object(json.JSONDecoder, "decode", side_effect=lambda text, **options: ["mine"]):
        assert storage.get_scope_info("/").categories == ["mine"]
        compare(storage, ("/", "/a"))
