"""What json_repair reads in one certain way, many elements or members at a time (in Rust)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_WINDOW = 16_384  # characters at a time
_FIRST = 512
_PATIENCE = 4_096


class Certain:
    """One kind of run in one text, from left to right.

    What an attempt has looked at in vain is paid for: no other one is made for as many characters,
    and for more, the more attempts fail.
    """

    __slots__ = ("_last_quote", "_read", "_wait", "again", "text")

    def __init__(self, text: str, read: Callable[[str, Any, bool], tuple[int, int]]) -> None:
        self.text, self._read = text, read
        self._last_quote = text.rfind('"')
        self.again, self._wait = 0, 8

    def read(self, made: list[Any] | dict[str, Any], at: int) -> int:
        """Adds to ``made`` what is certain; where the text goes on."""
        text, size, start = self.text, _FIRST, at
        while True:
            window = text[at : at + size]
            end, reached = self._read(window, made, self._last_quote < at)
            at += end
            whole = reached >= len(window) and at - end + size < len(text)
            if not whole or not (end or size < _WINDOW):
                break
            size = _WINDOW
        if at > start:
            self._wait = 8
            self.again = at - end + reached
        else:
            self.again = at + max(reached, self._wait)
            self._wait = min(self._wait * 2, _PATIENCE)
        return at
