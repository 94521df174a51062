"""Transformed code in the user's cache folder.

One file an environment, named by a digest of all that the code was made from. It is written to
another name first, so that whoever reads finds all or nothing; a file that is damaged, unreadable,
of another format, or that somebody else can have written, is as good as none.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import tempfile
from pathlib import Path
from typing import Any

from fast_crewai.hooks.store import is_ours, make_ours

_MAGIC = b"fast-crewai 1\n"


def read(path: Path) -> Any:
    """What was written there; None if that can't be had. Never raises OSError."""
    try:
        content = path.read_bytes() if is_ours(path) else b""
    except OSError:
        return None
    head = len(_MAGIC) + 32
    payload = content[head:]
    if content[:head] != _MAGIC + hashlib.sha256(payload).digest():
        return None
    try:
        return marshal.loads(payload)
    except (EOFError, TypeError, ValueError):
        return None


def write(path: Path, value: Any) -> bool:
    """Whether it could be written. ``value`` is what ``marshal`` takes."""
    payload = marshal.dumps(value)
    try:
        make_ours(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(payload).digest() + payload)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink()
            raise
    except OSError:
        return False
    return True
