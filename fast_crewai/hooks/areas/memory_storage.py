"""CrewAI's LanceDB storage as we know it; whatever else it may be is not ours."""

from __future__ import annotations

import os
import sys
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.memory_mirror import Tables

MODULE = "crewai.memory.storage.lancedb_storage"
TABLES = Tables()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=TABLES.forget_locks)

_LONGEST = 1000  # results
_INLINED = frozenset(("_scan_rows", "_row_to_record"))


class Handles:
    """Knows LanceDB's table class as it was, and looks at storages."""

    def __init__(self, storage: Any) -> None:
        from lancedb.table import AsyncTable, LanceTable

        self._storage = storage
        self._table: Any = LanceTable
        self._inner: Any = AsyncTable
        self._methods = self._now()

    def _now(self) -> tuple[Any, ...]:
        table, inner = vars(self._table), vars(self._inner)
        names = ("search", "version", "count_rows", "take_row_ids")
        return *map(table.get, names), *map(inner.get, ("query", "version", "vector_search"))

    def check(self, storage: Any) -> Any:
        """The storage's table. Raises Declined if anything about it isn't LanceDB's own."""
        if type(storage) is not self._storage:
            raise Declined("another storage")
        if not _INLINED.isdisjoint(vars(storage)):
            raise Declined("patched: this storage")
        table = vars(storage).get("_table")
        if type(table) is not self._table or type(table._table) is not self._inner:
            raise Declined("another table" if table is not None else "no table")
        if "search" in vars(table) or "version" in vars(table) or self._now() != self._methods:
            raise Declined("patched: LanceTable")
        return table


def prefix_of(scope: Any) -> str | None:
    """What scopes must start with: the prefix that ``LanceDBStorage.search`` filters by."""
    if scope is None:
        return None
    if type(scope) is not str or not scope.isprintable():
        raise Declined("an odd scope")
    return scope.rstrip("/") if scope.strip("/") else None


def check_query(query: Any, storage: Any, limit: Any) -> None:
    dim = storage._vector_dim
    if type(query) is not list or type(dim) is not int or len(query) != dim:
        raise Declined("a query of another kind or length")
    if type(limit) is not int or not 0 < limit <= _LONGEST:
        raise Declined("an odd limit")


def loaded(name: str) -> Any:
    return sys.modules.get(name)
