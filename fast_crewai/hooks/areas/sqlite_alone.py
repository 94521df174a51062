"""A connection for one write, opened without the index file that it would share with nobody.

CrewAI opens a database in WAL mode for each write and closes it again, which leaves one file. If
nobody else has it open, SQLite may keep the index of the WAL in memory instead of in a file: its
exclusive locking mode. All else (journal, syncs, checkpoint at the end) stays as CrewAI has it.
"""

from __future__ import annotations

import _sqlite3
import os
import sqlite3
import stat
import weakref
from typing import Any


class _Alone(sqlite3.Connection):
    """It ends with ``close``: a cursor in somebody's traceback would keep the file locked."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._cursors: list[weakref.ref[sqlite3.Cursor]] = []

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        cursor = super().cursor(*arguments, **options)
        self._cursors.append(weakref.ref(cursor))
        return cursor

    def close(self) -> None:
        for reference in self._cursors:
            cursor = reference()
            if cursor is not None:
                cursor.close()
        super().close()


_connect = _sqlite3.connect  # what a tracer has put in its place counts


def connect(module: Any, path: Any, timeout: float) -> Any:
    """``module.connect(path, timeout=timeout)``, exclusive if that needs no waiting.

    Only for writers that hold the lock of the store.
    """
    if module is not sqlite3 or sqlite3.connect is not _connect or not _is_closed(path):
        return module.connect(path, timeout=timeout)
    connection = sqlite3.connect(path, timeout=0, factory=_Alone)
    try:
        if _is_alone(connection):
            return connection
    except BaseException:
        connection.close()
        raise
    connection.close()
    return sqlite3.connect(path, timeout=timeout)


def _is_closed(path: Any) -> bool:
    """Whether it is a file, by its own name, and no connection seems to be open."""
    if type(path) is not str:
        return False
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
    except (OSError, ValueError):
        return False
    return not os.path.lexists(f"{path}-wal") and not os.path.lexists(f"{path}-shm")


def _is_alone(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
        # The first access, which locks. Other journals behave differently in this mode.
        return connection.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    except sqlite3.Error:
        return False
