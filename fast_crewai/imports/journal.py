"""Who made what was left out be imported, and when: for ``profile-import``."""

from __future__ import annotations

import sys
import threading
import time
from typing import NamedTuple


class Entry(NamedTuple):
    """``feature`` had to import, after ``seconds`` of this process's CPU time."""

    feature: str
    seconds: float
    thread: str
    place: str


entries: list[Entry] = []


def note(feature: str) -> None:
    """Somebody outside of us and of Python's import system asks; each feature is noted once."""
    if any(entry.feature == feature for entry in entries):
        return
    frame = sys._getframe(1)
    place = "an import"
    while frame is not None:
        file = frame.f_code.co_filename
        name = frame.f_globals.get("__name__", "")
        if not name.startswith("fast_crewai.") and not file.startswith("<frozen importlib"):
            place = f"{file}:{frame.f_lineno} in {frame.f_code.co_name}"
            break
        if frame.f_back is None:
            break
        frame = frame.f_back
    entries.append(Entry(feature, time.process_time(), threading.current_thread().name, place))
