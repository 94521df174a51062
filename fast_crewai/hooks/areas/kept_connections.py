"""Connections to SQLite files that stay open between uses, and what keeps that safe.

Python's own ``sqlite3``, one connection for each file. It is lent to one thread at a time; whoever
comes meanwhile opens another one, so nobody waits here. Before each use the file, its ``-wal`` and
``-shm`` must be those that the connection has open.

SQLite's locks are POSIX's: a process loses them as soon as anything in it closes the file (a copy
is enough), and others may then remove the ``-wal``. So the two locks that a connection holds all
the time are held once more, by Linux's locks of an open file, which only end with it. They also
keep SQLite from writing the ``-wal`` into the file when a connection is closed whose file isn't
there any more.

To sync a write costs twice as much if the ``-wal`` has become longer, so it is made longer in a few
steps, by zeros, up to the size that it would reach anyway.
"""

from __future__ import annotations

import atexit
import os
import sqlite3
import struct
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fast_crewai._core import Declined

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

_MOST = 8  # files
_MANY = 1000  # files, whose failures are counted
_TRIES = 3  # until a file whose connection can't be kept is left alone
# SQLite's: "shared" in the file, and "somebody has this open" in the -shm.
_SHARED = (0x40000002, 510)
_ALIVE = (128, 1)

# The beginning of a -shm: its version, …, the size of a page, and how many of them the -wal has.
_INDEX, _INDEX_VERSION = struct.Struct("=I10xHI"), 3007000
_WAL_HEAD, _FRAME_HEAD = 32, 24
_SPARE = 1 << 26  # bytes of the disk that are left to others
_FEW_BYTES, _STEP, _ENOUGH = 1 << 15, 1 << 16, 1 << 22  # SQLite empties a -wal of 1,000 pages

_NOTHING: Any = (None,) * 6

Files = tuple[Any, ...]


def is_possible() -> bool:
    """Whether this platform has locks that belong to an open file, and tells of them."""
    known = hasattr(fcntl, "F_OFD_SETLK") and sys.maxsize > 1 << 32
    return sys.platform == "linux" and known and os.path.isdir("/proc/self/fdinfo")  # noqa: PTH112


def _set_lock(handle: int, kind: int, place: tuple[int, int]) -> None:
    fcntl.fcntl(handle, fcntl.F_OFD_SETLK, struct.pack("hhqqi0q", kind, 0, *place, 0))


def _lock(handle: int, place: tuple[int, int]) -> bool:
    """Hold the lock as long as the file is open there; whether the system says that we do."""
    _set_lock(handle, fcntl.F_RDLCK, place)
    with open(f"/proc/self/fdinfo/{handle}") as told:  # noqa: PTH123
        locks = [line.split() for line in told if line.startswith("lock:")]
    return any(line[2] == "OFDLCK" and line[-2] == str(place[0]) for line in locks)


def _handles() -> dict[int, Any]:
    """All files that are open here: handle → place."""
    found = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with suppress(OSError):
            found[int(name)] = _place(os.fstat(int(name)))
    return found


def _place(status: Any) -> Any:
    """Inode and device."""
    return status[1:3]


def _place_at(path: str) -> Any:
    try:
        return os.stat(path)[1:3]  # noqa: PTH116
    except OSError:
        return None


