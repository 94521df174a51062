"""FAST_CREWAI_FIX=kept-connections: what a program of uses does and sees, without us and with it.

The same but for the ``-wal`` and ``-shm`` while the process runs. The other process has no
connection open between its statements; what it would see between the removal of one of the three
files and CrewAI's next use isn't compared: SQLite takes the other two for the new file's.
"""

import json
import logging
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, nullcontext
from pathlib import Path
from unittest import mock

import pytest
from crewai.memory.storage import kickoff_task_outputs_storage as stored
from crewai.utilities.task_output_storage_handler import TaskOutputStorageHandler
from hypothesis import example, given
from hypothesis import strategies as st

import fast_crewai
from fast_crewai import engine
from fast_crewai.hooks.areas import kept_connections, kept_outputs

pytestmark = pytest.mark.skipif(not kept_connections.is_possible(), reason="not this platform")

_TABLE = "latest_kickoff_task_outputs"
_MEMORY = "/dev/shm"
_COLUMNS = "task_id, task_key, expected_output, output, task_index, inputs, was_replayed"
_ROWS = f"SELECT {_COLUMNS} FROM {_TABLE}"
_INSERT = f"INSERT OR REPLACE INTO {_TABLE} VALUES ('other', 'k', 'e', ?, 9, ?, 0, '2020')"
_OTHER = """
import json, sqlite3, sys
for line in sys.stdin:
    path, sql, values = json.loads(line)
    try:
        connection = sqlite3.connect(path, timeout=5)
        try:
            with connection:
                answer = connection.execute(sql, values).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        answer = str(error)
    print(json.dumps(answer), flush=True)
"""


