"""A storage's table in RAM, for as long as the storage lives.

The table on disk stays the only truth, and LanceDB the only one to write it. Before each search
the storage's own handle is asked for the version that it reads: CrewAI's handles see what others
have written only when they write themselves, and so do we. What the storage writes itself is
followed (rows are looked up in the table again by the row ids they must have); after any other
change the table is loaded again. A fresh load is compared with a search of LanceDB's own.
"""

from __future__ import annotations

import os
import re
import threading
import weakref
from math import sin
from typing import Any

from fast_crewai import config
from fast_crewai._core import Declined, MemoryMirror, MemoryRecords
from fast_crewai.hooks.areas import memory_room
from fast_crewai.hooks.areas.memory_records import COLUMNS
from fast_crewai.hooks.areas.memory_version import Versions

_TEXTS = (*COLUMNS[:5], "created_at", "last_accessed", "source")
_SMALL = 20_000  # rows that are loaded for the first search
_FIRST, _AGAIN = 3, 6  # searches that pay for a load: the first one of a larger table; another one
_PER_ROW = 1024  # bytes of texts and structures, taken to be
_FLOATS = 1 << 19  # numbers that MemoryMirror keeps as Python's, too,
_AS_FLOATS = 64  # and a row's texts and times, which take as much as so many
_NOTES = 64
_OTHERWISE = range(8, 17)  # lengths for which Lance adds in another order
_QUOTED = re.compile(r"'((?:[^']|'')*)'")


class Tables:
    """The tables in RAM, by storage."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: weakref.WeakKeyDictionary[Any, Table] = weakref.WeakKeyDictionary()
        self._pressure = memory_room.Pressure()
        self._versions: Versions | None = None

    def version_of(self, handle: Any) -> Any:
        """The version that a handle of LanceDB's reads."""
        if self._versions is None:
            self._versions = Versions()
        return self._versions.of(handle)

    def of(self, storage: Any) -> Table:
        found = self._tables.get(storage)
        if found is None:
            with self._lock:
                found = self._tables.setdefault(storage, Table(self))
        return found

    def known(self, storage: Any) -> Table | None:
        return self._tables.get(storage)

    def forget_locks(self) -> None:
        """In a forked child, where the thread that may hold them doesn't exist."""
        self.__init__()  # type: ignore[misc]

    def take_room(self, size: int, asker: Table) -> None:
        """Count ``size`` bytes as the asker's. Raises Declined if there may not be so many."""
        with self._lock:
            others = sum(table.size for table in self._tables.values() if table is not asker)
            if others + size > config.memory_megabytes() << 20:
                raise Declined("more than FAST_CREWAI_MEMORY_MB")
            if size > asker.size and not memory_room.enough(size - asker.size):
                raise Declined("RAM is short")
            asker.size = size

    def check_pressure(self) -> None:
        """Raises Declined, and drops what is in RAM, if others need it."""
        if not self._pressure.is_high():
            return
        with self._lock:
            tables = list(self._tables.values())
        for table in tables:
            table.drop_if_idle()
        raise Declined("RAM is short")


