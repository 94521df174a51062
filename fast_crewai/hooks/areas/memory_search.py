"""A storage's search, in the table's copy in RAM; and the writes that the copy follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.memory_records import Records
from fast_crewai.hooks.areas.memory_storage import TABLES, Handles, check_query, prefix_of
from fast_crewai.hooks.route import Site


def search(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``LanceDBStorage.search``."""
    handles, records = Handles(site.namespace), Records(vars(site.module))

    def fast(
        self: Any,
        query_embedding: Any,
        scope_prefix: Any,
        categories: Any,
        metadata_filter: Any,
        limit: Any,
        min_score: Any,
    ) -> Any:
        handles.check(self)
        records.check()
        check_query(query_embedding, self, limit)
        if type(min_score) not in (float, int):
            raise Declined("an odd score")
        prefix = prefix_of(scope_prefix)
        size = limit * 3 if (categories or metadata_filter) else limit
        (hits,) = TABLES.of(self).search(self, [query_embedding], [prefix], size, records.native)
        if not categories and not metadata_filter and min_score <= 0:
            return hits
        found: list[Any] = []
        for record, score in hits:
            if categories and not any(label in record.categories for label in categories):
                continue
            if metadata_filter and not all(
                record.metadata.get(name) == value for name, value in metadata_filter.items()
            ):
                continue
            if score >= min_score:
                found.append((record, score))
            if len(found) >= limit:
                break
        return found

    return fast


def write(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``LanceDBStorage._do_write``: CrewAI's own, and a note of it."""
    original, kind = site.original, site.namespace

    def fast(self: Any, op: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, op, *args, **kwargs)
        table = TABLES.known(self) if type(self) is kind else None  # others may have no hash
        if table is not None:
            try:
                table.note(self._table, op, args, kwargs)
            except Exception:  # an odd storage; what can't be followed is loaded again
                table.drop()
        return result

    return fast
