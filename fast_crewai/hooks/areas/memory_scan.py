"""What CrewAI counts by turning rows into dicts: counted in RAM where the table is there, else in
the columns of LanceDB's same query, by which only the form in which rows come is another.

A scan reads no more than 50,000 rows: those that come first in the table. A copy in RAM counts the
same ones, as Lance scans fragments in order, and writes rows into new ones, which come last.
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.memory_mirror import Table
from fast_crewai.hooks.areas.memory_storage import TABLES, Handles, prefix_of
from fast_crewai.hooks.areas.own_json import check_reading
from fast_crewai.hooks.dispatch import is_active
from fast_crewai.hooks.route import Site

_loads = json.loads
_fromisoformat = datetime.datetime.fromisoformat
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{6})?$"


class Columns:
    """``LanceDBStorage._scan_rows``, by columns."""

    def __init__(self, site: Site) -> None:
        self.own = vars(site.module)
        self._storage, self._handles = site.namespace, Handles(site.namespace)

    def _check(self, storage: Any) -> Any:
        handle = self._handles.check(storage)
        if is_active(vars(self._storage).get("_scan_rows")):
            raise Declined("all rows are asked for (FAST_CREWAI_FIX)")
        check_reading(self.own["json"])
        if self.own["datetime"] is not datetime.datetime:
            raise Declined("patched: datetime")
        return handle

    def in_ram(self, what: Callable[..., Any], storage: Any, scope: Any) -> Any:
        """``Table.summary`` or ``Table.scopes`` of a table that is in RAM; None otherwise."""
        self._check(storage)  # first: a subclass may have a hash of its own
        table = TABLES.known(storage)
        if table is None:
            return None
        try:
            return what(table, storage, prefix_of(scope), self.own["_SCAN_ROWS_LIMIT"])
        except Declined:
            return None

    def scan(self, storage: Any, scope: Any, columns: list[str]) -> Any:
        """The rows' Arrow table. Raises Declined for a row that lacks a value."""
        handle = self._check(storage)
        own = self.own
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
        scope = prefix if prefix != "/" else None
        scopes = columns.in_ram(Table.scopes, self, scope)
        if scopes is not None:
            return _children(scopes, prefix)
        table = columns.scan(self, scope, ["scope"])
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
        if type(scope) is not str:
            raise Declined("an odd scope")
        path = scope.rstrip("/") or "/"
        prefix = path if path != "/" else ""
        if prefix and not prefix.startswith("/"):
            prefix = "/" + prefix
        rows, scopes, known, others, oldest, newest = _counted(columns, self, prefix or None)
        info = columns.own["ScopeInfo"]
        if not rows:
            return info(
                path=path,
                record_count=0,
                categories=[],
                oldest_record=None,
                newest_record=None,
                child_scopes=[],
            )
        labels: set[Any] = set(known)
        for text in others:
            with contextlib.suppress(Exception):  # as CrewAI
                labels.update(_loads(text or "[]"))
        return info(
            path=path,
            record_count=rows,
            categories=sorted(labels),
            oldest_record=oldest,
            newest_record=newest,
            child_scopes=_children(scopes, prefix + "/"),
        )

    return fast


def _counted(columns: Columns, storage: Any, scope: Any) -> Any:
    """(rows, scopes, labels, categories to read labels from, oldest, newest)."""
    in_ram = columns.in_ram(Table.summary, storage, scope)
    if in_ram is not None:
        *found, oldest, newest = in_ram
        return *found, _time(oldest), _time(newest)
    table = columns.scan(storage, scope, ["scope", "categories_str", "created_at"])
    import pyarrow.compute

    times = pyarrow.compute.min_max(_check_times(table["created_at"])).as_py()
    texts = table["categories_str"].unique().to_pylist()
    scopes = table["scope"].unique().to_pylist()
    return table.num_rows, scopes, [], texts, times["min"], times["max"]


def _time(text: str | None) -> datetime.datetime | None:
    return None if text is None else _fromisoformat(text)