class Table:
    """One storage's table."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._lock = threading.RLock()
        self._native: MemoryMirror | None = None
        self._handle: Any = None
        self._version = self._asked = self._fragment = 0
        self._manifest: Any = None
        self._differs = False
        self._dim = 0
        self._notes: list[tuple[str, Any]] = []
        self.size = 0

    def search(
        self,
        storage: Any,
        queries: list[Any],
        prefixes: list[str | None],
        limit: int,
        records: MemoryRecords,
        *,
        shown_to: tuple[bool, str | None] = (True, None),
        naive: bool = False,
        apart: bool = False,
    ) -> list[list[tuple[Any, float]]]:
        """MemoryMirror.recall at the version that the storage's handle reads; ``shown_to`` says
        whether private records are, all of them, or those of a source. Raises Declined."""
        with self._lock:  # so that no search sees a part of what is being followed
            native = self.current(storage, queries[0], len(queries) * len(prefixes))
            return native.recall(queries, prefixes, limit, records, *shown_to, naive, apart)

    def current(self, storage: Any, query: list[float], searches: int) -> MemoryMirror:
        """The table as the handle reads it now. Raises Declined if it isn't, or won't be, here."""
        handle = storage._table
        with self._lock:
            version = self._tables.version_of(handle)
            if self._native is not None:
                self._tables.check_pressure()
                if handle is self._handle and self._follow(storage, handle, version):
                    self._asked += searches
                    return self._native
                self._drop()
            self._asked += searches
            return self._load(storage, handle, version, query)

    def summary(self, storage: Any, prefix: str | None, most: int) -> Any:
        """MemoryMirror.summary at the version that the storage's handle reads; None unless the
        table is in RAM. Raises Declined."""
        with self._lock:
            native = self._followed(storage)
            return None if native is None else native.summary(prefix, most)

    def scopes(self, storage: Any, prefix: str | None, most: int) -> list[str] | None:
        """MemoryMirror.scopes, as ``summary``."""
        with self._lock:
            native = self._followed(storage)
            return None if native is None else native.scopes(prefix, most)

    def newest(
        self, storage: Any, prefix: str | None, offset: int, size: int, records: MemoryRecords
    ) -> list[Any] | None:
        """MemoryMirror.newest, as ``summary``."""
        with self._lock:
            native = self._followed(storage)
            return None if native is None else native.newest(prefix, offset, size, records)

    def labelled(self, storage: Any, prefix: str | None, labels: list[str]) -> Any:
        """MemoryMirror.labelled, as ``summary``."""
        with self._lock:
            native = self._followed(storage)
            return None if native is None else native.labelled(prefix, labels)

    def _followed(self, storage: Any) -> MemoryMirror | None:
        """What is in RAM, at the version that the storage's handle reads. The lock is held."""
        handle = storage._table
        if self._native is None:
            return None
        if handle is self._handle:
            version = self._tables.version_of(handle)
            if self._follow(storage, handle, version):
                return self._native
        self._drop()
        return None

    def note(self, handle: Any, what: str, arguments: tuple[Any, ...], options: Any) -> None:
        """The storage has written; its next search may follow that instead of loading again."""
        with self._lock:
            if self._native is None or handle is not self._handle:
                return
            change = _change(what, arguments, options)
            after = self._version + len(self._notes) + 1
            version_of = self._tables.version_of
            if change is None or len(self._notes) >= _NOTES or version_of(handle) != after:
                self._drop()
            else:
                self._notes.append(change)

    def compacted(self) -> None:
        """The storage has moved all rows: what was in RAM is loaded again by the next search."""
        with self._lock:
            if self._native is not None:
                self._drop()
                self._asked = _AGAIN

    def drop(self) -> None:
        with self._lock:
            self._drop()

    def drop_if_idle(self) -> None:
        """Unless another thread is using it: that one, or the next search, will see to it."""
        if self._lock.acquire(blocking=False):
            try:
                self._drop()
            finally:
                self._lock.release()

    def _drop(self) -> None:
        self._native, self._handle, self.size = None, None, 0
        self._notes.clear()

    # ---------------------------------------------------------------- loading

    def _load(self, storage: Any, handle: Any, version: int, query: list[float]) -> MemoryMirror:
        if self._differs:
            raise Declined("LanceDB's distances are others")
        rows, dim = handle.count_rows(), storage._vector_dim
        if dim in _OTHERWISE:
            raise Declined("LanceDB has a sum of its own for such short vectors")
        first = self._version == 0
        if self._asked < ((1 if rows <= _SMALL else _FIRST) if first else _AGAIN):
            raise Declined("not worth loading yet")
        _check_schema(handle, dim)
        manifest = _manifest(storage, version)
        self._tables.take_room(_bytes(rows, dim), self)
        try:
            native = self._read(handle, version, rows, dim, query)
        except BaseException:
            self.size = 0
            raise
        self._native, self._handle, self._version = native, handle, version
        self._manifest, self._asked, self._dim = manifest, 0, dim
        self._fragment = (native.max_row_id() or 0) >> 32
        return native

    def _read(
        self, handle: Any, version: int, rows: int, dim: int, query: list[float]
    ) -> MemoryMirror:
        native = MemoryMirror(dim)
        everything = handle.search().with_row_id(True).limit(rows + 1)
        for batch in everything.to_batches():
            _add(native, batch)
        # In Lance's oldest format of files an index finds rows in its own order, not the table's.
        if everything.explain_plan().startswith("LanceRead:"):
            native.scanned()
        if self._tables.version_of(handle) != version or len(native) != rows:
            raise Declined("changed while it was loaded")
        if not _same_hits(handle, native, query):
            if self._tables.version_of(handle) == version:
                self._differs = True
            raise Declined("LanceDB's distances are others")
        return native

    # --------------------------------------------------------------- following

    def _follow(self, storage: Any, handle: Any, version: int) -> bool:
        """Whether what is in RAM is this version, perhaps after applying the notes."""
        if version == self._version and not self._notes:
            return bool(_manifest(storage, version) == self._manifest)
        if version != self._version + len(self._notes):
            return False
        try:
            manifest = _manifest(storage, version)
            self._apply(handle)
            self._version, self._manifest = version, manifest
            return bool(self._tables.version_of(handle) == version)
        except Exception:  # the table isn't as it must be: load it again
            return False
        finally:
            self._notes.clear()

    def _apply(self, handle: Any) -> None:
        native: Any = self._native
        fragment = self._fragment
        moved: dict[str, tuple[int, str]] = {}  # id → row id and time of access
        added: dict[str, int] = {}
        gone: dict[str, None] = {}

        def place(ids: list[str]) -> list[tuple[int, str]]:
            rows = []
            for id_, row_id in zip(ids, native.row_id_of(ids), strict=True):
                if id_ in added:
                    row_id = added[id_]
                elif id_ in gone:
                    row_id = None
                elif id_ in moved:
                    row_id = moved[id_][0]
                if row_id is not None:
                    rows.append((row_id, id_))
            return sorted(rows)

        for what, (ids, accessed) in self._notes:
            found = place(ids)
            if what == "delete":
                for _, id_ in found:
                    moved.pop(id_, None)
                    if added.pop(id_, None) is None:
                        gone[id_] = None
                if not found:
                    raise LookupError("nothing to delete")
                continue
            fragment += 1
            if what == "add":
                if found or len(set(ids)) != len(ids):
                    raise LookupError("an id is there already")
                added.update({id_: (fragment << 32) + i for i, id_ in enumerate(ids)})
                continue
            if not found or any(id_ in added for _, id_ in found):
                raise LookupError("nothing to touch, or something new")
            for i, (_, id_) in enumerate(found):
                moved[id_] = ((fragment << 32) + i, accessed)
        self._check_moved(handle, moved)
        batches = _taken(handle, added) if added else []
        rows = len(native) - len(gone) + len(added)
        if handle.count_rows() != rows:
            raise LookupError("other rows have changed, too")
        self._tables.take_room(_bytes(rows, self._dim), self)
        native.remove(list(gone))
        native.touch([(id_, *place) for id_, place in moved.items()])
        for batch in batches:
            _add(native, batch)
        self._fragment = fragment

    @staticmethod
    def _check_moved(handle: Any, moved: dict[str, tuple[int, str]]) -> None:
        """Each row must be where it is expected."""
        if not moved:
            return
        wanted = {row_id: (id_, accessed) for id_, (row_id, accessed) in moved.items()}
        taken = handle.take_row_ids(list(wanted)).with_row_id()
        rows = taken.select(["id", "last_accessed"]).to_arrow().to_pylist()
        found = {row["_rowid"]: (row["id"], row["last_accessed"]) for row in rows}
        if found != wanted:
            raise LookupError("rows are elsewhere")


