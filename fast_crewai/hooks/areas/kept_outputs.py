"""FAST_CREWAI_FIX=kept-connections: the store of task outputs keeps its connection.

CrewAI's own functions, compiled again: locks, statements, commits and exceptions are theirs, and
each write is synced as before. What goes is what opening and closing cost, and with a connection
that sees all changes it is known that the rows in the table can still be decoded.
"""

from __future__ import annotations

import _sqlite3
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from functools import partial
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas import task_log
from fast_crewai.hooks.areas.kept_connections import Connection, Connections, Use, is_possible
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.dispatch import original_of
from fast_crewai.hooks.route import Route, Site, TargetError

_STORAGE = "crewai.memory.storage.kickoff_task_outputs_storage"
_KIND = "KickoffTaskOutputsSQLiteStorage"
_HANDLER = "crewai.utilities.task_output_storage_handler"
_LOCK = "crewai_core.lock_store:lock"
_TABLE = "latest_kickoff_task_outputs"
_WRITTEN = f"SELECT output, inputs FROM {_TABLE} WHERE rowid = last_insert_rowid()"

_connect = _sqlite3.connect


def _lock_of(path: str) -> Any:
    """CrewAI's lock of a store, if it is the one that we know."""
    module = sys.modules.get(_STORAGE)
    if module is None or _other_lock(vars(module)):
        return nullcontext()
    return vars(module)["store_lock"](f"sqlite:{os.path.realpath(path)}", timeout=5)


def _other_lock(own: dict[str, Any]) -> bool:
    locks = vars(sys.modules["crewai_core.lock_store"])
    ours = original_of(own["store_lock"]) is original_of(locks["lock"])
    return not ours or locks["_backend"] is not None or bool(locks["_REDIS_URL"])


CONNECTIONS = Connections(_lock_of)


def _check(own: dict[str, Any], storage: Any) -> None:
    """Raise Declined, with the file closed, unless the storage may use a kept connection."""
    try:
        if type(storage) is not own[_KIND]:
            raise Declined("another storage")
        if own["sqlite3"] is not sqlite3 or sqlite3.connect is not _connect:
            raise Declined("patched: sqlite3")
        if own["closing"] is not closing:
            raise Declined("patched: closing")
        if _other_lock(own):
            raise Declined("another lock")
        CONNECTIONS.check(storage.db_path)
    except Declined:
        CONNECTIONS.let_go(getattr(storage, "db_path", None))
        raise


class _Kept(Use):
    """The connection for one of the storage's functions; ``checked`` as in ``_storage``."""

    __slots__ = ("_checked",)

    def __init__(self, checked: bool, storage: Any) -> None:
        super().__init__(CONNECTIONS, storage.db_path)
        self._checked = checked

    def __enter__(self) -> Any:
        kept = super().__enter__()
        if not self._checked:
            kept.checked = None
        return kept.sqlite


def _storage(site: Site, checked: bool) -> Callable[..., Any]:
    """Build a function of the storage; ``checked`` ones leave no row that can't be decoded."""
    if not is_possible():
        raise TargetError("not proven on this platform")
    own = vars(site.module)
    function = recompiled(
        site.original, {task_log.CONNECT: "_fc_kept(self)"}, {"_fc_kept": partial(_Kept, checked)}
    )

    def fast(self: Any, *arguments: Any, **options: Any) -> Any:
        _check(own, self)
        return function(self, *arguments, **options)

    return fast


class _Session(task_log.Session):
    """The storage in its ``load`` and ``add``, which share a kept connection."""

    @staticmethod
    def check(storage: Any) -> None:
        _check(vars(sys.modules[_STORAGE]), storage)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        if self._lent is not None:
            yield self._lent.sqlite
            return
        with closing(sqlite3.connect(self.db_path, timeout=30)) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        self.began = True
        with ExitStack() as stack:
            self._lent = kept = self._use(stack)
            if not _is_checked(kept):
                self._check(kept)
            before = kept.sqlite.total_changes
            yield kept.sqlite
            if kept.checked is not None and not _is_well(kept, before):
                kept.checked = None

    _lent: Connection | None = None
    _sure = True

    def unsure(self, rows: Any) -> Any:
        found = task_log.unsure(rows)
        self._sure = not found
        return found

    def _use(self, stack: ExitStack) -> Connection:
        try:
            return stack.enter_context(CONNECTIONS.use(self.db_path))
        except sqlite3.Error as error:
            failed = error
        self.look()  # says so first
        raise failed

    def _check(self, kept: Connection) -> None:
        """Read the table, as CrewAI does; remember if nothing in it can raise."""
        kept.checked, state = None, _state(kept)
        self.look()
        if state is not None and self._sure:
            kept.checked = state


def _state(kept: Connection) -> Any:
    try:
        return kept.state()
    except (sqlite3.Error, OSError):
        return None


def _is_checked(kept: Connection) -> bool:
    return kept.checked is not None and kept.checked == _state(kept)


def _is_well(kept: Connection, before: int) -> bool:
    """Whether just one row was written, and can be decoded."""
    try:
        rows = kept.sqlite.execute(_WRITTEN).fetchall()
    except sqlite3.Error:
        return False
    alone = len(rows) == 1 and kept.sqlite.total_changes == before + 1
    return alone and not task_log.unsure([(None, None, None, rows[0][0], None, rows[0][1])])


def _update(site: Site) -> Callable[..., Any]:
    if not is_possible():
        raise TargetError("not proven on this platform")
    return task_log.update(site, _Session)


def _route(name: str, method: str, checked: bool) -> Route:
    return Route(
        name=f"database.fix-kept-{name}",
        target=f"{_STORAGE}:{_KIND}.{method}",
        why="FAST_CREWAI_FIX=kept-connections: one sync for a write instead of five",
        build=partial(_storage, checked=checked),
        reads=(_LOCK,),
        let_go=CONNECTIONS.let_go,
    )


ROUTES = (
    _route("start", "_initialize_db", True),
    _route("add", "add", False),
    _route("update", "update", False),
    _route("load", "load", True),
    _route("delete", "delete_all", True),
    Route(
        name="database.fix-kept-log",
        target=f"{_HANDLER}:TaskOutputStorageHandler.update",
        why="FAST_CREWAI_FIX=kept-connections: the table is read again only if others changed it",
        build=_update,
        reads=(
            _LOCK,
            f"{_HANDLER}:TaskOutputStorageHandler.load",
            f"{_STORAGE}:{_KIND}.load",
            f"{_STORAGE}:{_KIND}.add",
        ),
        let_go=CONNECTIONS.let_go,
    ),
)
