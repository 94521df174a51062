"""The file of a memory store: a line of JSON for each record, as ``src/search/journal.rs``."""

from __future__ import annotations

import contextlib
from pathlib import Path

from fast_crewai.errors import StorageError


class Journal:
    """Only ever appended to. Raises StorageError where the file can't be read or written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "r+b" if path.exists() else "x+b", buffering=0)  # noqa: SIM115, PTH123
            content = self._file.read()
            self._end = content.rfind(b"\n") + 1
            if self._end < len(content):  # left half written by a process that was killed
                self._file.truncate(self._end)
            self.lines = content[: self._end].decode().split("\n")[:-1]
        except (OSError, ValueError) as error:  # not UTF-8, or a path that can't be one
            raise StorageError(f"{path}: {error}") from error

    def append(self, line: str) -> None:
        """Append a line, or leave the file as it was."""
        content = line.encode() + b"\n"
        try:
            self._file.seek(self._end)
            rest = memoryview(content)
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
            raise StorageError(f"{self._path}: {error}") from error
        self._end += len(content)

    def clear(self) -> None:
        """Remove all lines."""
        try:
            self._file.truncate(0)
        except OSError as error:
            raise StorageError(f"{self._path}: {error}") from error
        self._end = 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self._file.close()
