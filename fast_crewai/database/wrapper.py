"""``AcceleratedSQLiteWrapper``: the database that users name."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fast_crewai import native
from fast_crewai.database.python import PythonSQLiteWrapper
from fast_crewai.errors import NativeError

_log = logging.getLogger("fast_crewai")
_Result = TypeVar("_Result")
_Parameters = Sequence[Any] | Mapping[str, Any] | None
_INSERT = (
    "INSERT INTO long_term_memories (task_description, metadata, datetime, score) "
    "VALUES (?, ?, ?, ?)"
)
_SELECT = "SELECT id, task_description, metadata, datetime, score FROM long_term_memories "
_inherited: list[Any] = []  # never closed in a forked child: the parent's locks are at stake


class AcceleratedSQLiteWrapper:
    """A SQLite database of CrewAI's long-term memories, with a full-text index (FTS5, bm25).

    ``db_path``: the file; an existing database of CrewAI's (``long_term_memories``) gets an
    index kept in step by triggers, its rows stay as they are. Plain CrewAI can go on writing to
    it, with any SQLite that has FTS5. ``pool_size``: connections at most; journal mode and
    synchronous stay as the file has them. ``use_rust``: None (Rust if there is a native module),
    True or False. ``implementation``: "rust" or "python".

    **One SQLite per process and file.** Rust brings a SQLite of its own. POSIX drops a process's
    locks on a file when *any* of its descriptors is closed, and two copies of SQLite don't know
    of each other: never open the same file with Python's ``sqlite3`` (plain CrewAI, say) in the
    same process while this object exists, or use ``use_rust=False``. Other processes are safe.

    All methods may be called by any number of threads, and after ``fork`` (the child opens
    connections of its own). Every method raises DatabaseError for what SQLite refuses: bad SQL,
    values it can't hold, a database locked for 30 seconds.
    """

    def __init__(
        self, db_path: str | Path, pool_size: int = 5, use_rust: bool | None = None
    ) -> None:
        if pool_size < 1:
            raise ValueError("pool_size is 1 or more")
        self.db_path = str(db_path)
        self.pool_size = pool_size
        self._class: Any = native.choose(use_rust, "RustSQLiteWrapper", "database")
        self._lock = threading.Lock()
        self._open()

    def _open(self) -> None:
        self._process = os.getpid()
        try:
            make = self._class or PythonSQLiteWrapper
            self._database: Any = make(self.db_path, self.pool_size)
        except NativeError as error:
            self._take_over(error)

    def _take_over(self, error: Exception) -> None:
        _log.debug("SQLite wrapper: Python takes over: %s", error)
        self._class = None
        self._database = PythonSQLiteWrapper(self.db_path, self.pool_size)

    @property
    def implementation(self) -> str:
        """ "rust" or "python"."""
        name: str = self._database.implementation
        return name

    def execute_query(self, query: str, params: _Parameters = None) -> list[dict[str, Any]]:
        """The rows of a statement, as dicts.

        ``params``: a tuple or list for ``?``, or a dict for ``:name``.
        """
        return self._call(lambda database: database.execute_query(query, params))

    def execute_update(self, query: str, params: _Parameters = None) -> int:
        """How many rows a statement changed; committed when it returns."""
        count: int = self._call(lambda database: database.execute_update(query, params))
        return count

    def execute_batch(self, queries: Iterable[tuple[str, _Parameters]]) -> list[int]:
        """How many rows each of several (statement, params) changed: one transaction, all or
        none."""
        statements = list(queries)
        return self._call(lambda database: database.execute_batch(statements))

    def save_memory(
        self,
        task_description: str,
        metadata: Mapping[str, Any],
        datetime: str,
        score: float,
    ) -> int:
        """Add a memory and return its id; committed when it returns.

        ``metadata``: what JSON can hold. ``datetime``: text that sorts by time, as CrewAI's.
        """
        values = (task_description, json.dumps(metadata), datetime, float(score))
        new: int = self._call(lambda database: database.execute_insert(_INSERT, values))
        return new

    def search_fts(self, query: str, limit: int = 10) -> list[dict[str, Any]]:
        """The memories whose task descriptions fit best.

        ``query``: any text; its words (apart by white space) are looked for, FTS5's syntax means
        nothing. Memories with all words come first, then those with any of the words that 2,000
        rows or fewer have (with any word, if all are more common); each by "rank" (bm25: the
        smaller, the better), then id. ``limit``: at most so many, from 0 to 10,000.

        Each is a dict: "id", "task_description", "metadata", "datetime", "score", "rank".
        """
        words = query.encode(errors="replace").decode()
        most = min(max(limit, 0), 10_000)
        return [_memory(row) for row in self._call(lambda db: db.search_fts(words, most))]

    search_memories_fts = search_fts

    def get_all_memories(self, limit: int = 100) -> list[dict[str, Any]]:
        """The newest memories by "datetime", newest first: as ``search_fts``, without "rank"."""
        query = _SELECT + "ORDER BY datetime DESC, id DESC LIMIT ?"
        return [_memory(row) for row in self.execute_query(query, (max(limit, 0),))]

    def load_memories(self, task_description: str, latest_n: int = 3) -> list[dict[str, Any]]:
        """The newest memories of exactly this description, as CrewAI's long-term memory loads
        them: by "datetime", newest first, then the lower "score"."""
        query = _SELECT + "WHERE task_description = ? ORDER BY datetime DESC, score ASC, id LIMIT ?"
        return [_memory(r) for r in self.execute_query(query, (task_description, max(latest_n, 0)))]

    def reset(self) -> None:
        """Delete all memories."""
        self.execute_update("DELETE FROM long_term_memories")

    def __repr__(self) -> str:
        return f"AcceleratedSQLiteWrapper({self.db_path!r}, implementation={self.implementation})"

    def _call(self, method: Callable[[Any], _Result]) -> _Result:
        if os.getpid() != self._process:
            with self._lock:
                if os.getpid() != self._process:
                    _inherited.append(self._database)
                    self._open()
        database = self._database
        try:
            return method(database)
        except NativeError as error:
            # A transaction that failed inside was undone: nothing is done twice.
            with self._lock:
                if self._database is database:
                    self._take_over(error)
            return method(self._database)


def _memory(row: dict[str, Any]) -> dict[str, Any]:
    with contextlib.suppress(TypeError, ValueError):  # not CrewAI's: as it is
        row["metadata"] = json.loads(row["metadata"])
    return row
