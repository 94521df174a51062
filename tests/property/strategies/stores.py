"""Writes to CrewAI's SQLite stores, and databases in all states that others leave them in."""

import logging
import re
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

from crewai.flow.persistence import sqlite as flows
from crewai.memory.storage import kickoff_task_outputs_storage as outputs
from hypothesis import strategies as st
from pydantic import BaseModel

_MEMORY = "/dev/shm"
_LOCK = re.compile(r"crewai:[0-9a-f]{32}")  # a digest of the folder
_connect = sqlite3.connect
_VALUES = st.sampled_from(
    [{}, {"raw": "a" * 9000}, {"raw": "é"}, {"x": [1, None]}, {"x": {1, 2}}, {"x": object()}]
)
_BEFORE = st.sampled_from(
    ["nothing"] * 8
    + ["read by another", "written by another", "another journal", "stale index", "crashed"]
    + ["drop", "corrupt", "delete file", "no folder", "link", "read-only", "patched"]
    + ["memory", "bytes"]
)
_STEPS = st.lists(st.tuples(_BEFORE, st.integers(0, 3), _VALUES), min_size=1, max_size=4)
programs = _STEPS


class _Task:
    def __init__(self, number: int) -> None:
        self.id, self.key, self.expected_output = number, f"key {number}", "an answer"


class _State(BaseModel):
    value: Any = None


class _Context:
    method_name = "asked"

    def __init__(self, value: Any) -> None:
        self._value = value

    def to_dict(self) -> Any:
        return self._value


def _outputs(path: str) -> Any:
    return outputs.KickoffTaskOutputsSQLiteStorage(path)


def _flows(path: str) -> Any:
    return flows.SQLiteFlowPersistence(path)


Step = Callable[[Any, Any, int, Any], Any]
ROUTES: dict[str, tuple[Any, Any, Step]] = {
    "outputs-setup": (outputs, _outputs, lambda f, store, n, value: f(store)),
    "outputs-add": (
        outputs,
        _outputs,
        lambda f, store, n, value: f(store, _Task(n), value, n, n > 2, n and {"n": n}),
    ),
    "outputs-update": (
        outputs,
        _outputs,
        lambda f, store, n, value: f(store, n, output=value, **({"odd": 1} if n == 3 else {})),
    ),
    "outputs-reset": (outputs, _outputs, lambda f, store, n, value: f(store)),
    "flow-state": (
        flows,
        _flows,
        lambda f, store, n, value: f(store, f"f{n}", "m", _State(value=value) if n else value),
    ),
    "flow-feedback": (
        flows,
        _flows,
        lambda f, store, n, value: f(store, f"f{n}", _Context(value), value),
    ),
    "flow-feedback-end": (flows, _flows, lambda f, store, n, value: f(store, f"f{n}")),
}


