"""The Python twin of ``_core.RustMemoryStorage``: the same ranking, bit by bit."""

from __future__ import annotations

import heapq
import json
import math
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from fast_crewai.errors import StorageError
from fast_crewai.memory.journal import Journal
from fast_crewai.memory.words import words


class PythonMemoryStorage:
    """Texts with what belongs to them, found by TF-IDF and cosine similarity."""

    implementation = "python"

    def __init__(self, path: str | Path | None = None) -> None:
        self._lock = threading.RLock()
        self._forget()
        self._journal = None if path is None else Journal(Path(path))
        lines = self._journal.lines if self._journal else []
        for number, line in enumerate(lines, 1):
            text = text_of(line)
            if text is None:
                raise StorageError(f"{path}: line {number} is no record")
            self._add(text, text if line.startswith('"') else line)

    def _forget(self) -> None:
        self._records: list[str] = []
        self._counts: list[Counter[str]] = []
        self._postings: dict[str, list[tuple[int, int]]] = {}
        self._norms: list[float] | None = None

    def save(self, value: str, record: str | None = None) -> int:
        """Save a text and return its number."""
        line = _quoted(value) if record is None else record
        if "\n" in line:
            raise StorageError("a record is one line")
        with self._lock:
            if self._journal is not None:
                self._journal.append(line)
            return self._add(value, value if record is None else record)

    def adopt(self, value: str, record: str) -> None:
        """Take over a record that is in the file already, or belongs to no file."""
        with self._lock:
            self._add(value, record)

    def _add(self, text: str, record: str) -> int:
        document = len(self._records)
        counts = Counter(words(text))
        for term, count in counts.items():
            self._postings.setdefault(term, []).append((document, count))
        self._counts.append(counts)
        self._records.append(record)
        self._norms = None
        return document

    def search(
        self, query: str, limit: int = 3, threshold: float = 0.0
    ) -> list[tuple[int, str, float]]:
        """(number, record, similarity) of the most similar texts, best first."""
        with self._lock:
            counts = {t: c for t, c in Counter(words(query)).items() if t in self._postings}
            norms = self._fresh_norms()
            sums: dict[int, float] = {}
            squares = 0.0
            for term, count in counts.items():
                idf = self._idf(term)
                weight = count * idf
                squares += weight * weight
                factor = weight * idf
                for document, times in self._postings[term]:
                    sums[document] = sums.get(document, 0.0) + factor * times
            norm = math.sqrt(squares)
            hits = ((min(total / (norm * norms[d]), 1.0), d) for d, total in sums.items())
            best = heapq.nsmallest(limit, ((-s, d) for s, d in hits if s >= threshold))
            return [(d, self._records[d], -s) for s, d in best]

    def _fresh_norms(self) -> list[float]:
        if self._norms is None:
            idfs = {term: self._idf(term) for term in self._postings}
            self._norms = []
            for counts in self._counts:
                total = 0.0
                for term, count in counts.items():
                    weight = count * idfs[term]
                    total += weight * weight
                self._norms.append(math.sqrt(total))
        return self._norms

    def _idf(self, term: str) -> float:
        return math.log((1.0 + len(self._records)) / (1.0 + len(self._postings[term]))) + 1.0

    def get_all(self) -> list[str]:
        """All records, in the order in which they were saved."""
        with self._lock:
            return list(self._records)

    def reset(self) -> None:
        """Forget everything, in the file, too."""
        with self._lock:
            if self._journal is not None:
                self._journal.clear()
            self._forget()

    def __len__(self) -> int:
        return len(self._records)


def unescaped(value: Any) -> str:
    """A value's JSON; escaped only if it holds lone surrogates, which no file can."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeError:
        return json.dumps(value, default=str)
    return text


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    try:
        quoted.encode()
    except UnicodeError:
        return json.dumps(text)
    return quoted


def text_of(line: str) -> str | None:
    """The text that a line's record is found by, or None."""
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(record, str):
        return record
    if not isinstance(record, dict) or "value" not in record:
        return None
    value = record["value"]
    return value if isinstance(value, str) else unescaped(value)
