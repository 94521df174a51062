"""The log of a crew's task outputs: one connection for each of them instead of two.

Before CrewAI adds an output it loads the whole table, only to see that it can. Its own ``load``
and ``add`` are compiled again to share the connection, and rows are only made, and decoded, if
something in the table might raise: crews side by side share one table, and each would decode the
outputs of all. What is written, when it is committed, locks and exceptions stay.

With CrewAI's own lock both happen under it, which nobody can tell; with another one, the
connection stays open while the lock is waited for.
"""

from __future__ import annotations

import _sqlite3
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from fast_crewai import _core
from fast_crewai._core import Declined
from fast_crewai.hooks.areas.own_json import check_reading
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.dispatch import original_of
from fast_crewai.hooks.route import Route, Site, TargetError

_MODULE = "crewai.utilities.task_output_storage_handler"
_STORAGE = "crewai.memory.storage.kickoff_task_outputs_storage"
CONNECT = "closing(sqlite3.connect(self.db_path, timeout=30))"
_LOG = {"task", "output", "task_index", "inputs", "was_replayed"}
_LOOK = "SELECT 1 FROM latest_kickoff_task_outputs LIMIT 0"
_LOAD = (
    "SELECT task_id, task_key, expected_output, output, task_index, inputs, was_replayed, "
    "timestamp FROM latest_kickoff_task_outputs ORDER BY task_index"
)
_TEXTS = [3, 5]  # the columns that load decodes
_SEPARATOR = "\x01"  # in no JSON
# All that load reads, in one row. The texts of the other columns need only be UTF-8; min compares
# as ORDER BY does.
_ALL = (
    "SELECT count(*), count(output), count(inputs), "
    f"CAST(group_concat(output, '{_SEPARATOR}') AS BLOB), "
    f"CAST(group_concat(inputs, '{_SEPARATOR}') AS BLOB), "
    "group_concat(task_id), group_concat(task_key), group_concat(expected_output), "
    "group_concat(task_index), group_concat(was_replayed), group_concat(timestamp), "
    "min(task_index) "
    "FROM latest_kickoff_task_outputs"
)

_MANY = 250_000  # bytes of a file, from which on that is quicker
_FEW = 60  # pages; each is read once, and to keep them all takes longer than reading them
_NO_FILE = (0, 0, 0, 0)
_LOCKED = re.compile("database .*locked")  # other messages may quote what is in the table

# Tracers may have replaced both before us, and count.
_connect = _sqlite3.connect


class _Cursor:
    """CrewAI's cursor in ``load``; has no rows if nothing in the table could raise."""

    __slots__ = ("_connection", "_cursor")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._cursor: Any = None

    def execute(self, statement: str) -> Any:
        if not are_plain(self._connection):
            self._cursor = self._connection.cursor()
            self._cursor.execute(statement)

    def fetchall(self) -> list[Any]:
        return [] if self._cursor is None else self._cursor.fetchall()


class Session:
    """Stands for the storage in its ``load`` and ``add``, and keeps the connection between."""

    @staticmethod
    def check(storage: Any) -> None:
        """Raise Declined for a storage that isn't its own."""

    def __init__(self, storage: Any, load: Callable[..., Any] | None = None) -> None:
        self._load = load  # what writing begins with, if it isn't done before
        self.began = False
        self.db_path = storage.db_path
        self._lock_name = storage._lock_name
        self._kept: sqlite3.Connection | None = None
        self._file: Any = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A new connection; stays open unless the reading fails."""
        file = self._identity()
        connection = sqlite3.connect(self.db_path, timeout=30)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        self._kept, self._file = connection, file

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The kept connection, or another one if the file has changed."""
        self.began = True
        self.look()
        connection, self._kept = self._kept, None
        if self._load is None and connection is not None and not self._is_same(connection):
            connection.close()
            connection = None
        with closing(connection or sqlite3.connect(self.db_path, timeout=30)) as opened:
            yield opened

    def _is_same(self, connection: sqlite3.Connection) -> bool:
        if self._file is None or self._file != self._identity():
            return False
        try:
            connection.execute(_LOOK)  # what it knows of the table is read again
        except sqlite3.Error:
            return False
        return True

    def _identity(self) -> Any:
        try:
            status = os.stat(self.db_path)  # noqa: PTH116
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    def look(self) -> None:
        """What writing begins with, unless it is done before."""
        if self._load is not None:
            self._load(self)

    def cursor(self, connection: sqlite3.Connection) -> Any:
        """What ``load`` reads with."""
        is_large = (self._identity() or _NO_FILE)[2] >= _MANY
        return _Cursor(connection) if is_large else connection.cursor()

    def unsure(self, rows: Any) -> Any:
        return unsure(rows)

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()


