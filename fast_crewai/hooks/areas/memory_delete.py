"""Deletions by category or metadata: CrewAI's own code, which is given rows without vectors.

It makes a record of each row only to look at its categories, metadata and time. But a vector that
lacks a number makes no record: only of a table in RAM it is known that there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.memory_records import COLUMNS, Records
from fast_crewai.hooks.areas.memory_storage import TABLES, Handles, prefix_of
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Site

_SCAN = "self._scan_rows"


def delete(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``LanceDBStorage.delete``."""
    own, kind = vars(site.module), cast("Any", site.namespace)
    handles, records = Handles(kind), Records(own)
    to_record, scan_rows = kind._row_to_record, kind._scan_rows

    def rows_of(storage: Any, scope: Any) -> Any:
        handle = handles.check(storage)
        records.check()
        if kind._row_to_record is not to_record or kind._scan_rows is not scan_rows:
            raise Declined("patched: LanceDBStorage")
        table, prefix = TABLES.known(storage), prefix_of(scope)
        limit = scan_rows.__defaults__[1]
        if table is None or table.summary(storage, prefix, limit) is None:
            raise Declined("not in RAM")
        query = handle.search()
        if prefix is not None:
            query = query.where(own["_scope_prefix_filter"](prefix))
        return query.select(list(COLUMNS[:-1])).limit(limit).to_list()

    def scan(storage: Any, scope: Any) -> Any:
        try:
            return rows_of(storage, scope)
        except Exception:  # whatever it is: CrewAI's own scan, which changes nothing
            pass
        return storage._scan_rows(scope)

    return recompiled(site.original, {_SCAN: "_fc_scan"}, {"_fc_scan": scan})