def _run(path: str, *statements: str) -> None:
    with closing(sqlite3.connect(path, timeout=0)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def _fill(store: Any) -> None:
    if isinstance(store, outputs.KickoffTaskOutputsSQLiteStorage):
        for number in range(2):
            store.add(_Task(number), {"raw": "before"}, number)
    else:
        store.save_state("f1", "before", {"value": 1})
        store.save_pending_feedback("f1", _Context({}), {"value": 1})


def _prepare(what: str, store: Any, table: str) -> Any:
    """Leave the database as others may; returns a connection that stays open, or None."""
    path = str(store.db_path)
    if what in ("read by another", "written by another"):
        holder = sqlite3.connect(path, timeout=0)
        try:
            if what == "written by another":
                holder.execute("CREATE TABLE IF NOT EXISTS other (x)")
                holder.commit()
            holder.execute(f"SELECT count(*) FROM {table}").fetchall()
        except sqlite3.Error:
            holder.close()
            raise
        return holder
    if what == "another journal":
        _run(path, "PRAGMA journal_mode=DELETE")
    elif what == "stale index":
        Path(f"{path}-shm").write_bytes(b"\1" * 32768)
    elif what == "crashed":  # its log is there, and not in the database yet
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS crashed (x)")
            connection.commit()
            kept = {file: file.read_bytes() for file in Path(path).parent.glob("*.db-*")}
        for file, content in kept.items():
            file.write_bytes(content)
    elif what == "drop":
        _run(path, f"DROP TABLE {table}")
    elif what == "corrupt":
        Path(path).write_bytes(b"no database " * 1000)
    elif what == "delete file":
        Path(path).unlink()
    elif what == "no folder":
        for file in Path(path).parent.glob("*"):
            file.unlink()
        Path(path).parent.rmdir()
    elif what == "link":
        moved = Path(path).parent.parent / "moved.db"
        if not Path(path).is_symlink():
            Path(path).rename(moved)
            Path(path).symlink_to(moved)
    elif what == "read-only":
        _run(path, "CREATE TRIGGER IF NOT EXISTS refuse BEFORE INSERT ON " + table
             + " BEGIN SELECT RAISE(ABORT, 'refused'); END")  # fmt: skip
    return None


def _content(path: Path) -> Any:
    try:
        with closing(sqlite3.connect(path, timeout=0)) as connection:
            tables = [
                name
                for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY name")
                if not name.startswith(("idx_", "sqlite_autoindex", "refuse"))
            ]
            rows: Any = {name: _rows(connection, name) for name in tables}
            mode = connection.execute("PRAGMA journal_mode").fetchall()
            return rows, mode, connection.execute("PRAGMA integrity_check").fetchall()
    except sqlite3.Error as error:
        return str(error)


def _rows(connection: sqlite3.Connection, table: str) -> Any:
    cursor = connection.execute(f"SELECT * FROM {table} ORDER BY rowid")
    names = [column[0] for column in cursor.description]
    times = {"timestamp", "created_at"}
    return [
        {n: type(v) if n in times else v for n, v in zip(names, row, strict=True)} for row in cursor
    ]


def _open_files(folder: str) -> list[str]:
    links = Path("/proc/self/fd")
    if not links.is_dir():
        return []
    found = [str(link.readlink()) for link in links.iterdir() if link.is_symlink()]
    return sorted({name.removeprefix(folder) for name in found if name.startswith(folder)})


class _Records(logging.Handler):
    def __init__(self, seen: list[Any]) -> None:
        super().__init__()
        self._seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self._seen.append(record.getMessage())


def observer(route: str) -> Callable[[Any, Any], Any]:
    module, make, step = ROUTES[route]
    table = "latest_kickoff_task_outputs" if module is outputs else "flow_states"

    def observe(function: Any, program: Any) -> Any:
        """Results, exceptions, log records, locks, rows and files of a program of writes."""
        seen: list[Any] = []
        with (
            tempfile.TemporaryDirectory(dir=_MEMORY if Path(_MEMORY).is_dir() else None) as folder,
            mock.patch.object(tempfile, "tempdir", folder),
        ):
            path = Path(folder, "db", "store.db")
            path.parent.mkdir()
            store = make(str(path))
            _fill(store)
            for before, number, value in program:
                seen.append(before)
                holder = None
                try:
                    holder = _prepare(before, store, table)
                except Exception as error:
                    seen.append(("before", type(error)))
                connects: list[Any] = []

                def connect(*arguments: Any, seen: list[Any] = connects, **options: Any) -> Any:
                    seen.append((arguments, options))
                    return _connect(*arguments, **options)

                records = _Records(seen)
                logging.getLogger(module.__name__).addHandler(records)
                try:
                    own = store.db_path
                    if before == "memory":
                        store.db_path = ":memory:"
                    elif before == "bytes" and module is outputs:
                        store.db_path = str(path).encode()
                    if before == "patched":
                        with mock.patch.object(module.sqlite3, "connect", connect):
                            seen.append(step(function, store, number, value))
                    else:
                        seen.append(step(function, store, number, value))
                except Exception as error:
                    linked = type(error.__cause__), type(error.__context__)
                    seen.append((type(error), str(error), linked))
                finally:
                    logging.getLogger(module.__name__).removeHandler(records)
                    store.db_path = own
                seen += [connects, _open_files(f"{folder}/db")]
                if holder:
                    holder.close()
                seen.append(sorted(p.name for p in path.parent.glob("*")))
                if path.exists():
                    seen.append(_content(path))
        return _LOCK.sub("<lock>", repr(seen).replace(folder, ""))

    return observe