def _bytes(rows: int, dim: int) -> int:
    return rows * (dim * 4 + _PER_ROW) + min(rows * (dim + _AS_FLOATS), _FLOATS) * 32


def _taken(handle: Any, added: dict[str, int]) -> list[Any]:
    table = handle.take_row_ids(list(added.values())).with_row_id().to_arrow()
    found = dict(zip(table["id"].to_pylist(), table["_rowid"].to_pylist(), strict=True))
    if found != added:
        raise LookupError("rows are elsewhere")
    batches: list[Any] = table.combine_chunks().to_batches()
    return batches


def _change(what: str, arguments: tuple[Any, ...], options: Any) -> tuple[str, Any] | None:
    """What a write of the storage's does to rows, as (kind, (ids, time)); None if not known."""
    if what == "add" and len(arguments) == 1 and not options:
        ids = [row["id"] for row in arguments[0]]
        return ("add", (ids, "")) if ids and all(type(id_) is str for id_ in ids) else None
    if what == "update" and not arguments and set(options) == {"where", "values"}:
        if list(options["values"]) != ["last_accessed"]:
            return None
        found = _ids(options["where"])
        return ("touch", (found, options["values"]["last_accessed"])) if found else None
    if what == "delete" and len(arguments) == 1 and not options:
        found = _ids(arguments[0])
        return ("delete", (found, "")) if found else None
    return None


