"""CrewAI's read-write lock, held for a few steps without user code in between.

Its condition's own lock excludes everybody who wants the read-write lock, so to hold that is
enough: ``_readers`` and ``_writer`` need not change and nobody waits to be notified.
"""

from __future__ import annotations

import threading
from typing import Any

RW_LOCK = "crewai.utilities.rw_lock:RWLock"
_METHODS = ("r_acquire", "r_release", "r_locked", "w_acquire", "w_release", "w_locked")
READS = tuple(f"{RW_LOCK}.{name}" for name in ("__init__", *_METHODS))

_STATE = {"_cond", "_readers", "_writer"}


class ShortRead:
    """What to hold instead of ``lock.r_locked()``."""

    __slots__ = ("_condition", "_inner", "_lock")

    def __init__(self, lock: Any, condition: Any) -> None:
        self._lock = lock
        self._condition = condition
        self._inner = condition._lock

    def __enter__(self) -> None:
        self._inner.acquire()
        if self._lock._writer:
            self._wait()

    def _wait(self) -> None:
        try:
            while self._lock._writer:
                self._condition.wait()
        except BaseException:
            self._inner.release()
            raise

    def __exit__(self, *_: object) -> None:
        self._inner.release()


class Unaltered:
    """Whether a lock is CrewAI's, and nobody has replaced a part of it."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._methods = [(name, vars(kind)[name]) for name in _METHODS]

    def condition_of(self, lock: Any) -> Any:
        """The condition of such a lock, else None."""
        if type(lock) is not self._kind:
            return None
        state = lock.__dict__
        if state.keys() != _STATE or type(state["_cond"]) is not threading.Condition:
            return None
        kind = self._kind
        for name, method in self._methods:
            if kind.__dict__[name] is not method:
                return None
        return state["_cond"]
