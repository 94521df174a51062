"""Logs of task outputs, whole and damaged, and what others do to them meanwhile."""

import logging
import re
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from crewai.memory.storage import kickoff_task_outputs_storage as stored
from hypothesis import strategies as st

_MEMORY = "/dev/shm"
_LOCK = re.compile(r"crewai:[0-9a-f]{32}")  # a digest of the folder
_INSERT = "INSERT INTO latest_kickoff_task_outputs VALUES (?, ?, ?, ?, ?, ?, ?, '2020')"
_JSON = st.sampled_from(
    ["{}", "null", "[1, 2]", '{"raw": "a"}', '{"x": NaN}', '"\\ud800"', "1e999"]
)
_BAD = st.sampled_from(["", "{", "not json", None, b"{}", b"\xff", 7, 1.5, "{} {}", "\ufeff{}"])
_CELLS = st.one_of(*[_JSON] * 12, _BAD)
_ROWS = st.lists(st.tuples(_CELLS, _CELLS), max_size=4)


class _Task:
    def __init__(self, number: int, damage: str) -> None:
        self.id, self.expected_output, self._damage = number, f"expected {number}", damage

    @property
    def key(self) -> str:
        if self._damage == "key":
            raise RuntimeError("no key")
        return f"key {self.id}"


_OUTPUTS = st.sampled_from(
    [{}, {"raw": "a" * 300}, {"raw": "é\ud800"}, {"x": float("nan")}, {"x": object()}, None]
)
_DAMAGES = st.sampled_from(["none"] * 15 + ["key", "key", "replayed", "missing", "odd", "expected"])
_MEANWHILE = st.sampled_from(
    ["nothing"] * 8
    + ["insert", "delete file", "new file", "empty", "drop", "corrupt", "refuse"]
    + ["own lock"] * 8
    + ["no place for a lock"]
)
_BEFORE = st.sampled_from(
    ["nothing"] * 8 + ["delete file", "drop", "corrupt", "held", "column", "no folder", "subclass"]
)
_WITH_LOCK = {"own lock": "", "no place for a lock": "none"}  # CrewAI's own, and where
_STEPS = st.tuples(st.integers(0, 3), _OUTPUTS, _DAMAGES, _BEFORE, _MEANWHILE)
programs = st.tuples(_ROWS, st.lists(_STEPS, min_size=1, max_size=4))


def _run(path: str, *statements: Any) -> None:
    with closing(sqlite3.connect(path, timeout=0)) as connection, connection:
        for statement in statements:
            connection.execute(*statement)


def _interfere(path: str, what: str, empty: bytes) -> None:
    if what == "insert":
        _run(path, (_INSERT, ("other", "k", "e", "{}", 9, "{}", False)))
    elif what in ("delete file", "new file", "no folder"):
        for file in Path(path).parent.glob("*"):
            file.unlink()
        if what == "new file":
            Path(path).write_bytes(empty)
        elif what == "no folder":
            Path(path).parent.rmdir()
    elif what == "empty":
        _run(path, ("DELETE FROM latest_kickoff_task_outputs",))
    elif what == "drop":
        _run(path, ("DROP TABLE latest_kickoff_task_outputs",))
    elif what == "column":
        _run(path, ("ALTER TABLE latest_kickoff_task_outputs DROP COLUMN inputs",))
    elif what == "corrupt":
        Path(path).write_bytes(b"no database " * 1000)


def _rows(path: str) -> Any:
    try:
        with closing(sqlite3.connect(path, timeout=0)) as connection:
            query = "SELECT task_id, task_key, expected_output, output, task_index, inputs,"
            query += " was_replayed FROM latest_kickoff_task_outputs ORDER BY rowid"
            return connection.execute(query).fetchall()
    except sqlite3.Error as error:
        return str(error)


def _open_files(path: str) -> list[str]:
    folder = Path("/proc/self/fd")
    links = [str(link.readlink()) for link in folder.iterdir() if link.is_symlink()]
    # How often is SQLite's own affair: it keeps files while another connection reads.
    return sorted({link.removeprefix(path) for link in links if link.startswith(path)})


def _log(number: int, output: Any, damage: str) -> dict[str, Any]:
    log = {
        "task": _Task(number, damage),
        "output": output,
        "task_index": number,
        "inputs": {"topic": number},
        "was_replayed": damage == "replayed",
    }
    if damage == "missing":
        del log["inputs"]
    elif damage == "odd":
        log["was_replayed"] = 0
    elif damage == "expected":
        log["task"].expected_output = object()
    return log


class _Records(logging.Handler):
    def __init__(self, seen: list[Any]) -> None:
        super().__init__()
        self._seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self._seen.append(record.getMessage())


def observe(function: Any, example: Any) -> Any:
    """Exceptions, rows, files, locks and log records of a program of updates."""
    from crewai.utilities.task_output_storage_handler import TaskOutputStorageHandler

    rows, steps = example
    seen: list[Any] = []
    with tempfile.TemporaryDirectory(dir=_MEMORY if Path(_MEMORY).is_dir() else None) as folder:
        path = str(Path(folder, "db", "log.db"))
        locks = Path(folder, "locks")
        locks.mkdir()
        Path(path).parent.mkdir()
        handler: Any = TaskOutputStorageHandler.__new__(TaskOutputStorageHandler)
        handler.storage = stored.KickoffTaskOutputsSQLiteStorage(path)
        empty = Path(path).read_bytes()
        _run(
            path,
            *(
                (_INSERT, (f"old {n}", "k", "e", *((a, n, b)), False))
                for n, (a, b) in enumerate(rows)
            ),
        )
        for number, output, damage, before, meanwhile in steps:

            @contextmanager
            def lock(name: str, what: str = meanwhile) -> Any:
                seen.append(("lock", name == handler.storage._lock_name))
                if what == "refuse":
                    raise RuntimeError("no lock")
                try:
                    _interfere(path, what, empty)
                except Exception as error:
                    seen.append(("meanwhile", type(error)))
                yield
                seen.append(("open at the end", _open_files(path)))

            holder = None
            try:
                if before == "held":
                    holder = sqlite3.connect(path, timeout=0)
                    holder.execute("SELECT count(*) FROM latest_kickoff_task_outputs").fetchall()
                elif before == "subclass":
                    handler.storage.load = lambda: seen.append("loaded") or None
                else:
                    _interfere(path, before, empty)
            except Exception as error:
                seen.append(("before", type(error)))
            records = _Records(seen)
            logger = logging.getLogger(stored.__name__)
            logger.addHandler(records)
            try:
                patch: Any = mock.patch.object(stored, "store_lock", lock)
                if meanwhile in _WITH_LOCK:
                    patch = mock.patch.object(
                        tempfile, "tempdir", str(locks / _WITH_LOCK[meanwhile])
                    )
                with patch:
                    seen.append(function(handler, number, _log(number, output, damage)))
            except Exception as error:
                seen.append((type(error), str(error), type(error.__cause__)))
            finally:
                logger.removeHandler(records)
                vars(handler.storage).pop("load", None)
                seen.append(_open_files(path))
                if holder:
                    holder.close()
            seen.append(Path(path).parent.exists())
            seen.append(sorted(p.name for p in Path(path).parent.glob("*")))
            if Path(path).exists():
                seen.append(_rows(path))
    return _LOCK.sub("<lock>", repr(seen).replace(folder, ""))