def are_plain(connection: sqlite3.Connection) -> bool:
    """Whether CrewAI's ``load`` surely finds only rows that it can decode."""
    try:
        if connection.execute("PRAGMA encoding").fetchall() != [("UTF-8",)]:
            return False  # where a BLOB's odd byte would not be among the texts
        ((pages,),) = connection.execute("PRAGMA cache_size").fetchall()
        connection.execute(f"PRAGMA cache_size={_FEW}")
        ((count, outputs, inputs, *texts),) = connection.execute(_ALL).fetchall()
        connection.execute(f"PRAGMA cache_size={pages}")
    except sqlite3.OperationalError as error:
        if _LOCKED.match(str(error)):  # it has been waited for
            raise
        return False
    except (sqlite3.Error, MemoryError):
        return False
    if count == 0:
        return True
    if not count == outputs == inputs:  # NULL isn't among the texts
        return False
    try:
        return all(_core.are_plain_texts(joined, count) for joined in texts[:2])
    except (TypeError, _core.CoreError):
        return False


def unsure(rows: Any) -> Any:
    """The rows to decode: nobody asks for the values, only for what decoding raises."""
    try:
        return _core.rows_to_decode(rows, _TEXTS)
    except (TypeError, Declined, _core.CoreError):
        return rows


def update(site: Site, kept: type[Session] = Session) -> Callable[..., Any]:
    """Build the replacement of ``TaskOutputStorageHandler.update``."""
    from crewai.memory.storage import kickoff_task_outputs_storage as module

    handler: Any = site.namespace
    handler_load = vars(handler)["load"]
    kind = vars(module)["KickoffTaskOutputsSQLiteStorage"]
    original_load, original_add = (original_of(vars(kind)[name]) for name in ("load", "add"))
    texts = [text for text in original_load.__code__.co_consts if isinstance(text, str)]
    if _LOAD not in [" ".join(text.split()) for text in texts]:
        raise TargetError("load reads something else")
    load = recompiled(
        original_load,
        {
            CONNECT: "self.reading()",
            "conn.cursor()": "self.cursor(conn)",
            "cursor.fetchall()": "self.unsure(cursor.fetchall())",
        },
        {},
    )
    add = recompiled(original_add, {CONNECT: "self.writing()"}, {})
    store_lock = original_of(vars(module)["store_lock"])
    lock_store = vars(sys.modules[store_lock.__module__])

    def fast(self: Any, task_index: Any, log: Any) -> None:
        if type(self) is not handler or "load" in vars(self):
            raise Declined("another handler")
        storage = self.storage
        if type(storage) is not kind or not {"load", "add"}.isdisjoint(vars(storage)):
            raise Declined("another storage")
        if original_of(vars(kind)["load"]) is not original_load:
            raise Declined("patched: storage")
        if original_of(vars(kind)["add"]) is not original_add:
            raise Declined("patched: storage")
        if vars(handler)["load"] is not handler_load:
            raise Declined("patched: load")
        if type(log) is not dict or log.keys() != _LOG or log["was_replayed"] is not False:
            raise Declined("not a new output")
        if type(storage.db_path) is not str:
            raise Declined("not a path")
        own = vars(module)
        if own["sqlite3"] is not sqlite3 or sqlite3.connect is not _connect:
            raise Declined("patched: sqlite3")
        check_reading(own["json"])
        if own["closing"] is not closing:
            raise Declined("patched: closing")
        kept.check(storage)
        if (
            original_of(own["store_lock"]) is store_lock
            and lock_store["_backend"] is None
            and not lock_store["_REDIS_URL"]
        ):
            under_lock(storage, log)
        else:
            before_lock(storage, log)

    def under_lock(storage: Any, log: dict[str, Any]) -> None:
        session, failed = kept(storage, load), None
        try:
            add(session, **log)
        except Exception as error:
            if session.began:
                raise
            failed = error
        if failed is None:
            return
        first = Session(storage)  # no lock: what loading says comes first
        try:
            load(first)
        finally:
            first.close()
        raise failed

    def before_lock(storage: Any, log: dict[str, Any]) -> None:
        session = Session(storage)
        try:
            load(session)
            add(session, **log)
        finally:
            session.close()

    return fast


ROUTES = (
    Route(
        name="tasks.output-log",
        target=f"{_MODULE}:TaskOutputStorageHandler.update",
        why="the table is opened twice and decoded whole for each task (1.6 ms of CPU)",
        build=update,
        reads=(
            f"{_MODULE}:TaskOutputStorageHandler.load",
            f"{_STORAGE}:KickoffTaskOutputsSQLiteStorage.load",
            f"{_STORAGE}:KickoffTaskOutputsSQLiteStorage.add",
        ),
    ),
)
