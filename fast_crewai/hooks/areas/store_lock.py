"""CrewAI's store lock, taken as CrewAI takes it, without sleeping through its release.

A lock that is free is taken by portalocker's system calls, without what it does around them. For
all others, portalocker tries, sleeps 0.25 s and tries again: with several crews most of the time
passes that way. The lock stays portalocker's (same file, same handle kept while waiting, same
calls, same exceptions) and is all that excludes anybody. Ours are only the pauses between its
attempts: a thread of this process is woken when another one releases, in the order in which they
came; while another process holds the lock, the first in line looks again within milliseconds, by
the system call that portalocker makes, too, and leaves the attempt to it when that succeeds. A
wake-up that gets lost (an interrupt) costs one pause of portalocker's length.
"""

from __future__ import annotations

import builtins
import os
import sys
import threading
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from time import perf_counter
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.route import Site, TargetError

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

_PAUSE = 0.25  # portalocker's own
# The holder may be a process that takes it again and again: it is free for moments, often.
_NAPS = ((10, 0.0005), (400, 0.002), (float("inf"), 0.01))  # up to which attempt, how long
# portalocker elsewhere finds the lock free only in a pause as long as its own. After so many
# seconds of passing it on among our threads, we leave it alone for that long.
_RUN = 5.0
_REST = 0.3


class Visit:
    """One thread that wants one lock file; it sleeps on ``turn`` until that is released."""

    __slots__ = ("gave_up", "handle", "in_line", "turn")

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.in_line = self.gave_up = False
        self.handle: Any = None  # portalocker's, if an attempt is nothing but this

    def finds_it_locked(self) -> bool:
        """Whether an attempt would fail; if not, it is locked by now, as the attempt will find."""
        if self.handle is None:
            return False
        try:
            fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        return False

    def drop(self) -> None:
        """Nobody has the lock: it may be locked already, and a traceback keeps the handle."""
        handle, self.handle = self.handle, None
        if handle is not None:
            handle.close()


class Held:
    """A lock that is free: what portalocker does with its file, by the same system calls."""

    __slots__ = ("__weakref__", "fh")

    def __init__(self) -> None:
        self.fh: Any = None

    def acquire(self, path: str) -> bool:
        try:
            self.fh = FileIO(path, "a")
            fcntl.flock(self.fh, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            return False
        return True

    def release(self) -> None:
        if self.fh is not None:
            fcntl.flock(self.fh, fcntl.LOCK_UN)
            self.close()

    def close(self) -> None:
        handle, self.fh = self.fh, None  # an interrupt must find nothing to release
        if handle is not None:
            handle.close()


class _Line:
    """The threads of this process that want one lock file, and when they had it."""

    __slots__ = ("holder", "released", "rests_until", "since", "turns")

    def __init__(self) -> None:
        self.turns: deque[Visit] = deque()
        self.holder: weakref.ref[Any] | None = None
        self.since = self.released = self.rests_until = 0.0

    def wake_first(self) -> None:
        if self.turns and self.turns[0].turn.locked():
            self.turns[0].turn.release()

    def is_held_here(self) -> bool:
        lock = self.holder() if self.holder is not None else None
        return lock is not None and lock.fh is not None


class Lines:
    """The line of each lock file that threads of this process hold or want."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """In a forked child, where the threads in line don't exist."""
        self._mutex = threading.RLock()  # a signal's handler may want a lock, too
        self._lines: dict[str, _Line] = {}

    def is_empty(self, path: str) -> bool:
        """Whether no thread here stands in line, and would be overtaken."""
        line = self._lines.get(path)
        return line is None or not line.turns

    def attempts(self, path: str, timeout: float, visit: Visit) -> Iterator[int]:
        """One item for each attempt to lock the file; in between, the thread sleeps."""
        end = perf_counter() + timeout
        tried = not self._join_others(path, visit)
        if tried:
            yield 0
            self._join(path, visit)
            if not visit.finds_it_locked():
                yield 1  # it was released before we stood in line
        number = 0
        while (left := end - perf_counter()) > 0:
            visit.turn.acquire(timeout=min(left, self._pause(path, visit, number)))
            number += 1
            if perf_counter() < end and (self._rests(path) or visit.finds_it_locked()):
                continue
            tried = True
            yield number + 1
        if not tried:
            yield 0  # portalocker takes no attempt for a success
        visit.gave_up = True

    def taken(self, path: str, lock: Any) -> None:
        """A thread of ours has locked the file, with a handle that lives as long as ``lock``."""
        with self._mutex:
            line = self._lines.get(path)
            if line is None:
                line = self._lines[path] = _Line()
            line.holder = weakref.ref(lock)
            now = perf_counter()
            if now - line.released > _PAUSE:
                line.since = now

    def released(self, path: str, lock: Any) -> None:
        with self._mutex:
            line = self._lines.get(path)
            if line is None:  # forked in between
                return
            if line.holder is not None and line.holder() is lock:
                line.holder = None
            line.released = now = perf_counter()
            if not line.turns:
                del self._lines[path]
            elif now - line.since > _RUN:
                line.rests_until = now + _REST
            else:
                line.wake_first()

    def leave(self, path: str, visit: Visit) -> None:
        """The attempts are over, for whatever reason."""
        if not visit.in_line:
            return
        with self._mutex:
            line = self._lines.get(path)
            if line is None or visit not in line.turns:  # forked in between
                return
            line.turns.remove(visit)
            if not line.turns and not line.is_held_here():
                del self._lines[path]
            elif visit.gave_up:
                line.wake_first()

    def _join_others(self, path: str, visit: Visit) -> bool:
        """Stand in line if there is one: no overtaking."""
        if path not in self._lines:
            return False
        with self._mutex:
            line = self._lines.get(path)
            if line is None or not line.turns:
                return False
            self._join(path, visit)
            return True

    def _join(self, path: str, visit: Visit) -> None:
        visit.turn.acquire()
        with self._mutex:
            visit.in_line = True
            line = self._lines.get(path)
            if line is None:
                line = self._lines[path] = _Line()
            line.turns.append(visit)

    def _pause(self, path: str, visit: Visit, number: int) -> float:
        with self._mutex:
            line = self._lines.get(path)
            if line is None:
                return _PAUSE
            rest = line.rests_until - perf_counter()
            if rest > 0:
                return rest
            if line.is_held_here() or not line.turns or line.turns[0] is not visit:
                return _PAUSE
            return next(nap for attempts, nap in _NAPS if number < attempts)

    def _rests(self, path: str) -> bool:
        line = self._lines.get(path)
        return line is not None and line.rests_until > perf_counter()


_lines = Lines()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_lines.forget)