class Connection:
    """One connection, and the files that it has open."""

    def __init__(self, path: str) -> None:
        self.path = path
        real = os.path.realpath(path)
        self._folder, self._wal, self._shm = os.path.dirname(real), f"{real}-wal", f"{real}-shm"  # noqa: PTH120
        self.checked: Any = None  # for whoever uses it: the state in which it found all well
        self._before = set(_handles())
        self._files: Files | None = None
        self._locked: tuple[int, ...] = ()
        self.sqlite = sqlite3.connect(path, timeout=30, check_same_thread=False)

    def is_there(self) -> bool:
        """Whether a new connection would open the same files, and as far as it may."""
        return self._files is not None and self._files == self._look()

    def can_be_kept(self) -> bool | None:
        """After a use: whether all is as it was, and nobody can take our locks away.

        None if they can't be had here.
        """
        if self.sqlite.in_transaction:
            return False
        if self._files is None:
            return self._hold()
        file, wal, *_ = self._files
        try:
            journal = os.stat(self._wal)  # noqa: PTH116
        except OSError:
            return False
        if _place_at(self.path) != file or _place(journal) != wal:
            return False
        return journal.st_size >= _ENOUGH or self._make_room(journal.st_size)

    def state(self) -> Any:
        """What changes if anybody else changes the content."""
        status = os.stat(self.path)  # noqa: PTH116
        version = self.sqlite.execute("PRAGMA data_version").fetchone()
        return version, status.st_size, status.st_mtime_ns

    def close(self) -> None:
        """As CrewAI closes; but nothing is written into files that are not ours any more."""
        if self._files is None:
            self.sqlite.close()
            return
        file, *journal = self._look()[:3]
        mine, *known = self._files[:3]
        moved = file != mine
        if moved or any(now not in (None, then) for now, then in zip(journal, known, strict=True)):
            if moved and os.fstat(self._locked[0]).st_nlink:  # it has another name now
                with suppress(sqlite3.Error):
                    self.sqlite.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self.sqlite.close()  # only closes: our lock says that somebody else is there
            with suppress(OSError):  # SQLite leaves the handle to other connections of this process
                if _place(os.fstat(self._locked[0])) == mine:
                    self._unlock()
        else:
            self._unlock()
            self.sqlite.close()
        if moved:
            paths = self._wal, self._shm
            for path, now, then in zip(paths, journal, known, strict=True):
                if now == then:  # nobody's, and the next database's if it stays
                    with suppress(OSError):
                        os.unlink(path)  # noqa: PTH108

    def _look(self) -> Files:
        """What is at the three places: device and inode; and whether it may be opened."""
        try:
            file: Any = os.stat(self.path)  # noqa: PTH116
            folder: Any = os.stat(self._folder)  # noqa: PTH116
        except OSError:
            file = folder = _NOTHING
        return (
            _place(file),
            _place_at(self._wal),
            _place_at(self._shm),
            (file[0], file[4:6], folder[:3], folder[4:6], os.geteuid()),
        )

    def _make_room(self, size: int) -> bool:
        """Make the ``-wal`` longer if it is nearly full. SQLite reads no further than it wrote.

        Whether the connection is as it was.
        """
        version, page, pages = _INDEX.unpack(os.pread(self._locked[1], _INDEX.size, 0))
        used = _WAL_HEAD + pages * (_FRAME_HEAD + page)
        if version != _INDEX_VERSION or used < _FEW_BYTES or size - used > _FEW_BYTES // 2:
            return True
        try:
            self.sqlite.execute("PRAGMA busy_timeout=0")
            try:
                self.sqlite.execute("BEGIN IMMEDIATE")  # nobody else writes there meanwhile
            except sqlite3.OperationalError:
                pass
            else:
                try:
                    self._fill(used)
                finally:
                    self.sqlite.execute("ROLLBACK")
            self.sqlite.execute("PRAGMA busy_timeout=30000")
        except (sqlite3.Error, OSError):
            return False
        return True

    def _fill(self, used: int) -> None:
        handle = os.open(self._wal, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            status = os.fstat(handle)
            size, more = status.st_size, max(used, _STEP)
            system = os.fstatvfs(handle)
            if system.f_bavail * system.f_frsize < _SPARE:
                return
            if _place(status) == self._files[1] and size < _ENOUGH:  # type: ignore[index]
                os.pwrite(handle, bytes(min(more, _ENOUGH - size)), size)
        finally:
            os.close(handle)

    def _hold(self) -> bool | None:
        files = self._look()
        file, wal, shm, _ = files
        if None in (wal, shm):  # another kind of journal, or removed
            return None
        handles = _handles()
        opened = [h for h, place in handles.items() if place == file and h not in self._before]
        index = [h for h, place in handles.items() if place == shm]
        # Other connections of this process may have come, too; they share the -shm with ours.
        if len(opened) != 1 or len(index) != 1 or wal not in handles.values():
            return False
        self._locked = opened[0], index[0]
        try:
            held = _lock(opened[0], _SHARED) and _lock(index[0], _ALIVE)
        except OSError:
            held = False
        if not held:
            self._unlock()
            return None
        if files != self._look():
            self._unlock()
            return False
        self._files = files
        return True

    def _unlock(self) -> None:
        """Let SQLite have the file for itself. The -shm may be another connection's, too."""
        with suppress(OSError):
            _set_lock(self._locked[0], fcntl.F_UNLCK, _SHARED)


class Use:
    """A connection as long as a ``with`` statement."""

    __slots__ = ("_connections", "_kept", "_path")

    def __init__(self, connections: Connections, path: str) -> None:
        self._connections, self._path = connections, path

    def __enter__(self) -> Connection:
        self._kept = self._connections.take(self._path)
        return self._kept

    def __exit__(self, kind: Any, *_: object) -> None:
        self._connections.give_back(self._kept, kind is None)


class Connections:
    """The connections of this process that nobody uses just now; the newest of them."""

    def __init__(self, locked: Callable[[str], Any]) -> None:
        self._locked = locked
        self._inherited: list[Any] = []  # never used, never closed
        self._busy: set[Connection] = set()
        self._awaits_fork = False
        self._begin()

    def _begin(self) -> None:
        self._mutex = threading.RLock()  # a signal's handler may come here, too
        self._idle: OrderedDict[str, Connection] = OrderedDict()
        self._failed: dict[str, int] = {}
        self._pid = os.getpid()
        self._forking = 0
        self._ends = self._awaits_end = False

    def check(self, path: Any) -> None:
        """Raise Declined if a connection to that file isn't for us to keep."""
        if type(path) is not str or not os.path.isabs(path):  # noqa: PTH117
            raise Declined("not a path that stays")
        if self._pid != os.getpid():
            self._leave_to_parent()
        if self._ends or self._forking:
            raise Declined("the process ends or forks")
        if self._failed.get(path, 0) >= _TRIES:
            raise Declined("a connection to this file can't be kept")

    def use(self, path: str) -> Use:
        """The connection, which nobody else has meanwhile; closed after an exception."""
        return Use(self, path)

    def let_go(self, path: Any = None) -> None:
        """Close what nobody uses: all, or the connection to one file. Never raises."""
        if self._pid != os.getpid():
            self._leave_to_parent()
        with self._mutex:
            if path is None:
                idle = [*self._idle.values()]
                self._idle.clear()
            else:
                found = self._idle.pop(path, None) if type(path) is str else None
                idle = [] if found is None else [found]
        for kept in idle:
            with suppress(Exception):
                kept.close()

    def end(self) -> None:
        """At exit: as if every use had closed its connection."""
        self._ends = True
        for path in tuple(self._idle):
            with suppress(Exception), self._locked(path):
                self.let_go(path)
        self.let_go()

    def take(self, path: str) -> Connection:
        with self._mutex:
            kept = self._idle.pop(path, None)
            if kept is not None:
                self._busy.add(kept)
        if kept is not None and not kept.is_there():
            self._busy.discard(kept)
            kept.close()
            kept = None
        if kept is None:
            kept = Connection(path)
            self._busy.add(kept)
        return kept

    def give_back(self, kept: Connection, well: bool) -> None:
        good: bool | None = False
        try:
            if well and self._has_room(kept):
                good = kept.can_be_kept()
        finally:
            self._busy.discard(kept)
            if not good:
                kept.close()
        if good is None:
            if len(self._failed) > _MANY:
                self._failed.clear()
            self._failed[kept.path] = self._failed.get(kept.path, 0) + 1
        if not good:
            return
        closed = [kept]
        with self._mutex:
            if self._has_room(kept):
                self._await_end()
                self._idle[kept.path] = kept
                self._failed.pop(kept.path, None)
                closed = [self._idle.popitem(last=False)[1]] if len(self._idle) > _MOST else []
        for each in closed:
            each.close()

    def _has_room(self, kept: Connection) -> bool:
        going = self._ends or self._forking or self._pid != os.getpid()
        return not going and kept.path not in self._idle

    def _await_end(self) -> None:
        if not self._awaits_fork:
            self._awaits_fork = True
            os.register_at_fork(
                before=self._before_fork,
                after_in_parent=self._after_fork,
                after_in_child=self._leave_to_parent,
            )
            atexit.register(self.end)
        process: Any = sys.modules.get("multiprocessing.process")
        if not self._awaits_end and process is not None and process.parent_process() is not None:
            from multiprocessing import util  # its processes may end without atexit

            util.Finalize(None, self.end, exitpriority=0)
        self._awaits_end = True

    def _before_fork(self) -> None:
        """What a process has open, SQLite takes for open in its child, where the locks aren't."""
        self._forking += 1
        self.let_go()

    def _after_fork(self) -> None:
        self._forking -= 1

    def _leave_to_parent(self) -> None:
        ends = self._ends
        self._inherited += [*self._idle.values(), *self._busy]
        self._busy = set()
        self._begin()
        self._ends = ends or bool(self._inherited)
