"""What CrewAI counts by turning rows into dicts, counted in columns: LanceDB's same query.

Only the form in which rows come is another, so that what is seen is the same by construction.
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.memory_storage import Handles, prefix_of
from fast_crewai.hooks.dispatch import is_active
from fast_crewai.hooks.route import Site

_loads = json.loads
_is_own_json = getattr(_loads, "__globals__", None) is vars(json)
_ATOMS = frozenset((str, int, float, bool, type(None)))
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?$"


class Columns:
    """``LanceDBStorage._scan_rows``, by columns."""

    def __init__(self, site: Site) -> None:
        self.own = vars(site.module)
        self._storage, self._handles = site.namespace, Handles(site.namespace)

    def scan(self, storage: Any, scope: Any, columns: list[str]) -> Any:
        """The rows' Arrow table. Raises Declined for a row that lacks a value."""
        handle = self._handles.check(storage)
        if is_active(vars(self._storage).get("_scan_rows")):
            raise Declined("all rows are asked for (FAST_CREWAI_FIX)")
        own = self.own
        if not _is_own_json or own["json"] is not json or json.loads is not _loads:
            raise Declined("patched: json")
        if own["datetime"] is not datetime.datetime:
            raise Declined("patched: datetime")
        prefix = prefix_of(scope)
        query = handle.search()
        if prefix is not None:
            query = query.where(own["_scope_prefix_filter"](prefix))
        table = query.select(columns).limit(own["_SCAN_ROWS_LIMIT"]).to_arrow()
        if any(str(table.schema.field(n).type) not in ("string", "double") for n in columns):
            raise Declined("a table of other columns")
        if any(column.null_count for column in table.columns):
            raise Declined("a row that lacks values")
        return table


def _check_times(column: Any) -> Any:
    """The times of a column of texts. Raises Declined unless all are as CrewAI writes them."""
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.compute  # type: ignore[import-untyped]

    if not pyarrow.compute.all(
        pyarrow.compute.match_substring_regex(column, _TIME), min_count=0
    ).as_py():
        raise Declined("a time of another form")
    try:
        return column.cast(pyarrow.timestamp("us"))
    except pyarrow.ArrowInvalid as error:
        raise Declined("a text that is no time") from error


def _children(scopes: list[str], prefix: str) -> list[str]:
    found = set()
    for scope in scopes:
        if scope.startswith(prefix):
            first = scope[len(prefix) :].split("/", 1)[0]
            if first:
                found.add(prefix + first)
    return sorted(found)


def list_scopes(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``LanceDBStorage.list_scopes``."""
    columns = Columns(site)

    def fast(self: Any, parent: Any) -> Any:
        if type(parent) is not str:
            raise Declined("an odd scope")
        prefix = parent.rstrip("/") + "/"
        table = columns.scan(self, prefix if prefix != "/" else None, ["scope"])
        return _children(table["scope"].unique().to_pylist(), prefix)

    return fast


def list_categories(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``LanceDBStorage.list_categories``."""
    columns = Columns(site)

    def fast(self: Any, scope_prefix: Any) -> Any:
        table = columns.scan(self, scope_prefix, ["categories_str"])
        counts: dict[Any, int] = {}
        for pair in table["categories_str"].value_counts().to_pylist():
            try:
                labels = _loads(pair["values"] or "[]")
            except Exception:
                continue
            for label in labels:
                counts[label] = counts.get(label, 0) + pair["counts"]
        return counts

    return fast


def get_scope_info(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``LanceDBStorage.get_scope_info``."""
    columns = Columns(site)

    def fast(self: Any, scope: Any) -> Any:
        import pyarrow.compute

        if type(scope) is not str:
            raise Declined("an odd scope")
        path = scope.rstrip("/") or "/"
        prefix = path if path != "/" else ""
        if prefix and not prefix.startswith("/"):
            prefix = "/" + prefix
        table = columns.scan(self, prefix or None, ["scope", "categories_str", "created_at"])
        info = columns.own["ScopeInfo"]
        if not table.num_rows:
            return info(
                path=path,
                record_count=0,
                categories=[],
                oldest_record=None,
                newest_record=None,
                child_scopes=[],
            )
        labels: set[Any] = set()
        for text in table["categories_str"].unique().to_pylist():
            with contextlib.suppress(Exception):  # as CrewAI
                labels.update(_loads(text or "[]"))
        times = pyarrow.compute.min_max(_check_times(table["created_at"])).as_py()
        return info(
            path=path,
            record_count=table.num_rows,
            categories=sorted(labels),
            oldest_record=times["min"],
            newest_record=times["max"],
            child_scopes=_children(table["scope"].unique().to_pylist(), prefix + "/"),
        )

    return fast


def _parsed(text: str, kind: type) -> Any:
    try:
        value = _loads(text) if text else kind()
    except ValueError as error:
        raise Declined("a row that is no record") from error
    if type(value) is not kind:
        raise Declined("a row that is no record")
    return value
