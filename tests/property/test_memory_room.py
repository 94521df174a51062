"""How much RAM tables of memories may take: beyond it, and when RAM is short, CrewAI searches."""

import random
from unittest.mock import patch

import pytest
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from strategies import memories

from fast_crewai.hooks.areas import memory_mirror, memory_room
from fast_crewai.hooks.areas.memory_storage import TABLES

OVER = "more than FAST_CREWAI_MEMORY_MB"
SHORT = "RAM is short"


pytestmark = pytest.mark.usefixtures("routes")


@pytest.fixture(autouse=True)
def of_its_own(monkeypatch):
    """Tables of other tests' storages take no part."""
    monkeypatch.setattr(TABLES, "_tables", type(TABLES._tables)())
    monkeypatch.setattr(TABLES, "_pressure", memory_room.Pressure())


def search(storage, seed=0):
    plain = LanceDBStorage.search.__wrapped__
    query = memories.vector(2, seed)
    found = memories.outcome(storage.search, query)
    assert found == memories.outcome(plain, storage, query)
    assert found


def in_ram(storage):
    return TABLES.of(storage)._native is not None


def declined(routes, reason):
    return routes["memory.search"].tally.reasons.get(reason, 0)


def test_nothing_is_loaded_before_the_first_search(tmp_path):
    storage = memories.build(tmp_path / "s", 2)
    storage.touch_records(["id1"])
    storage.list_scopes("/")
    assert TABLES.known(storage) is None
    search(storage)
    assert in_ram(storage)


def test_the_second_table_finds_no_room(tmp_path, routes, monkeypatch):
    one, two = memories.build(tmp_path / "1", 2), memories.build(tmp_path / "2", 2)
    monkeypatch.setattr(memory_mirror, "_PER_ROW", (1 << 20) // 30)  # each about 1.3 MB
    monkeypatch.setenv("FAST_CREWAI_MEMORY_MB", "2")
    left = declined(routes, OVER)
    search(one)
    search(two)
    assert in_ram(one) and not in_ram(two)
    assert declined(routes, OVER) == left + 1
    TABLES.of(one).drop()
    search(two)
    assert in_ram(two)
    search(one)
    assert not in_ram(one)


def test_room_is_given_back_by_what_failed_to_load(tmp_path, monkeypatch):
    storage = memories.build(tmp_path / "1", 2)
    with patch.object(memory_mirror, "_add", side_effect=ZeroDivisionError):
        search(storage)
    assert not in_ram(storage)
    assert TABLES.of(storage).size == 0


def test_a_table_that_grows_over_the_limit_leaves(tmp_path, routes, monkeypatch):
    storage = memories.build(tmp_path / "1", 2)
    monkeypatch.setattr(memory_mirror, "_PER_ROW", (1 << 20) // 30)
    monkeypatch.setenv("FAST_CREWAI_MEMORY_MB", "2")
    search(storage)
    rows = storage._table.count_rows()
    size = TABLES.of(storage).size
    left = declined(routes, OVER)
    record = memories.record(random.Random(1), 1, 21)
    storage.save([record.model_copy(update={"id": f"new{n}"}) for n in range(2)])
    search(storage)
    assert in_ram(storage)
    assert TABLES.of(storage).size == size * (rows + 2) // rows
    storage.save([record.model_copy(update={"id": f"more{n}"}) for n in range(40)])
    for _ in range(8):
        search(storage)
    assert not in_ram(storage) and not TABLES.of(storage).size
    assert declined(routes, OVER) > left


def test_what_is_in_ram_goes_when_ram_is_short(tmp_path, routes, monkeypatch):
    one, two = memories.build(tmp_path / "1", 2), memories.build(tmp_path / "2", 2)
    search(one)
    search(two)
    assert in_ram(one) and in_ram(two)
    left = declined(routes, SHORT)
    monkeypatch.setattr(memory_room, "_EVERY", 0.0)
    free = memory_room.free()
    with patch.object(memory_room, "free", lambda: (10 << 20, 8 << 30)):
        search(one)
        assert not in_ram(one) and not in_ram(two)
        for _ in range(8):
            search(one)
    assert declined(routes, SHORT) > left + 1
    assert not in_ram(one)
    if free is None or memory_room.enough(1 << 20):
        for _ in range(8):
            search(one)
        assert in_ram(one)


def test_a_load_that_would_make_ram_short_is_left_alone(tmp_path, routes, monkeypatch):
    storage = memories.build(tmp_path / "1", 2)
    monkeypatch.setattr(memory_mirror, "_PER_ROW", 1 << 20)  # 39 MB
    left = declined(routes, SHORT)
    with patch.object(memory_room, "free", lambda: (90 << 20, 1 << 30)):
        search(storage)
        assert not in_ram(storage)
        assert declined(routes, SHORT) == left + 1
    with patch.object(memory_room, "free", lambda: (140 << 20, 1 << 30)):
        search(storage)
        assert in_ram(storage)


MACHINE = "MemTotal:  8000 kB\nMemFree: 1 kB\nMemAvailable:  5000 kB\nHugePages_Total: 0\n"
CACHED = "anon 5\ninactive_file 2048\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"meminfo": "odd"}, None),
        ({"meminfo": MACHINE}, (5000 << 10, 8000 << 10)),
        ({"meminfo": MACHINE, "memory.max": "max\n"}, (5000 << 10, 8000 << 10)),
        (
            {"meminfo": MACHINE, "memory.max": "4096000", "memory.current": "4000000"}
            | {"memory.stat": CACHED},
            (96_000 + 2048, 4096000),
        ),
        (
            {"meminfo": MACHINE, "memory.max": "99999999999", "memory.current": "5"}
            | {"memory.stat": CACHED},
            (5000 << 10, 8000 << 10),
        ),
    ],
)
def test_what_is_free(tmp_path, monkeypatch, files, expected):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory_room, "_MEMORY", str(tmp_path / "meminfo"))
    monkeypatch.setattr(memory_room, "_GROUP", str(tmp_path / "memory."))
    assert memory_room.free() == expected


def test_pressure_is_looked_up_seldom():
    looks = []
    with (
        patch.object(memory_room, "enough", lambda size: looks.append(size) or True),
        patch.object(memory_room, "_monotonic", iter((5.0, 5.5, 5.9, 6.1, 6.2)).__next__),
    ):
        pressure = memory_room.Pressure()
        assert [pressure.is_high() for _ in range(5)] == [False] * 5
    assert looks == [0, 0]