class _Other:
    """Another process, which runs statements."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-c", _OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, path, sql, *values):
        print(json.dumps([path, sql, values]), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def end(self):
        self._process.communicate()


@pytest.fixture(scope="module")
def other():
    process = _Other()
    yield process
    process.end()


@pytest.fixture(scope="module")
def kept():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAST_CREWAI_FIX", "kept-connections")
        patch.setattr(kept_connections, "_FEW_BYTES", 1)  # room is made for few writes, too
        patch.setattr(kept_connections, "_STEP", 5000)
        fast_crewai.install()
    states = engine.registry().fixes
    names = [route.name for route in kept_outputs.ROUTES]
    assert {states[name].state for name in names} == {"active"}
    yield [states[name].tally for name in names]
    fast_crewai.uninstall()


class _Task:
    def __init__(self, name, store=None):
        self.id, self.expected_output, self._store = name, "e", store

    @property
    def key(self):
        if self._store == "fails":
            raise RuntimeError("no key")
        if self._store is not None:  # while the connection is in use
            return str(len(self._store.load()))
        return "key"


class _Records(logging.Handler):
    def __init__(self, seen):
        super().__init__()
        self._seen = seen

    def emit(self, record):
        self._seen.append((record.levelname, record.getMessage()))


class Program:
    """The steps, by name, on two handles of one file."""

    def __init__(self, folder, other):
        self.folder, self.other = Path(folder, "db"), other
        self.path = str(self.folder / "o.db")
        self.spare = str(Path(folder, "spare.db"))
        self.seen = []
        self.folder.mkdir()
        with fast_crewai.disabled():
            spare = self.new(self.spare)
            spare.storage.add(_Task("spare"), {"raw": "spare"}, 1)
        self.handles = [self.new(self.path), self.new(self.path)]

    @staticmethod
    def new(path):
        handler = TaskOutputStorageHandler.__new__(TaskOutputStorageHandler)
        handler.storage = stored.KickoffTaskOutputsSQLiteStorage(path)
        return handler

    def step(self, what, number, handle):
        then = _NEXT[number] if what in _ONE_FILE else "names_"
        for name in (what, then):
            try:
                self.seen.append(getattr(self, name)(number, self.handles[handle]))
            except Exception as error:
                chain = type(error.__cause__), type(error.__context__)
                self.seen.append((type(error), str(error).replace(str(self.folder), ""), *chain))
        found = self.other.run(self.path, f"{_ROWS} ORDER BY rowid") if self.there() else None
        self.seen.append((what, found, self.names()))

    def names_(self, number, handler):
        return self.names()

    def there(self):
        return Path(self.path).exists()

    def names(self):
        names = {path.name for path in self.folder.glob("*")} if self.folder.exists() else None
        return names and sorted(names - {"o.db-wal", "o.db-shm"})

    # ------------------------------------------------------------------ CrewAI's uses

    def add(self, number, handler, store=None, output=None):
        output = {"raw": f"{number}" * 9} if output is None else output
        handler.storage.add(_Task(f"a{number}", store), output, number, inputs={"n": number})

    def add_and_load(self, number, handler):
        self.add(number, handler, handler.storage)

    def add_that_fails(self, number, handler):
        self.add(number, handler, "fails")

    def add_what_cannot_be_written(self, number, handler):
        self.add(number, handler, None, {"x": object()})

    def add_a_number(self, number, handler):
        self.add(number, handler, None, number)  # a damaged row: the column makes it an integer

    def add_nan(self, number, handler):
        self.add(number, handler, None, {"x": float("nan")})

    def add_much(self, number, handler):
        self.add(number, handler, None, {"raw": "x" * 300_000})

    def log(self, number, handler, **changes):
        log = {"task": _Task(f"l{number}"), "output": {"raw": "é"}, "task_index": number}
        handler.update(number, {**log, "inputs": {}, "was_replayed": False, **changes})

    def log_again(self, number, handler):
        self.log(number, handler)
        self.log(number, handler)
        self.log(number + 10, handler)

    def log_a_number(self, number, handler):
        self.log(number, handler, output=number)

    def log_that_fails(self, number, handler):
        self.log(number, handler, task=_Task("f", "fails"))

    def log_that_loads(self, number, handler):
        self.log(number, handler, task=_Task(f"r{number}", handler.storage))

    def log_with_many_digits(self, number, handler):
        """What can be decoded depends on a limit that may change."""
        if not hasattr(sys, "set_int_max_str_digits"):
            return
        limit = sys.get_int_max_str_digits()
        self.others(_INSERT, f"[{'7' * 5000}]", "{}")
        try:
            sys.set_int_max_str_digits(0)
            self.log(number, handler)
            self.log(number, handler)
        finally:
            sys.set_int_max_str_digits(limit)
        self.log(number, handler)

    def log_replayed(self, number, handler):
        self.log(number, handler, was_replayed=True)

    def update(self, number, handler):
        handler.storage.update(number, output={"raw": "new"}, task_key="new")

    def update_badly(self, number, handler):
        handler.storage.update(number, output="{", no_such_column=1)

    def update_to_damage(self, number, handler):
        handler.storage.update(number, output="{")

    def load(self, number, handler):
        return [{**row, "timestamp": None} for row in handler.load()]

    def delete(self, number, handler):
        handler.reset()

    def begin(self, number, handler):
        self.handles[number % 2] = self.new(self.path)

    def subclass(self, number, handler):
        class Other(stored.KickoffTaskOutputsSQLiteStorage):
            pass

        Other(self.path).add(_Task("sub"), {}, number)

    def patched(self, number, handler):
        def connect(*arguments, **options):
            self.seen.append("connect")
            return sqlite3.Connection(*arguments, **options)

        with mock.patch.object(sqlite3, "connect", connect):
            self.add(number, handler)
            self.log(number, handler)

    def own_lock(self, number, handler):
        def lock(name, **options):
            self.seen.append(("lock", name == handler.storage._lock_name))
            return nullcontext()

        with mock.patch.object(stored, "store_lock", lock):
            self.add(number, handler)
            self.log(number, handler)

    # --------------------------------------------------------------------- others' uses

    def others(self, sql, *values, here=False):
        if not self.there():
            return "no file"
        if not here:
            return self.other.run(self.path, sql, *values)
        with closing(sqlite3.connect(self.path, timeout=5)) as connection, connection:
            return connection.execute(sql, values).fetchall()

    def damage(self, number, handler):
        return self.others(_INSERT, "{", "{}", here=number % 2)

    def damage_the_inputs(self, number, handler):
        return self.others(_INSERT, "{}", "", here=number % 2)

    def damage_the_text(self, number, handler):
        return self.others(f"UPDATE {_TABLE} SET task_key = CAST(x'ff' AS TEXT)", here=number % 2)

    def mend(self, number, handler):
        return self.others(f"UPDATE {_TABLE} SET task_key = 'k', output = '{{}}', inputs = '[]'")

    def insert(self, number, handler):
        return self.others(_INSERT, "[1]", "{}", here=number % 2)

    def empty(self, number, handler):
        return self.others(f"DELETE FROM {_TABLE}", here=number % 2)

    def drop(self, number, handler):
        return self.others(f"DROP TABLE {_TABLE}", here=number % 2)

    def drop_a_column(self, number, handler):
        return self.others(f"ALTER TABLE {_TABLE} DROP COLUMN task_key", here=number % 2)

    def trigger(self, number, handler):
        sql = f"UPDATE {_TABLE} SET output = '{{' WHERE task_id <> new.task_id"
        return self.others(f"CREATE TRIGGER t AFTER INSERT ON {_TABLE} BEGIN {sql}; END")

    def checkpoint(self, number, handler):
        self.others("PRAGMA wal_checkpoint(TRUNCATE)", here=number % 2)

    def copy(self, number, handler):
        """Closing the copied files takes SQLite's locks away."""
        if self.folder.exists():
            shutil.copytree(self.folder, self.folder.with_name(f"copy{len(self.seen)}"))

    def remove(self, number, handler):
        Path(self.path).unlink(missing_ok=True)

    def remove_all(self, number, handler):
        for file in self.folder.glob("*"):
            file.unlink()

    def remove_the_journal(self, number, handler):
        Path(self.path + "-wal").unlink(missing_ok=True)

    def remove_the_folder(self, number, handler):
        shutil.rmtree(self.folder, ignore_errors=True)

    def replace(self, number, handler):
        if self.folder.exists():
            shutil.copy(self.spare, self.path + ".new")
            Path(self.path + ".new").replace(self.path)

    def make_the_folder_anew(self, number, handler):
        self.remove_the_folder(number, handler)
        self.folder.mkdir()
        self.replace(number, handler)

    def end(self):
        """What a process that has ended leaves."""
        kept_outputs.CONNECTIONS.let_go()
        self.seen.append(sorted(path.name for path in self.folder.parent.glob("*db*")))
        self.seen.append(sorted(path.name for path in self.folder.glob("*")))
        if self.there():
            with closing(sqlite3.connect(f"file:{self.path}?immutable=1", uri=True)) as plainly:
                try:
                    self.seen.append(plainly.execute("PRAGMA integrity_check").fetchall())
                    self.seen.append(plainly.execute(f"{_ROWS} ORDER BY rowid").fetchall())
                except sqlite3.Error as error:
                    self.seen.append(str(error))
        return self.seen


