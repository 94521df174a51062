"""Compaction that counts recalls: CrewAI's counts saves only, and each recall is a commit.

It is asked for (``FAST_CREWAI_FIX=memory-files``), since LanceDB may put rows in another order
when it compacts, and of memories that are equally near or equally old the first ones are found.

A commit writes a fragment, a deletion file for each fragment that it takes rows from, and a list
of all fragments. So the table is compacted when touches have written as much as that will write:
what is on disk at most doubles, and is less after many. It is done at the end of a touch, under
its lock: the handle has just read the newest version, and no thread is needed.
Older versions stay for LanceDB's seven days, as with CrewAI's compaction, unless the user says
otherwise: a handle that only reads may be at one of them.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from fast_crewai import config
from fast_crewai._core import Declined
from fast_crewai.hooks.areas.memory_storage import TABLES, Handles
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Site

_ROW = 200  # bytes of a row beside its vector, taken to be
_FIXED = 4096  # bytes of a commit's other files


class Written:
    """What a storage's touches have written since the last compaction."""

    def __init__(self) -> None:
        self.touches = self.bytes = 0


def touch_records(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``LanceDBStorage.touch_records``: CrewAI's own, and the count."""
    from lancedb.table import LanceTable

    handles = Handles(site.namespace)
    optimize: Any = LanceTable.optimize
    seen: weakref.WeakKeyDictionary[Any, Written] = weakref.WeakKeyDictionary()

    def touched(storage: Any, result: Any, ids: Any) -> Any:
        with suppress(Exception):  # the touch is done: nothing here is worth failing for
            table = handles.check(storage)
            if LanceTable.optimize is optimize and "optimize" not in vars(table):
                count(storage, table, len(ids))
        return result

    def count(storage: Any, table: Any, rows: int) -> None:
        every, dim = storage._compact_every, storage._vector_dim
        if type(every) is not int or type(dim) is not int or every <= 0:
            raise Declined("compaction is switched off")
        written = seen.setdefault(storage, Written())
        row = dim * 4 + _ROW
        written.touches += 1
        written.bytes += rows * row + _FIXED + _size_of_manifest(storage, table.version)
        if written.touches < every or written.bytes < table.count_rows() * row:
            return
        written.touches = written.bytes = 0
        minutes = config.load().memory_versions
        # Never 0: other handles, even of this process, may be at the version before.
        older = None if minutes is None else timedelta(minutes=max(1, minutes))
        optimize(table, cleanup_older_than=older)
        known = TABLES.known(storage)
        if known is not None:
            known.compacted()

    write = (
        "self._do_write('update', where=_id_in_filter(record_ids), values={'last_accessed': now})"
    )
    return recompiled(
        site.original,
        {write: f"_fc_touched(self, {write}, record_ids)"},
        {"_fc_touched": touched},
    )


def _size_of_manifest(storage: Any, version: int) -> int:
    name = f"{storage._table_name}.lance/_versions/{(1 << 64) - 1 - version:020}.manifest"
    return os.stat(f"{storage._path}/{name}").st_size  # noqa: PTH116 - after each touch
