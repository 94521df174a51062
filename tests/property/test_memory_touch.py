"""FAST_CREWAI_FIX=memory-files: compaction that counts touches; a store holds what it held.

LanceDB may put rows in another order then, which is why it must be asked for.
"""

import logging
import random
import shutil
import threading
import warnings
from datetime import timedelta
from unittest.mock import patch

import pytest
from crewai.memory.storage import lancedb_storage
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lancedb.table import AsyncTable, LanceTable
from strategies import memories

import fast_crewai

SIZE = 2  # of memories.SIZES: 40 records of 21 numbers

pytestmark = pytest.mark.usefixtures("corrected")


@pytest.fixture(scope="module")
def corrected():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAST_CREWAI_FIX", "memory-files")
        fast_crewai.install()
        yield
        fast_crewai.uninstall()


@pytest.fixture
def opened(template, tmp_path):
    """A storage that compacts at every second touch."""
    shutil.copytree(template, tmp_path / "store")
    return storage_at(tmp_path / "store")


def storage_at(path, every=2):
    storage = LanceDBStorage(path=path, compact_every=0)  # else it compacts in a thread now
    storage._compact_every = every
    storage._save_count = 0.5  # saves never compact
    return storage


def rows_of(storage):
    rows = storage._table.search().limit(1000).to_list()
    return sorted(rows, key=lambda row: row["id"])


def compacts(storage, touches=4):
    """Whether so many touches of one record make more versions than their own."""
    before = storage._table.version
    for _ in range(touches):
        storage.touch_records(["id1"])
    return storage._table.version > before + touches


def plain_touch(storage, ids):
    LanceDBStorage.touch_records.__wrapped__(storage, ids)


names = st.integers(0, 60).map(lambda n: f"id'{n}" if n % 7 == 0 else f"id{n}")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("touch"), st.lists(names, min_size=1, max_size=6)),
        st.tuples(st.just("touch"), st.lists(names, min_size=1, max_size=6)),
        st.tuples(st.just("save"), st.integers(0, 30)),
        st.tuples(st.just("delete"), st.lists(names, min_size=1, max_size=3)),
    ),
    min_size=4,
    max_size=14,
)


def test_rows_and_searches_are_those_without_us(template, tmp_path):
    versions = []

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps)
    def check(program):
        sides = []
        for side in ("on", "off"):
            path = tmp_path / side
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(template, path)
            storage = storage_at(path, 2 if side == "on" else 0)
            sides.append((storage, storage.touch_records if side == "on" else None))
        (ours, touch), (theirs, _) = sides
        with patch.object(lancedb_storage, "datetime", memories.Frozen):
            for what, given_ in program:
                if what == "touch":
                    touch(given_)
                    plain_touch(theirs, given_)
                else:
                    for storage in (ours, theirs):
                        if what == "save":
                            rng = random.Random(given_)
                            storage.save([memories.record(rng, 100 + given_, 21)])
                        else:
                            storage.delete(record_ids=given_)
                assert rows_of(ours) == rows_of(theirs)
                for scope in (None, "/a"):
                    query = memories.vector(SIZE, len(program))
                    found = memories.outcome(ours.search, query, scope)
                    assert found == memories.outcome(
                        LanceDBStorage.search.__wrapped__, theirs, query, scope
                    )
        versions.append(ours._table.version - theirs._table.version)

    check()
    assert max(versions) > 0  # there were compactions


def test_only_if_asked_for(template, tmp_path, monkeypatch):
    shutil.copytree(template, tmp_path / "store")
    storage = storage_at(tmp_path / "store")
    monkeypatch.delenv("FAST_CREWAI_FIX")
    fast_crewai.install()
    try:
        assert not compacts(storage, 6)
    finally:
        monkeypatch.undo()
        fast_crewai.install()
    assert compacts(storage)


def test_fragments_stay_few(opened):
    for number in range(12):
        opened.touch_records([f"id{number + 15}"])
    assert opened._table.stats()["fragment_stats"]["num_fragments"] <= 3


def test_not_more_than_touches_have_written_themselves(tmp_path):
    storage = storage_at(tmp_path / "store", every=2)
    rng = random.Random(0)
    storage._ensure_table(384)
    storage.save([memories.record(rng, n, 384) for n in range(1, 200)])  # 300 kB
    assert not compacts(storage, 10)
    assert compacts(storage, 60)


def test_older_versions_stay(opened):
    version, rows = opened._table.version, rows_of(opened)
    other = storage_at(opened._path)
    assert compacts(opened)
    assert rows_of(other) == rows
    other._table.checkout(version)
    assert rows_of(other) == rows


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [(None, None), ("5", 5), ("0", 1), ("x", None)],
)
def test_how_long_older_versions_stay(opened, monkeypatch, given_, wanted):
    if given_ is None:
        monkeypatch.delenv("FAST_CREWAI_MEMORY_VERSIONS", raising=False)
    else:
        monkeypatch.setenv("FAST_CREWAI_MEMORY_VERSIONS", given_)
    asked = []
    original = AsyncTable._do_optimize

    async def seen(self, *arguments):
        asked.append(arguments)
        return await original(self, *arguments)

    with patch.object(AsyncTable, "_do_optimize", seen):
        assert compacts(opened)
    milliseconds = wanted and timedelta(minutes=wanted) // timedelta(milliseconds=1)
    assert set(asked) == {(milliseconds, False)}


def test_switched_off_with_crewais(opened):
    opened._compact_every = 0
    assert not compacts(opened, 6)


def test_saves_are_counted_as_before(opened):
    with patch.object(LanceDBStorage, "_compact_async") as called:
        assert compacts(opened, 4)
    called.assert_not_called()


def test_nobody_hears_of_it(opened, caplog):
    threads = threading.active_count()
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert compacts(opened)
    assert not [r for r in caplog.records if "lancedb" in r.name or "memory" in r.name]
    assert not [w for w in told if "optimize" in str(w.message)]
    assert threading.active_count() == threads


def test_a_failure_is_not_the_touchs(opened):
    async def fails(self, *arguments):
        calls.append(1)
        raise OSError("disk full")

    calls = []
    with (
        patch.object(AsyncTable, "_do_optimize", fails),
        patch.object(lancedb_storage, "datetime", memories.Frozen),
    ):
        assert not compacts(opened, 6)
    assert len(calls) in (2, 3)  # tried again when it is due again, not at once
    assert opened.get_record("id1").last_accessed == memories.NOW
    assert compacts(opened)


def test_a_touch_that_fails_counts_nothing(opened):
    with patch.object(LanceDBStorage, "_do_write", side_effect=OSError("no")) as write:
        for _ in range(3):
            with pytest.raises(OSError, match="no"):
                opened.touch_records(["id1"])
    assert write.call_count == 3


def test_a_patched_optimize_is_not_called(opened):
    with patch.object(LanceTable, "optimize") as called:
        assert not compacts(opened, 6)
    opened._table.optimize = called
    assert not compacts(opened, 6)
    called.assert_not_called()


def test_subclasses_are_left_alone(template, tmp_path):
    class Mine(LanceDBStorage):
        pass

    shutil.copytree(template, tmp_path / "store")
    storage = Mine(path=tmp_path / "store", compact_every=0)
    storage._compact_every = 2
    assert not compacts(storage, 6)
