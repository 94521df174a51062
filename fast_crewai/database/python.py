"""The Python twin of ``_core.RustSQLiteWrapper``: the same rows through Python's ``sqlite3``."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from fast_crewai.errors import DatabaseError

_Result = TypeVar("_Result")
_PATIENCE = 30.0  # seconds: for another process's lock, and for a connection to become free
_IN_PLACE = (
    "SELECT count(*) FROM sqlite_master WHERE name IN ('long_term_memories', "
    "'long_term_memories_fts', 'long_term_memories_fts_insert', 'long_term_memories_fts_delete', "
    "'long_term_memories_fts_update')"
)
_SEARCH = """
SELECT m.id, m.task_description, m.metadata, m.datetime, m.score, f.rank
FROM (SELECT rowid, rank FROM long_term_memories_fts WHERE long_term_memories_fts MATCH ?
      ORDER BY rank, rowid LIMIT ?) f
JOIN long_term_memories m ON m.id = f.rowid ORDER BY f.rank, m.id
"""
_COMMON = 2000  # words that more rows have tell little, and ranking all those rows takes long
_COUNT = (
    "SELECT count(*) FROM (SELECT 1 FROM long_term_memories_fts "
    "WHERE long_term_memories_fts MATCH ? LIMIT ?)"
)
_FAILURES = (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeError, ValueError)


class PythonSQLiteWrapper:
    """A SQLite file through a few connections."""

    implementation = "python"

    def __init__(self, db_path: str | Path, pool_size: int = 5) -> None:
        if pool_size < 1:
            raise ValueError("pool_size is 1 or more")
        self._path = str(db_path)
        self._process = os.getpid()
        size = 1 if self._path == ":memory:" else pool_size  # each has a database of its own
        self._free = threading.BoundedSemaphore(size)
        self._idle: list[sqlite3.Connection] = []
        with self._connection() as connection:
            self._upgrade(connection)

    def _upgrade(self, connection: sqlite3.Connection) -> None:
        if connection.execute(_IN_PLACE).fetchone()[0] == 5:
            return
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute(_IN_PLACE).fetchone()[0] < 5:
            schema = resources.files("fast_crewai.database").joinpath("schema.sql")
            for statement in schema.read_text("ascii").split("\n\n"):
                connection.execute(statement)
        connection.execute("COMMIT")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        if os.getpid() != self._process:
            text = "opened by the parent process; open it again after a fork"
            raise DatabaseError(text)
        if not self._free.acquire(timeout=_PATIENCE):
            raise DatabaseError("all connections are busy")
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._open()
            try:
                yield connection
            except _FAILURES as error:
                raise DatabaseError(str(error)) from error
            finally:
                left_open = connection.in_transaction
                if left_open:
                    _roll_back(connection)
                self._idle.append(connection)
            if left_open:
                raise DatabaseError("a transaction was left open; use execute_batch")
        finally:
            self._free.release()

    def _open(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(
                self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
        except (sqlite3.Error, ValueError) as error:  # ValueError: no path
            raise DatabaseError(str(error)) from error

    def _run(self, body: Callable[[sqlite3.Connection], _Result]) -> _Result:
        with self._connection() as connection:
            return body(connection)

    def execute_query(self, query: str, params: Any = None) -> list[dict[str, Any]]:
        """The rows of a statement, as dicts."""
        checked = _parameters(params)
        return self._run(lambda connection: _rows(connection, query, checked))

    def execute_update(self, query: str, params: Any = None) -> int:
        """How many rows a statement changed."""
        checked = _parameters(params)
        return self._run(lambda connection: _changes(connection, query, checked))

    def execute_insert(self, query: str, params: Any = None) -> int:
        """The id of the row that an INSERT made."""
        checked = _parameters(params)

        def insert(connection: sqlite3.Connection) -> int:
            _changes(connection, query, checked)
            found: int = connection.execute("SELECT last_insert_rowid()").fetchone()[0]
            return found

        return self._run(insert)

    def execute_batch(self, queries: list[tuple[str, Any]]) -> list[int]:
        """How many rows each of several statements changed; all or none."""
        checked = [(query, _parameters(params)) for query, params in queries]

        def run(connection: sqlite3.Connection) -> list[int]:
            connection.execute("BEGIN IMMEDIATE")
            counts = [_changes(connection, query, params) for query, params in checked]
            connection.execute("COMMIT")
            return counts

        return self._run(run)

    def search_fts(self, query: str, limit: int = 10) -> list[dict[str, Any]]:
        """The long-term memories whose descriptions fit best, with "rank"."""
        words = _quoted_words(query)
        if not words or limit == 0:
            return []

        def search(connection: sqlite3.Connection) -> list[dict[str, Any]]:
            found = _rows(connection, _SEARCH, (" ".join(words), limit))
            if len(words) > 1 and len(found) < limit:
                known = {row["id"] for row in found}
                others = _rows(connection, _SEARCH, (" OR ".join(_rarer(connection, words)), limit))
                found += [row for row in others if row["id"] not in known]
            return found[:limit]

        return self._run(search)


def _roll_back(connection: sqlite3.Connection) -> None:
    try:
        connection.rollback()
    except sqlite3.Error as error:  # the connection is given up
        connection.close()
        raise DatabaseError(str(error)) from error


def _rarer(connection: sqlite3.Connection, words: list[str]) -> list[str]:
    """The words that few rows have; all of them if there are none such."""

    def is_rare(word: str) -> bool:
        return bool(connection.execute(_COUNT, (word, _COMMON + 1)).fetchone()[0] <= _COMMON)

    return [word for word in words if is_rare(word)] or words


def _quoted_words(query: str) -> list[str]:
    """Each word as a string of FTS5's syntax, in which nothing is an operator."""
    words = (word.replace("\0", "").replace('"', '""') for word in query.split())
    return [f'"{word}"' for word in words if word]


def _parameters(params: Any) -> Any:
    if params is None:
        return ()
    if not isinstance(params, tuple | list | dict):
        raise TypeError("params is a tuple, list or dict")
    for value in params.values() if isinstance(params, dict) else params:
        if not isinstance(value, int | float | str | bytes | bytearray | None):
            raise DatabaseError(f"SQLite can't hold a {type(value).__name__}")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise DatabaseError("SQLite can't hold an integer of more than 64 bits")
        if isinstance(value, str) and not _is_unicode(value):
            raise DatabaseError("SQLite can't hold text with lone surrogates")
    return params


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _rows(connection: sqlite3.Connection, sql: str, params: Any) -> list[dict[str, Any]]:
    cursor = connection.execute(sql, params)
    if cursor.description is None:
        return []
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _changes(connection: sqlite3.Connection, sql: str, params: Any) -> int:
    before = connection.total_changes
    _rows(connection, sql, params)
    if connection.total_changes == before:
        return 0  # changes() would be those of an earlier statement
    found: int = connection.execute("SELECT changes()").fetchone()[0]
    return found
