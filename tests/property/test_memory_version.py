"""The version of a table, asked of LanceDB's native side, against ``LanceTable.version``."""

import asyncio
import os
import random
import shutil
import threading
from unittest.mock import patch

import pytest
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import memories

from fast_crewai.hooks.areas import memory_version
from fast_crewai.hooks.areas.memory_storage import TABLES
from fast_crewai.hooks.areas.memory_version import version_of

pytestmark = pytest.mark.usefixtures("routes")
STEPS = ("touch", "save", "delete", "other", "latest", "first", "restore")


@pytest.fixture
def storage(template, tmp_path):
    shutil.copytree(template, tmp_path / "s")
    return LanceDBStorage(path=tmp_path / "s", compact_every=0)


@pytest.fixture
def native():
    """Tried anew, and at the end again."""
    with patch.object(memory_version, "_native", memory_version._Native()) as fresh:
        yield fresh


def take(step, number, storage):
    if step == "touch":
        storage.touch_records([f"id{number}", "nobody's"])
    elif step == "save":
        storage.save([memories.record(random.Random(number), 900 + number, 21)])
    elif step == "delete":
        storage.delete(record_ids=[f"id{number}"])
    elif step == "other":
        other = LanceDBStorage(path=storage._path, compact_every=0)
        other.touch_records([f"id{number}"])
    elif step == "latest":
        storage._table.checkout_latest()
    elif step == "first":
        storage._table.checkout(1)
    else:
        storage._table.checkout(2)
        storage._table.restore()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 19)), max_size=8))
def test_it_is_the_handles(template, tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("version") / "s"
    shutil.copytree(template, path)
    storage = LanceDBStorage(path=path, compact_every=0)
    assert version_of(storage._table) == storage._table.version
    for step, number in steps:
        try:
            take(step, number, storage)
        except Exception as error:  # no writes while an old version is checked out
            assert "checked out" in str(error), error
        assert version_of(storage._table) == storage._table.version
    assert memory_version._native.kind is type(storage._table._table._inner)


def test_of_many_threads(storage):
    found = []

    def ask():
        found.extend(version_of(storage._table) for _ in range(200))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [storage._table.version] * 1600


def test_a_running_loop_stays(storage):
    async def ask():
        loop = asyncio.get_running_loop()
        found = version_of(storage._table)
        assert asyncio.get_running_loop() is loop
        await asyncio.sleep(0)
        return found

    assert asyncio.run(ask()) == storage._table.version
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


def test_failures_are_lancedbs(storage):
    expected = storage._table.version
    assert version_of(storage._table) == expected
    shutil.rmtree(storage._path)
    storage._table._table.close()
    theirs = memories.outcome(lambda: storage._table.version)
    assert memories.outcome(version_of, storage._table) == theirs
    assert "Error" in str(theirs)


class Inner:
    """A native table of another LanceDB's."""

    def __init__(self, answer):
        self._answer = answer

    def version(self):
        self._answer(asyncio.get_running_loop())


class Table:
    version = 7

    def __init__(self, answer):
        self._table = self
        self._inner = Inner(answer)


def right(loop):
    loop.call_soon_threadsafe(loop.create_future().set_result, 7)


def fails(loop):
    raise RuntimeError("no runtime")


def test_another_lancedb_is_asked_in_its_own_way(native):
    for answer in (
        lambda loop: None,
        lambda loop: loop.create_future().set_result(8),
        lambda loop: loop.create_future().set_exception(ValueError()),
        lambda loop: loop.create_task(None),
        fails,
    ):
        native.__init__()
        with patch.object(memory_version, "_TRIAL", 0.01):
            assert version_of(Table(answer)) == 7
        assert native.kind is None
        assert version_of(Table(right)) == 7  # not tried again
        assert native.kind is None


def test_who_no_longer_answers_is_asked_in_lancedbs_way(native):
    table = Table(right)
    assert version_of(table) == 7
    assert native.kind is Inner
    table._inner = Inner(lambda loop: None)
    with patch.object(memory_version, "_LONGEST", 0.01):
        assert version_of(table) == 7
    assert native.kind is None


def test_other_classes_are_not_asked_so(native):
    assert version_of(Table(right)) == 7
    other = Table(right)
    other._inner = type("Other", (), {"version": None})()
    assert version_of(other) == 7


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_asks_in_lancedbs_way(storage):
    version_of(storage._table)
    child = os.fork()
    if not child:
        os._exit(memory_version._native.kind is not None)
    assert os.waitpid(child, 0)[1] == 0


def test_a_patched_event_loop_of_lancedbs_sees_each_ask(storage):
    from lancedb.background_loop import BackgroundEventLoop

    own, seen = BackgroundEventLoop.run, []

    def run(self, future):
        seen.append(future.__qualname__)
        return own(self, future)

    storage.search(memories.vector(2, 0))
    assert TABLES.of(storage)._native is not None
    with patch.object(BackgroundEventLoop, "run", run):
        storage.search(memories.vector(2, 0))
    assert seen  # CrewAI's own search, by LanceDB's query
