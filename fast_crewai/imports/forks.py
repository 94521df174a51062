"""Imports that a fork waits for, unless they take too long.

A child that is forked while another thread imports something would wait for that import's lock
without end. Nobody holds a lock of ours while something is imported: two threads could need what
the other one imports.
"""

from __future__ import annotations

import os
import threading
from typing import Any

_PATIENCE = 5.0  # seconds


class Imports:
    """To be entered for each import; a thread may do so several times."""

    def __init__(self) -> None:
        self._free = threading.Condition()  # reentrant: the thread that forks may import as well
        self._threads: dict[int, int] = {}  # who imports → how often it has entered
        self._forking: set[int] = set()  # threads that hold it meanwhile
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before_fork,
                after_in_parent=self._after_fork,
                after_in_child=self._in_child,
            )

    def __enter__(self) -> Imports:
        thread = threading.get_ident()
        with self._free:
            self._threads[thread] = self._threads.get(thread, 0) + 1
        return self

    def __exit__(self, *error: Any) -> None:
        thread = threading.get_ident()
        with self._free:
            self._threads[thread] -= 1
            if not self._threads[thread]:
                del self._threads[thread]
                self._free.notify_all()

    def _before_fork(self) -> None:
        thread = threading.get_ident()
        if self._free.acquire(timeout=_PATIENCE):
            self._forking.add(thread)
            self._free.wait_for(lambda: self._threads.keys() <= {thread}, _PATIENCE)

    def _after_fork(self) -> None:
        thread = threading.get_ident()
        if thread in self._forking:
            self._forking.discard(thread)
            self._free.release()

    def _in_child(self) -> None:
        thread = threading.get_ident()
        self._forking.clear()
        self._free = threading.Condition()
        self._threads = {t: n for t, n in self._threads.items() if t == thread}
