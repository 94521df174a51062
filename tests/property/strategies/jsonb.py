"""Checkpoints in SQLite: what is written and read again, and by whom.

Where Python's SQLite has no ``jsonb``, CrewAI's own code is given one from outside.
"""

import asyncio
import inspect
import json
import sqlite3
import tempfile
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from crewai_cli import checkpoint_cli
from hypothesis import strategies as st

from fast_crewai import _core
from fast_crewai.errors import DatabaseError
from fast_crewai.hooks.areas.jsonb import FUNCTIONS, is_lacking
from fast_crewai.hooks.dispatch import is_ours
from strategies import data

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
_texts = _values.map(json.dumps) | st.sampled_from(["", "{", "[1,]", "{'a': 1}", "NaN", "\0", "ü"])
writes = st.tuples(
    _texts, st.sampled_from([{}, {"parent_id": "p"}, {"branch": "b"}, {"parent_id": "ü"}])
)
_checkpoints = st.fixed_dictionaries(
    {"entities": st.just([{"entity_type": "crew", "name": "ü"}]), "trigger": _values}
)
# Of each checkpoint its text, and whether it is stored as such or by ``jsonb``; what is asked for.
tables = st.tuples(
    st.lists(
        st.tuples(_checkpoints.map(json.dumps) | _texts, st.sampled_from(["jsonb", "text", "raw"])),
        max_size=4,
    ),
    st.sampled_from(["0", "1", "0", "%", "none"]),
)
reads = st.tuples(_texts, st.sampled_from(["id", "id", "id", "missing", "i#d", ""]))


# Every write is synced: on a disk in memory that takes no time.
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    if is_lacking():
        for function in FUNCTIONS:
            connection.create_function(*function)
    return connection


@asynccontextmanager
async def _connect_async(path: str) -> Any:
    import aiosqlite

    async with aiosqlite.connect(path) as connection:
        if is_lacking():
            for function in FUNCTIONS:
                await connection.create_function(*function)
        yield connection


def _called(function: Any, *arguments: Any, **options: Any) -> Any:
    from crewai.state.provider import sqlite_provider as module

    def run() -> Any:
        found = function(module.SqliteProvider(), *arguments, **options)
        return asyncio.run(found) if inspect.iscoroutine(found) else found

    with patch.object(module, "_make_id", lambda: ("id", "time")):
        if is_ours(function):
            return data.outcome(run)
        synchronous = SimpleNamespace(connect=_connect)
        asynchronous = SimpleNamespace(connect=_connect_async)
        with (
            patch.object(module, "sqlite3", synchronous),
            patch.object(module, "aiosqlite", asynchronous),
        ):
            return data.outcome(run)


def written(function: Any, example: tuple[str, dict[str, Any]]) -> Any:
    text, options = example
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        path = str(Path(folder, "new", "c.db"))
        found = [_called(function, text, path, **options) for _ in range(2)]  # the same id twice
        with closing(_connect(path)) as connection:
            rows = connection.execute("SELECT * FROM checkpoints").fetchall()
            mode = connection.execute("PRAGMA journal_mode").fetchall()
        return (
            str(found).replace(folder, ""),
            rows,
            mode,
            sorted(p.name for p in Path(folder).glob("*/*")),
        )


def read(function: Any, example: tuple[str, str]) -> Any:
    text, name = example
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        path = str(Path(folder, "c.db"))
        with closing(_connect(path)) as connection, connection:
            connection.execute("CREATE TABLE checkpoints (id TEXT, data JSONB)")
            try:
                connection.execute("INSERT INTO checkpoints VALUES ('id', jsonb(?))", (text,))
            except sqlite3.OperationalError:
                connection.execute("INSERT INTO checkpoints VALUES ('id', X'ff01')")
        return str(_called(function, f"{path}#{name}")).replace(folder, "")


def listed(function: Any, example: tuple[list[tuple[str, str]], str]) -> Any:
    """As CrewAI's command with a newer SQLite; without ``jsonb`` in it, as CrewAI's with this."""
    rows, name = example
    names = (name,) if function.__name__ == "_info_sqlite_id" else ()
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        path = str(Path(folder, "c.db"))
        with closing(_connect(path)) as connection, connection:
            connection.execute("CREATE TABLE checkpoints (id TEXT, created_at TEXT, data JSONB)")
            for number, (text, kind) in enumerate(rows):
                stored: Any = text
                if kind == "raw":
                    stored = text.encode()
                if kind == "jsonb":
                    with suppress(DatabaseError):
                        stored = _core.jsonb_of(text)
                connection.execute(
                    "INSERT INTO checkpoints VALUES (?, 'time', ?)", (str(number), stored)
                )

        def run() -> Any:
            return data.outcome(function, path, *names)

        found = run()
        if not is_ours(function) and is_lacking() and "malformed JSON" in str(found):
            newer = SimpleNamespace(connect=_connect_newer)
            with patch.object(checkpoint_cli, "sqlite3", newer):
                again = run()
            found = found if "OperationalError" in str(again) else again
        return str(found).replace(folder, ""), sorted(p.name for p in Path(folder).iterdir())


def _connect_newer(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.create_function("json", 1, _json_of_newer)
    return connection


def _json_of_newer(value: Any) -> Any:
    """The bundled SQLite reads bytes; text is for this one."""
    with closing(sqlite3.connect(":memory:")) as own:
        if isinstance(value, bytes):
            with suppress(sqlite3.Error, UnicodeDecodeError):
                return own.execute("SELECT json(?)", (value.decode("utf-8"),)).fetchone()[0]
            return _core.text_of_jsonb(value)
        return own.execute("SELECT json(?)", (value,)).fetchone()[0]