def _ids(where: str) -> list[str] | None:
    """The ids of ``id = '…'`` or ``id IN ('…', …)``, each once; None for anything else."""
    ids = [text.replace("''", "'") for text in _QUOTED.findall(where)]
    quoted = ["'" + id_.replace("'", "''") + "'" for id_ in ids]
    forms = [f"id IN ({', '.join(quoted)})", *(f"id = {one}" for one in quoted[:1])]
    return list(dict.fromkeys(ids)) if where in forms else None


def _check_schema(handle: Any, dim: int) -> None:
    schema = handle.schema
    types = {field.name: str(field.type) for field in schema}
    texts = dict.fromkeys(COLUMNS, "string")
    vector = f"fixed_size_list<item: float>[{dim}]"
    if types != texts | {"importance": "double", "private": "bool", "vector": vector}:
        raise Declined("a table of other columns")
    if schema.metadata:
        raise Declined("a table with metadata")
    if any(index.columns != ["scope"] for index in handle.list_indices()):
        raise Declined("a table with an index of the user's")


def _manifest(storage: Any, version: int) -> Any:
    """The file that makes this version readable: gone, or another, if the table was dropped."""
    name = f"{storage._table_name}.lance/_versions/{(1 << 64) - 1 - version:020}.manifest"
    try:
        found = os.stat(f"{storage._path}/{name}")  # noqa: PTH116 - before each search
    except OSError as error:
        raise Declined("the table's version isn't there") from error
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _add(native: MemoryMirror, batch: Any) -> None:
    """Rows of an Arrow batch; texts as their offsets and bytes."""
    column = {name: batch.column(name) for name in (*COLUMNS, "_rowid")}
    if any(values.null_count for values in column.values()):
        raise Declined("a row that lacks values")
    size = batch.num_rows
    if not size:
        return
    vectors = column["vector"].flatten()
    if vectors.null_count:
        raise Declined("a row that lacks values")
    native.add(
        _numbers(column["_rowid"], 8),
        _numbers(vectors, 4),
        _numbers(column["importance"], 8),
        column["private"].to_pylist(),
        [_texts(column[name]) for name in _TEXTS],
    )


def _numbers(values: Any, width: int) -> bytes:
    data = values.buffers()[1].slice(values.offset * width, len(values) * width).to_pybytes()
    return bytes(data)


def _texts(values: Any) -> tuple[bytes, bytes]:
    offsets = _numbers_at(values.buffers()[1], values.offset, len(values) + 1)
    first = int.from_bytes(offsets[:4], "little")
    last = int.from_bytes(offsets[-4:], "little")
    data = values.buffers()[2]
    return offsets, bytes(data.slice(first, last - first).to_pybytes()) if last > first else b""


def _numbers_at(buffer: Any, start: int, count: int) -> bytes:
    return bytes(buffer.slice(start * 4, count * 4).to_pybytes())


def _same_hits(handle: Any, native: MemoryMirror, query: list[float]) -> bool:
    """Whether LanceDB finds the same rows at the same distances, with a filter and without.

    The user's query may be one whose sums are exact in any order: ours, near it, is not.
    """
    limit = 20
    query = [value * (1.0 + 0.01 * sin(n)) + 0.05 * sin(n + 0.5) for n, value in enumerate(query)]
    (hits,), rows = native.search([query], [None], limit + 1)
    ours = [(rows[place][-1], distance) for place, distance in hits[:limit]]
    for filtered in (False, True):
        search = handle.search(query)
        if filtered:
            search = search.where("scope LIKE '%'")
        found = search.with_row_id(True).select(["id", "_distance"]).limit(limit).to_arrow()
        theirs = list(zip(found["_rowid"].to_pylist(), found["_distance"].to_pylist(), strict=True))
        if _has_ties(hits):
            if [distance for _, distance in ours] != [distance for _, distance in theirs]:
                return False
        elif ours != theirs:
            return False
    return True


def _has_ties(hits: list[tuple[int, float]]) -> bool:
    return len({distance for _, distance in hits}) < len(hits)