def store_lock(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``crewai_core.lock_store:lock``."""
    if os.name != "posix":
        raise TargetError("not proven on this platform")
    module, original = site.module, site.original
    known, plain = module._redis_available, module.portalocker.Lock
    pauses, get_lock = plain._timeout_generator, plain._get_lock
    utils, system = vars(sys.modules[plain.__module__]), sys.modules["portalocker.portalocker"]
    attempt, flock = system.lock, fcntl.flock
    tells_all = type(attempt) is types.FunctionType and attempt.__module__ == system.__name__
    tells_all = tells_all and type(flock) is types.BuiltinFunctionType

    steps = ("__init__", "acquire", "release", "_get_fh", "_prepare_fh")
    tells_nothing = not getattr(sys.flags, "warn_default_encoding", 0)
    tells_nothing = tells_nothing and type(builtins.open) is types.BuiltinFunctionType
    tells_nothing = tells_nothing and getattr(system.unlock, "__code__", None) is not None
    tells_nothing = tells_nothing and system.unlock.__globals__ is vars(system)

    def now() -> list[Any]:
        functions = [*(getattr(plain, step) for step in steps), system.unlock, builtins.open]
        return [*functions, system.fcntl, plain.__init__.__defaults__]

    def opens_as_usual() -> bool:
        return tells_nothing and now() == usually and "open" not in utils and attempts_as_usual()

    usually = now()

    def attempts_as_usual() -> bool:
        usual = utils["portalocker"] is system and system.lock is attempt
        return tells_all and usual and fcntl.flock is flock and plain._get_lock is get_lock

    class Lock(plain):  # type: ignore[misc, valid-type]
        """portalocker's lock with our pauses."""

        def _timeout_generator(self, timeout: Any, check_interval: Any) -> Iterator[int]:
            return _lines.attempts(self.filename, self.timeout, self.visit)

        def _get_fh(self) -> Any:
            handle = super()._get_fh()
            if attempts_as_usual():
                self.visit.handle = handle
            return handle

    def not_ours() -> str | None:
        if module._backend is not None:
            return "a lock backend of the user's"
        if module._REDIS_URL:
            return "locks in Redis"
        if module._redis_available is not known:
            return "patched: _redis_available"
        lock = module.portalocker.Lock
        if lock is not plain or lock._timeout_generator is not pauses:
            return "patched: portalocker.Lock"
        return None

    def lock(name: str, *, timeout: float) -> Iterator[None]:
        # CrewAI decides when the lock is entered, too: later than it is asked for.
        if not_ours() or type(timeout) not in (int, float) or not 0 < timeout < 1e6:
            with original(name, timeout=timeout):
                yield
            return
        digest = module.md5(name.encode(), usedforsecurity=False).hexdigest()
        path = module.os.path.join(module.tempfile.gettempdir(), f"crewai:{digest}.lock")
        if _lines.is_empty(path) and opens_as_usual():
            free = Held()
            try:
                if free.acquire(path):
                    _lines.taken(path, free)
                    yield
                    return
            finally:
                if free.fh is not None:
                    free.release()
                    _lines.released(path, free)
        exceptions = module.portalocker.exceptions
        try:
            held = Lock(path, timeout=timeout)
            held.visit = visit = Visit()
            try:
                held.acquire()
                _lines.leave(path, visit)
            except BaseException:
                _lines.leave(path, visit)
                held.release()  # an interrupt's traceback would keep it
                visit.drop()
                raise
            visit.handle = None
        except exceptions.BaseLockException as error:
            raise exceptions.LockException(
                f"Failed to acquire lock '{name}' at {path} (timeout={timeout}s). "
                "This commonly occurs in multi-process environments. "
            ) from error
        try:
            _lines.taken(path, held)
            yield
        finally:
            held.release()
            _lines.released(path, held)

    lock.__kwdefaults__ = original.__wrapped__.__kwdefaults__
    lock.__qualname__, lock.__doc__ = original.__qualname__, original.__doc__
    managed = contextmanager(lock)

    def fast(*arguments: Any, **options: Any) -> Any:
        reason = not_ours()
        if reason is not None:
            raise Declined(reason)
        return managed(*arguments, **options)

    return fast
