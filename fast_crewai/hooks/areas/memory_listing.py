"""A storage's list of records, newest first: from the table's copy in RAM, or by LanceDB's query.

Records that are equally old come in an order that only LanceDB's query knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.memory_records import COLUMNS, Records
from fast_crewai.hooks.areas.memory_storage import TABLES, Handles, prefix_of
from fast_crewai.hooks.route import Site

_MOST = 1 << 31


def list_records(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``LanceDBStorage.list_records``."""
    own = vars(site.module)
    handles, records = Handles(site.namespace), Records(own)

    def fast(self: Any, scope_prefix: Any, limit: Any, offset: Any) -> Any:
        handle = handles.check(self)
        records.check()
        if type(limit) is not int or type(offset) is not int or limit > _MOST or offset > _MOST:
            raise Declined("an odd limit")
        prefix = prefix_of(scope_prefix)
        if limit <= 0 or offset < 0:
            return []
        if prefix is not None and not prefix.startswith("/"):
            prefix = "/" + prefix
        found = _in_ram(self, prefix, offset, limit, records)
        if found is not None:
            return found
        rows = _queried(own, handle, prefix, offset, limit)
        to_record = self._row_to_record
        return [records.make(row, to_record) for row in rows]

    return fast


def _in_ram(
    storage: Any, prefix: str | None, offset: int, limit: int, records: Records
) -> list[Any] | None:
    table = TABLES.known(storage)
    if table is None:
        return None
    try:
        return table.newest(storage, prefix, offset, limit, records.native)
    except Declined:
        return None


def _queried(
    own: dict[str, Any], handle: Any, prefix: str | None, offset: int, limit: int
) -> Iterable[tuple[Any, ...]]:
    """CrewAI's query; rows as the copy in RAM gives them. Raises Declined for odd ones."""
    query = handle.search()
    if prefix is not None:
        query = query.where(own["_scope_prefix_filter"](prefix))
    order = own["ColumnOrdering"](column_name="created_at", ascending=False)
    table = query.order_by([order]).offset(offset).limit(limit).to_arrow()
    return _rows(table)


def _rows(table: Any) -> Iterable[tuple[Any, ...]]:
    types = {field.name: str(field.type) for field in table.schema}
    vector = types.pop("vector", "")
    texts = dict.fromkeys(COLUMNS[:-1], "string")
    if types != texts | {"importance": "double", "private": "bool"}:
        raise Declined("a table of other columns")
    if not vector.startswith("fixed_size_list<item: float>["):
        raise Declined("vectors of another kind")
    found: list[tuple[Any, ...]] = []
    for batch in table.to_batches():
        columns = [batch.column(name) for name in COLUMNS]
        numbers = columns[-1].flatten()
        if numbers.null_count or any(column.null_count for column in columns):
            raise Declined("a row that lacks values")
        size = 4 * columns[-1].type.list_size
        start = 4 * numbers.offset
        data = memoryview(numbers.buffers()[1])
        places = (start + n * size for n in range(len(batch)))
        vectors = (list(data[place : place + size].cast("f")) for place in places)
        found.extend(zip(*(column.to_pylist() for column in columns[:-1]), vectors, strict=True))
    return found
