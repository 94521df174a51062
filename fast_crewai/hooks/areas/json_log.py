"""``FileHandler.log`` to a ``.json`` file: the new entry is written, not the whole log again.

CrewAI's own code runs, under its own lock. Where the file has, to the byte, what CrewAI itself has
written there last, its parts needn't be parsed and written again: only the end changes. For each
file a digest and a size are kept, no content.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
from collections.abc import Callable
from operator import is_
from typing import Any

from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Route, Site, TargetError

_END = b"\n]\n"
_MOST = 64  # files
_INDENT = 4
_DEEP = "\n" + 50 * _INDENT * " "  # with more levels, what is left of the stack may decide
_DIGEST = hashlib.sha256
_OPEN = io.open
_digits_limit = getattr(sys, "get_int_max_str_digits", int)  # longer numbers are refused
_LOOKS = [
    (vars(owner).get, name)
    for owner, names in (
        (json, ("load", "loads", "dumps", "JSONEncoder", "JSONDecoder", "_default_decoder")),
        (json.encoder, ("_make_iterencode", "encode_basestring_ascii")),
        (json.JSONEncoder, ("__init__", "encode", "iterencode")),
        (json.JSONDecoder, ("__init__", "decode", "raw_decode")),
        (getattr(json, "_default_decoder", None), ("decode", "raw_decode", "scan_once")),
    )
    if owner is not None
    for name in names
]


def _json_now() -> tuple[Any, ...]:
    """What ``json.load`` and ``json.dumps`` work with."""
    return tuple(look(name) for look, name in _LOOKS)


def _seen(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class _Known:
    """Stands for the entries of a file that ends as we know; takes the new one."""

    def __init__(self, path: str, seen: tuple[int, ...], content: bytes, digest: Any) -> None:
        self.path, self.seen, self.content, self.digest = path, seen, content, digest
        self.entries: list[Any] = []

    def append(self, entry: Any) -> None:
        self.entries.append(entry)

    def followed_by(self, text: str) -> str:
        """The whole log with one more entry."""
        return f"{self.content[: -len(_END)].decode()}{text}\n]"


class _Addition(str):
    """What a log that is known gets in the place of its last bytes."""

    __slots__ = ("known",)
    known: _Known


class _End:
    """The end of a file, as a file that is open for writing."""

    def __init__(self, log: _Log, file: Any) -> None:
        self._log, self._file = log, file

    def __enter__(self) -> _End:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def write(self, text: str) -> None:
        if type(text) is not _Addition:  # the line feed, which is part of the end
            return
        known, content = text.known, text.encode() + _END
        self._log.forget(known.path)
        view, place = memoryview(content), len(known.content) - len(_END)
        while view:
            written = os.pwrite(self._file.fileno(), view, place)
            view, place = view[written:], place + written
        digest = known.digest
        digest.update(content[: -len(_END)])
        self._log.remember(known.path, len(known.content) + len(content) - 2 * len(_END), digest)


class _Log:
    """What CrewAI has written last, file by file: its length and digest, without the end, and
    whether reading and writing it again gives the same."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names
        self._were, self._limit = _json_now(), _digits_limit()
        self._written: dict[str, tuple[int, bytes, bool]] = {}

    def forget(self, path: str) -> None:
        self._written.pop(path, None)

    def remember(self, path: str, length: int, digest: Any, *, stable: bool = True) -> None:
        for oldest in list(self._written)[: 1 - _MOST]:  # a copy: other files have other locks
            self._written.pop(oldest, None)
        self._written[path] = length, digest.digest(), stable

    def _plain(self) -> bool:
        if self._names.get("json") is not json or _digits_limit() != self._limit:
            return False
        return all(map(is_, _json_now(), self._were))

    def load(self, path: Any, file: Any) -> Any:
        """``json.load(file)``, or what stands for it."""
        written = self._written.get(path) if type(path) is str else None
        if written is not None and type(file) is io.TextIOWrapper and self._plain():
            seen, content = _seen(os.fstat(file.fileno())), file.buffer.read()
            digest = _going_on(content, *written) if len(content) == seen[2] else None
            if digest is not None:
                return _Known(path, seen, content, digest)
            self.forget(path)
            file.buffer.seek(0)
        return self._names["json"].load(file)

    def dumps(self, path: Any, entries: Any) -> Any:
        """``json.dumps(entries, indent=4)``, or of a known log the new end."""
        if type(entries) is not _Known:
            text = self._names["json"].dumps(entries, indent=_INDENT)
            if type(path) is str:
                self.forget(path)
                if type(text) is str and self._plain() and text.endswith("\n]"):
                    content = text[:-2].encode()
                    self.remember(path, len(content), _DIGEST(content), stable=False)
            return text
        try:
            text = f",{json.dumps(entries.entries, indent=_INDENT)[1:-2]}"
        except Exception:
            text = ""
        if not text:  # the same exception, from all entries
            return json.dumps([*json.loads(entries.content), *entries.entries], indent=_INDENT)
        if not _is_stable(f"[{text[1:]}\n]"):
            self.forget(path)
            return entries.followed_by(text)
        added = _Addition(text)
        added.known = entries
        return added

    def open(self, path: Any, text: Any, open_file: Any) -> Any:
        """``open(path, "w", encoding="utf-8")``, or of a known log the end."""
        if type(text) is not _Addition:
            return open_file(path, "w", encoding="utf-8")
        file = self._as_seen(path, text.known.seen) if open_file is _OPEN else None
        if file is not None:
            return _End(self, file)
        self.forget(path)
        return _Whole(open_file(path, "w", encoding="utf-8"))

    @staticmethod
    def _as_seen(path: str, seen: tuple[int, ...]) -> Any:
        """The file, open for changing; None if it isn't the one that was read, or can't be."""
        try:
            file = _OPEN(path, "r+b", 0)
        except OSError:  # removed, perhaps; or CrewAI gets the same error
            return None
        if _seen(os.fstat(file.fileno())) == seen:
            return file
        file.close()
        return None


