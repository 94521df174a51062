"""``AcceleratedMemoryStorage``: the store that users name."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fast_crewai import native
from fast_crewai.errors import FastCrewAIError, NativeError, StorageError
from fast_crewai.memory.python import PythonMemoryStorage, unescaped

_log = logging.getLogger("fast_crewai")
_Result = TypeVar("_Result")


class AcceleratedMemoryStorage:
    """Texts with metadata, found by their words: TF-IDF weights, cosine similarity.

    ``type``: a label. ``allow_reset``: False makes ``reset`` raise. ``embedder_config``,
    ``crew``: kept as attributes for CrewAI's sake; words need no embedder. ``path``: a file (a
    line of JSON for each record; folders are made) or None for memory only. One process at a time
    may use a file. Records survive the process being killed (each is written at once; not synced
    to the disk). ``use_rust``: None (Rust if there is a native module), True or False.

    ``implementation``: "rust" or "python"; both rank the same. If the native code fails, the
    Python twin takes over with everything that was saved. All methods may be called by any number
    of threads.

    A search costs time in proportion to how often the query's words occur; the first one after a
    ``save`` weighs all documents anew (about 10 ms for 100,000).

    Raises StorageError if the file can't be read or holds something else,
    NativeUnavailableError for ``use_rust=True`` without a native module.
    """

    def __init__(
        self,
        type: str = "short_term",
        allow_reset: bool = True,
        embedder_config: Any = None,
        crew: Any = None,
        path: str | Path | None = None,
        use_rust: bool | None = None,
    ) -> None:
        self.type = type
        self.allow_reset = allow_reset
        self.embedder_config = embedder_config
        self.crew = crew
        self.path = None if path is None else Path(path)
        self._lock = threading.RLock()
        rust = native.choose(use_rust, "RustMemoryStorage", "memory")
        try:
            self._store: Any = (rust or PythonMemoryStorage)(self.path)
            self._records: list[str] = self._store.get_all()  # ours, whatever happens to the store
        except NativeError as error:
            _log.debug("memory storage: Python takes over: %s", error)
            self._store = PythonMemoryStorage(self.path)
            self._records = self._store.get_all()

    @property
    def implementation(self) -> str:
        """ "rust" or "python"."""
        name: str = self._store.implementation
        return name

    def save(self, value: Any, metadata: dict[str, Any] | None = None) -> int:
        """Save a value and return its number (0 for the first).

        ``value``: a str, or anything that JSON can hold (it is found by the words of its JSON).
        ``metadata``: what JSON can hold; other objects are replaced by their ``str()``.

        Raises StorageError if the file can't be written; nothing is saved then. ValueError for a
        value that contains itself.
        """
        record = unescaped({"value": value, "metadata": metadata or {}, "timestamp": time.time()})
        text = value if isinstance(value, str) else unescaped(value)
        with self._lock:
            number: int = self._call(lambda store: store.save(text, record), saving=(text, record))
            self._records.append(record)
            return number

    def search(
        self, query: str, limit: int = 3, score_threshold: float = 0.35
    ) -> list[dict[str, Any]]:
        """The most similar values, best first; older ones first among equals.

        ``limit``: at least 1 (smaller ones count as 1). ``score_threshold``: from 0 to 1 (others
        count as the nearer of the two); a score is the cosine of the weights, 1 for the same
        words equally often.

        Each is a dict: "id" (its number), "value", "content" (its text), "metadata", "timestamp"
        (seconds since 1970) and "score". Raises TypeError if ``query`` isn't a str, ValueError
        for a ``limit`` or ``score_threshold`` that isn't a number.
        """
        if not isinstance(query, str):
            raise TypeError(f"query is str, not {query.__class__.__name__}")
        if not isinstance(limit, int):
            raise ValueError("limit must be an integer")
        if not isinstance(score_threshold, int | float) or score_threshold != score_threshold:
            raise ValueError("score_threshold must be a number")
        limit = min(max(limit, 1), 1 << 31)
        threshold = min(max(float(score_threshold), 0.0), 1.0)
        found = self._call(lambda store: store.search(query, limit, threshold))
        return [{**_item(number, record), "score": score} for number, record, score in found]

    def get_all(self) -> list[dict[str, Any]]:
        """All items, in the order in which they were saved: as ``search``, without "score"."""
        with self._lock:
            records = list(self._records)
        return [_item(number, record) for number, record in enumerate(records)]

    def reset(self) -> None:
        """Forget everything, in the file, too. Raises StorageError if ``allow_reset`` is False."""
        if not self.allow_reset:
            raise StorageError("this storage was made with allow_reset=False")
        with self._lock:
            self._call(lambda store: store.reset())
            self._records.clear()

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        return f"AcceleratedMemoryStorage(implementation={self.implementation}, items={len(self)})"

    def _call(
        self, method: Callable[[Any], _Result], saving: tuple[str, str] | None = None
    ) -> _Result:
        store = self._store
        if isinstance(store, PythonMemoryStorage):
            return method(store)
        try:
            return method(store)
        except (NativeError, MemoryError) as error:
            failure = error
        except FastCrewAIError:
            raise  # the file's fault, not the native code's
        with self._lock:
            if self._store is store:
                _log.debug("memory storage: Python takes over: %s", failure)
                self._store = self._twin()
            if saving is not None and len(self._store) > len(self._records):
                return len(self._records)  # type: ignore[return-value]  # written before it failed
            return method(self._store)

    def _twin(self) -> PythonMemoryStorage:
        """A Python store with everything that was saved."""
        if self.path is not None:
            return PythonMemoryStorage(self.path)
        twin = PythonMemoryStorage()
        for record in self._records:
            value = _shown(record)["value"]
            twin.adopt(value if isinstance(value, str) else unescaped(value), record)
        return twin


def _shown(record: str) -> dict[str, Any]:
    found = json.loads(record) if record.startswith("{") else None
    if isinstance(found, dict) and "value" in found:
        return found
    return {"value": record}  # a file that _core wrote alone


def _item(number: int, record: str) -> dict[str, Any]:
    shown = _shown(record)
    value = shown["value"]
    return {
        "id": number,
        "value": value,
        "content": value if isinstance(value, str) else unescaped(value),
        "metadata": shown.get("metadata") or {},
        "timestamp": shown.get("timestamp"),
    }
