"""How much RAM is free for tables of memories: on the machine, and in this container."""

from __future__ import annotations

import time

_SHARE = 16  # of all RAM, a part that stays free
_LEAST = 64 << 20
_EVERY = 1.0  # seconds between looks at what is free
_MEMORY = "/proc/meminfo"
_GROUP = "/sys/fs/cgroup/memory."  # a container sees its own group there

_open, _monotonic = open, time.monotonic


def free() -> tuple[int, int] | None:
    """(bytes that can be had without swapping, bytes in all); None if this isn't Linux."""
    try:
        machine = _numbers(_MEMORY)
        found = machine["MemAvailable:"] << 10, machine["MemTotal:"] << 10
    except (OSError, ValueError, LookupError):
        return None
    try:
        limit, used = int(_read(f"{_GROUP}max")), int(_read(f"{_GROUP}current"))
        cached = _numbers(f"{_GROUP}stat").get("inactive_file", 0)
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return found
    return min(found[0], limit - used + cached), min(found[1], limit)


def enough(size: int) -> bool:
    """Whether ``size`` more bytes leave a part of the RAM free."""
    found = free()
    if found is None:
        return True
    available, total = found
    return available - size >= max(_LEAST, total // _SHARE)


class Pressure:
    """Whether RAM is short; looked up at most once a second."""

    def __init__(self) -> None:
        self._looked = -_EVERY
        self._short = False

    def is_high(self) -> bool:
        now = _monotonic()
        if now - self._looked >= _EVERY:
            self._looked, self._short = now, not enough(0)
        return self._short


def _read(path: str) -> str:
    with _open(path, encoding="ascii") as file:
        return file.read()


def _numbers(path: str) -> dict[str, int]:
    """The names at the beginning of lines, and the numbers after them."""
    lines = (line.split() for line in _read(path).splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}