class _Whole:
    """A file that gets the whole log, since somebody has changed it meanwhile."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __enter__(self) -> _Whole:
        self._file.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._file.__exit__(*error)

    def write(self, text: str) -> None:
        if type(text) is _Addition:
            text = text.known.followed_by(text)
        self._file.write(text)


def _going_on(content: bytes, length: int, digest: bytes, stable: bool) -> Any:
    """The digest of a log without its end, if it is what was written, perhaps with more entries,
    and in CrewAI's form; else None."""
    own, view = _DIGEST(), memoryview(content)
    own.update(view[:length])
    if not content.endswith(_END) or own.digest() != digest:
        return None
    more = content[length : -len(_END)]
    own.update(more)
    if not stable:
        return own if _is_stable(content[:-1].decode()) else None
    fine = not more or (more[:1] == b"," and _is_stable(f"[{more[1:].decode()}\n]"))
    return own if fine else None


def _is_stable(text: str) -> bool:
    """Whether a list's text, read and written again, is the same (two equal keys become one)."""
    try:
        entries = json.loads(text) if _DEEP not in text else None
        return bool(entries) and json.dumps(entries, indent=_INDENT) == text
    except Exception:
        return False


def _log(site: Site) -> Callable[..., Any]:
    if os.linesep != "\n":
        raise TargetError("text files have other line ends here")
    log = _Log(vars(site.module))
    return recompiled(
        site.original,
        {
            "json.load(read_file)": "_fc_load(self._path, read_file)",
            "json.dumps(existing_data, indent=4)": "_fc_dumps(self._path, existing_data)",
            "open(self._path, 'w', encoding='utf-8')": "_fc_open(self._path, serialized, open)",
        },
        {"_fc_load": log.load, "_fc_dumps": log.dumps, "_fc_open": log.open},
    )


ROUTES = (
    Route(
        name="tasks.json-log",
        target="crewai.utilities.file_handler:FileHandler.log",
        why="each entry of output_log_file=….json reads, parses and writes the whole log",
        build=_log,
    ),
)
