"""The version of the table that a handle of LanceDB's reads.

``LanceTable.version`` hands a coroutine to LanceDB's event loop, in a thread of its own, which
wakes LanceDB's native threads, is woken by them, and wakes the one that asks. Most of a search's
time went there. The native question is the same here, and so is who answers it; the asking thread
waits for the answer itself.
"""

from __future__ import annotations

import asyncio
import contextvars
import types
from contextlib import suppress
from typing import Any

from fast_crewai._core import Declined, answer_of

_LOOPS = (asyncio._get_running_loop, asyncio._set_running_loop, contextvars.Context)
_PATIENCE = 2.0  # seconds; without an answer until then LanceDB's own way is gone


class Versions:
    """Asks handles as LanceDB asks them; where that is another way, or patched, LanceDB does."""

    def __init__(self) -> None:
        self._is_usable = False
        with suppress(ImportError, LookupError, AttributeError):  # another LanceDB
            self._learn()

    def _learn(self) -> None:
        import lancedb.table
        from lancedb._lancedb import Table
        from lancedb.background_loop import BackgroundEventLoop

        self._own = vars(lancedb.table)
        self._table: Any = lancedb.table.LanceTable
        self._inner: Any = lancedb.table.AsyncTable
        self._native: Any = Table
        self._loop: Any = BackgroundEventLoop
        self._expected = self._now()
        self._is_usable = self._is_known() and callable(vars(Table).get("is_open"))

    def of(self, handle: Any) -> Any:
        """What ``handle.version`` says."""
        if self._is_usable and type(handle) is self._table:
            inner = handle._table
            if (
                type(inner) is self._inner
                and "version" not in vars(inner)
                and type(inner._inner) is self._native
                and self._now() == self._expected
            ):
                native = inner._inner
                # Whenever it is called, LanceDB first frees what its threads could not, which may
                # run anybody's code: not while a loop that is none is the running one.
                native.is_open()
                try:
                    return answer_of(native.version, _LOOPS, _PATIENCE)
                except Declined:  # LanceDB does it in another way, or takes too long
                    self._is_usable = False
        return handle.version

    def _now(self) -> tuple[Any, ...]:
        loop = self._own["LOOP"]
        return (
            vars(self._table).get("version"),
            vars(self._inner).get("version"),
            vars(self._native).get("version"),
            vars(self._loop).get("run"),
            type(loop),
            "run" in vars(loop),
        )

    def _is_known(self) -> bool:
        """Whether a version is asked for in the way that we go, too."""
        found, ask, _, run, loop, is_patched = self._expected
        return (
            type(found) is property
            and _is_own(found.fget, self._table, "LOOP", "run", "_table", "version")
            and _is_own(ask, self._inner, "_inner", "version")
            and _is_own(run, self._loop)
            and loop is self._loop
            and not is_patched
        )


def _is_own(function: Any, kind: Any, *names: str) -> bool:
    """Whether a function is of the class's module, and uses just these names (any if none)."""
    return (
        type(function) is types.FunctionType
        and function.__globals__.get("__name__") == kind.__module__
        and (not names or function.__code__.co_names == names)
    )