_USES = [
    "add",
    "add_and_load",
    "add_that_fails",
    "add_what_cannot_be_written",
    "add_a_number",
    "add_nan",
    "add_much",
    "log",
    "log_again",
    "log_a_number",
    "log_that_fails",
    "log_that_loads",
    "log_with_many_digits",
    "log_replayed",
    "update",
    "update_badly",
    "update_to_damage",
    "load",
    "delete",
    "begin",
    "subclass",
    "patched",
    "own_lock",
]
_OTHERS = [
    "damage",
    "damage_the_inputs",
    "damage_the_text",
    "mend",
    "insert",
    "empty",
    "drop",
    "drop_a_column",
    "trigger",
    "checkpoint",
    "copy",
    "remove",
    "remove_all",
    "remove_the_journal",
    "remove_the_folder",
    "replace",
    "make_the_folder_anew",
]
_ONE_FILE = {"remove", "replace", "remove_the_journal"}
_NEXT = ("load", "subclass", "patched", "begin")
_STEPS = st.tuples(
    st.sampled_from(["add", "log", "log_again", "load", *_USES, *_OTHERS]),
    st.integers(0, 3),
    st.integers(0, 1),
)
_PROGRAMS = st.lists(_STEPS, min_size=1, max_size=9)


def run(program, other):
    place = _MEMORY if Path(_MEMORY).is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        running = Program(folder, other)
        records = _Records(running.seen)
        logger = logging.getLogger(stored.__name__)
        logger.addHandler(records)
        try:
            for step in program:
                running.step(*step)
            return running.end()
        finally:
            logger.removeHandler(records)


def both(program, other):
    with fast_crewai.disabled():
        plain = run(program, other)
    assert run(program, other) == plain
    return plain


@given(_PROGRAMS)
@example([("log_again", 0, 0), ("damage", 0, 0), ("log", 1, 0)])
@example([("log_again", 0, 0), ("damage", 1, 0), ("log", 1, 1)])
@example([("log_again", 0, 0), ("update_to_damage", 0, 0), ("log", 1, 1)])
@example([("log_again", 0, 0), ("add_a_number", 1, 0), ("log", 1, 1)])
@example([("log", 0, 0), ("trigger", 0, 0), ("log_again", 1, 0), ("log", 2, 0)])
@example([("add", 0, 0), ("remove", 0, 0), ("add", 1, 0), ("begin", 0, 0), ("add", 2, 0)])
@example([("add", 0, 0), ("replace", 0, 0), ("add", 1, 0)])
@example([("add", 0, 0), ("replace", 1, 0), ("load", 0, 0)])
@example([("add", 0, 0), ("remove_the_journal", 0, 0), ("load", 0, 0), ("add", 1, 0)])
@example([("add", 0, 0), ("remove_the_folder", 0, 0), ("add", 1, 0), ("begin", 0, 0)])
@example([("add", 0, 0), ("copy", 0, 0), ("insert", 0, 0), ("add", 1, 0), ("insert", 1, 0)])
def test_programs(kept, other, program):
    calls = sum(tally.calls - tally.fallbacks for tally in kept)
    both(program, other)
    assert sum(tally.calls - tally.fallbacks for tally in kept) > calls


@pytest.mark.parametrize("step", [*_USES, *_OTHERS])
def test_each_step(kept, other, step):
    for before in ([("add", 1, 0)], [("log_again", 1, 0)]):
        both(
            [*before, (step, 1, 0), ("log", 2, 0), ("load", 0, 1), (step, 2, 1), ("add", 3, 0)],
            other,
        )
