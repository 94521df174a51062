"""Deletions by category or metadata: CrewAI's own code, which is given rows without vectors.

It makes a record of each row only to look at its categories, metadata and time. Rows that don't
have one of the categories are left out if the table in RAM shows that all of them make records;
else the vectors are looked at batch by batch, for one that lacks a number makes no record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.memory_records import COLUMNS, Records
from fast_crewai.hooks.areas.memory_storage import TABLES, Handles, prefix_of
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Site

_SCAN = "self._scan_rows(scope_prefix)"
_TEXTS = list(COLUMNS[:-1])


def delete(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``LanceDBStorage.delete``."""
    own, kind = vars(site.module), cast("Any", site.namespace)
    handles, records = Handles(kind), Records(own)
    to_record, scan_rows = kind._row_to_record, kind._scan_rows

    def rows_of(storage: Any, scope: Any, categories: Any) -> Any:
        handle = handles.check(storage)
        records.check()
        if kind._row_to_record is not to_record or kind._scan_rows is not scan_rows:
            raise Declined("patched: LanceDBStorage")
        prefix = prefix_of(scope)
        ids = _candidates(storage, prefix, categories)
        if ids is not None and not ids:
            return []
        query = handle.search()
        if prefix is not None:
            query = query.where(own["_scope_prefix_filter"](prefix))
        query = query.limit(scan_rows.__defaults__[1])
        if ids is None:
            return _without_vectors(query)
        rows = query.select(_TEXTS).to_list()
        return [row for row in rows if row["id"] in ids]

    def scan(storage: Any, scope: Any, categories: Any) -> Any:
        try:
            return rows_of(storage, scope, categories)
        except Exception:  # whatever it is: CrewAI's own scan, which changes nothing
            pass
        return storage._scan_rows(scope)

    return recompiled(
        site.original,
        {_SCAN: "_fc_scan(self, scope_prefix, categories)"},
        {"_fc_scan": scan},
    )


def _candidates(storage: Any, prefix: str | None, categories: Any) -> Any:
    """The ids of the rows that have one of the categories; None if that isn't known."""
    table = TABLES.known(storage)
    if table is None or type(categories) is not list or not categories:
        return None
    if any(type(label) is not str for label in categories):
        return None
    try:
        ids = table.labelled(storage, prefix, categories)
    except Declined:
        return None
    return None if ids is None else set(ids)


def _without_vectors(query: Any) -> list[dict[str, Any]]:
    """The rows of a query. Raises Declined if a vector of theirs lacks a number."""
    rows: list[dict[str, Any]] = []
    for batch in query.to_batches():
        vectors = batch.column("vector")
        if not str(vectors.type).startswith("fixed_size_list<item: float>["):
            raise Declined("vectors of another kind")
        if vectors.null_count or vectors.flatten().null_count:
            raise Declined("a row that lacks values")
        rows.extend(batch.select(_TEXTS).to_pylist())
    return rows
