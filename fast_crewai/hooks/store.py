"""What was computed from source text in earlier runs, in one file of the user's cache folder.

Each entry's key is a digest of all that its value was made from: the bytes of CrewAI's file, our
own files, the Python, its options. A file that is missing, damaged or somebody else's means that
everything is computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import os
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from fast_crewai import config

Value = TypeVar("Value")

_MAXIMUM = 4000  # entries; more are of files that were replaced
_MAKERS = ("hooks/dispatch.py", "hooks/fingerprint.py", "hooks/areas/recompile.py")
_OTHERS = (
    *("imports/patterns.py", "imports/rewriting.py", "imports/texts.py"),
    *("hooks/store.py", "hooks/route.py"),
)
_PROBE = "def f():\n    'text'\n    assert f + 1\n"  # compiled as this process's options say

_entries: dict[bytes, bytes] | None = None
_used: dict[bytes, bytes] = {}
_new = False


def remembered(kind: str, parts: tuple[object, ...], make: Callable[[], Value]) -> Value:
    """``make()``, or what it returned in an earlier run: what ``marshal`` takes.

    ``parts``: strings, numbers, bytes and tuples of these; the value depends on nothing else.
    """
    global _new
    key = hashlib.sha256(repr((kind, parts)).encode("utf-8", "surrogatepass")).digest()
    known = _load().get(key)
    if known is not None:
        _used[key] = known
        value: Value = marshal.loads(known)
        return value
    value = make()
    if _place() is not None:
        with contextlib.suppress(ValueError):
            _used[key] = _load()[key] = marshal.dumps(value)  # type: ignore[arg-type]
            _new = True
    return value


@lru_cache(maxsize=4)  # as with their lines: functions of one file come one after the other
def source(filename: str) -> tuple[bytes, str]:
    """A file's bytes and their digest. Raises OSError."""
    text = Path(filename).read_bytes()
    return text, hashlib.sha256(text).hexdigest()


def save() -> None:
    """Keep what this run has computed. Never raises."""
    global _new
    place = _place()
    if not _new or place is None:
        return
    _new = False
    entries = _load() if len(_load()) <= _MAXIMUM else _used
    data = marshal.dumps(dict(entries))
    temporary = place.with_name(f"{place.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        make_ours(place.parent)
        temporary.write_bytes(hashlib.sha256(data).digest() + data)
        temporary.chmod(0o600)  # whatever the user's umask says: see is_ours
        temporary.replace(place)
    except OSError:  # read-only, or full
        with contextlib.suppress(OSError):
            temporary.unlink()


def _load() -> dict[bytes, bytes]:
    global _entries
    if _entries is None:
        _entries = _read()
    return _entries


def _read() -> dict[bytes, bytes]:
    place = _place()
    try:
        if place is None or not is_ours(place):
            return {}
        content = place.read_bytes()
        digest, data = content[:32], content[32:]
        if hashlib.sha256(data).digest() != digest:
            return {}
        entries = marshal.loads(data)
    except (OSError, ValueError, EOFError, TypeError):
        return {}
    return entries if type(entries) is dict else {}


def make_ours(folder: Path) -> None:
    """The folder, in which nobody else may write: also one that was made otherwise. OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "geteuid") and folder.stat().st_uid == os.geteuid():
        folder.chmod(0o700)


def is_ours(place: Path) -> bool:
    """Whether nobody else can have written it: code is executed from it. Raises OSError."""
    if not hasattr(os, "geteuid"):
        return True
    for path in (place, place.parent):
        state = path.stat()
        if state.st_uid != os.geteuid() or state.st_mode & 0o022:
            return False
    return True


def compiler() -> str:
    """What code depends on beside its source: the Python, and its options."""
    probe = hashlib.sha256(marshal.dumps(compile(_PROBE, "", "exec"))).hexdigest()
    return f"{sys.version} {sys.implementation} {sys.flags.optimize} {probe}"


@lru_cache(maxsize=1)
def _place() -> Path | None:
    folder = config.cache_folder()
    if folder is None:
        return None
    key = hashlib.sha256(compiler().encode())
    try:
        for name in (*_MAKERS, *_OTHERS):
            key.update((Path(__file__).parent.parent / name).read_bytes())
    except OSError:  # not installed as files
        return None
    return folder / "code" / key.hexdigest()[:32]
