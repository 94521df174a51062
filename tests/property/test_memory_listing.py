"""Lists of records, from RAM and from LanceDB's rows, against CrewAI's own."""

import datetime
import random
import shutil
import struct
from unittest.mock import patch

import pytest
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import memories

from fast_crewai._core import MemoryMirror
from fast_crewai.hooks.areas import memory_listing
from fast_crewai.hooks.areas.memory_storage import TABLES

pytestmark = pytest.mark.usefixtures("routes")

SCOPES = (None, "/", "/a", "a", "/é", "/nothing", "/a%b")
PAGES = ((200, 0), (3, 0), (3, 2), (1, 19), (5, 500), (0, 0), (2, -1), (1000, 4))


def compare(storage, scopes=SCOPES, pages=PAGES):
    plain = LanceDBStorage.list_records.__wrapped__
    for scope in scopes:
        for limit, offset in pages:
            expected = memories.outcome(plain, storage, scope, limit, offset)
            assert memories.outcome(storage.list_records, scope, limit, offset) == expected


def load(storage):
    storage.search(memories.vector(2, 0))
    native = TABLES.of(storage)._native
    assert native is not None
    return native


@pytest.fixture
def storage(template, tmp_path):
    shutil.copytree(template, tmp_path / "s")
    return LanceDBStorage(path=tmp_path / "s", compact_every=0)


def add(storage, times, scope="/a"):
    """Records of these ages, in seconds."""
    made = [memories.record(random.Random(n), 300 + n, 21) for n in range(len(times))]
    for record, age in zip(made, times, strict=True):
        record.scope = scope
        record.created_at = memories.NOW + datetime.timedelta(seconds=age)
    storage.save(made)


def test_in_ram_and_not(storage, routes):
    add(storage, range(40), "/a/new")
    before = routes["memory.list"].tally.fallbacks
    compare(storage)
    assert routes["memory.list"].tally.fallbacks == before
    load(storage)
    before = routes["memory.list"].tally.fallbacks
    with patch.object(memory_listing, "_queried", side_effect=AssertionError("not in RAM")):
        compare(storage, ("/a/new",), ((3, 0), (5, 10), (30, 9), (100, 0)))
    assert routes["memory.list"].tally.fallbacks == before
    compare(storage)
    compare(storage, ("/a/new",))


@pytest.mark.parametrize("page", [(2, 0), (3, 1), (1, 2), (1, 3), (2, 3)])
def test_equal_times_are_left_to_lance(storage, page):
    add(storage, (5, 4, 3, 3, 2, 1), "/tied")
    load(storage)
    limit, offset = page
    decided = page == (2, 0)  # else one of the two equal ones is on the page, and another isn't
    with patch.object(memory_listing, "_queried", return_value=[]) as queried:
        found = storage.list_records("/tied", limit, offset)
    assert queried.called != decided
    assert len(found) == (limit if decided else 0)
    compare(storage, ("/tied",), (page,))


def test_after_any_writes(template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(memories.PROGRAMS, st.booleans())
    def check(program, searches):
        shutil.rmtree(folder / "s", ignore_errors=True)
        shutil.copytree(template, folder / "s")
        storage = LanceDBStorage(path=folder / "s", compact_every=0)
        load(storage)
        for _ in memories.written(storage, folder / "s", program):
            compare(storage, (None, "/a"), ((200, 0), (3, 0), (2, 3)))
            if searches:
                storage.search(memories.vector(2, 0))

    check()


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("created_at", text) for text in ("soon", "", "2026", "2026-01-01T00:00:00Z")),
        *(("categories_str", text) for text in ('"text"', "[1]", "{", "", "null", None)),
        *(("metadata_str", text) for text in ("[]", "{", "", '{"k": [1]}', None)),
        *(("importance", number) for number in (7.0, -1.0, float("nan"), None)),
        *(("source", "u"), ("source", None), ("private", None), ("content", None)),
    ],
)
def test_odd_values(storage, column, value, loaded):
    row = storage._record_to_row(memories.record(random.Random(1), 300, 21))
    storage._table.add([{**row, column: value, "scope": "/odd"}])
    if loaded:
        storage.search(memories.vector(2, 0))
    compare(storage, ("/odd", None), ((200, 0),))


class Mine(LanceDBStorage):
    def _row_to_record(self, row):
        return row["id"]


def test_what_is_replaced_is_called(storage, tmp_path):
    load(storage)
    mine = Mine(path=tmp_path / "s", compact_every=0)
    assert all(type(found) is str for found in mine.list_records())
    with patch.object(LanceDBStorage, "_row_to_record", lambda self, row: 7):
        assert set(storage.list_records(limit=3)) == {7}
    storage._row_to_record = lambda row: 8
    assert set(storage.list_records(limit=3)) == {8}


def test_records_have_lists_of_their_own(storage):
    load(storage)
    first, second = (storage.list_records(limit=2) for _ in range(2))
    first[0].embedding.append(1.0)
    first[0].categories.append("mine")
    first[0].metadata["mine"] = 1
    assert memories.shown(second) == memories.shown(storage.list_records(limit=2))


def test_a_row_in_another_ones_place_has_its_own_vector(storage):
    """Vectors are kept as floats by place."""
    native = load(storage)
    ids = []
    for number in range(12):
        made = memories.record(random.Random(number), 500 + number, 21)
        made.created_at = memories.NOW + datetime.timedelta(seconds=number)
        made.scope = "/new"
        storage.save([made])
        ids.append(made.id)
        with patch.object(memory_listing, "_queried", side_effect=AssertionError("not in RAM")):
            compare(storage, ("/new",), ((200, 0),))
        if number % 3:
            storage.delete(record_ids=[ids.pop(number % 2)])
    assert TABLES.of(storage)._native is native


def test_more_vectors_than_are_kept():
    big = MemoryMirror(1 << 16)
    rows = 20  # eight fit
    offsets = b"".join((4 * n).to_bytes(4, "little") for n in range(rows + 1))
    columns = [(offsets, "".join(f"{n:04}" for n in range(rows)).encode())] * 8
    vectors = struct.pack(f"<{rows << 16}f", *(n % 1000 for n in range(rows << 16)))
    big.add(
        struct.pack(f"<{rows}Q", *range(rows)), vectors, bytes(8 * rows), [False] * rows, columns
    )
    for size in (3, 8, 5, 20, 7):
        for offset in (0, 2, 9):
            found = big.newest(None, offset, size)
            for row in found:
                place = int(row[0]) << 16
                assert row[10][:3] == [float((place + n) % 1000) for n in range(3)]
                assert len(row[10]) == 1 << 16
                row[10].clear()
