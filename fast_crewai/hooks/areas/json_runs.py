"""Elements of a list that are plain JSON, many at a time, by the decoder that Python has in C."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from fast_crewai._core import Declined

_WINDOW = 16_384  # characters at a time
_LEAST = 256
_SPACE = re.compile(r"[ \t\r\n]*")
_CLOSING = {"{": "},", "[": "],", '"': '",'}


def _constant(name: str) -> Any:
    raise Declined(name)


_DECODER = json.JSONDecoder(parse_constant=_constant)


class Runs:
    """The plain elements of one text, as far as nothing ``odd`` is in them.

    What a failed attempt has read is paid for: no other one is made for as many characters.
    """

    def __init__(self, text: str, odd: str) -> None:
        self.text = text
        self._odd = re.compile(odd)
        self._from, self._until = 0, -1  # the next odd thing behind the first, at the second
        self._again = 0

    def chunks(self, at: int, deepest: int) -> Iterator[tuple[list[Any], int]]:
        """Elements from ``at`` on, and where the comma behind the last of them is."""
        size, wasted = _WINDOW, 0
        while at >= self._again and size >= _LEAST:
            closing = _CLOSING.get(self.text[at : at + 1], ",")
            cut = self.text.rfind(closing, at, min(at + size, self._next_odd(at)))
            if cut < 0:
                break
            end = cut + len(closing) - 1
            found = self._read(at, end, deepest)
            if found is None:
                wasted += end - at
                size = min(size, end - at) // 4
                continue
            yield found, end
            at = _SPACE.match(self.text, end + 1).end()  # type: ignore[union-attr]
        if wasted:
            self._again = at + wasted

    def _next_odd(self, at: int) -> int:
        if not self._from <= at <= self._until:
            found = self._odd.search(self.text, at)
            self._from, self._until = at, found.start() if found else len(self.text)
        return self._until

    def _read(self, at: int, end: int, deepest: int) -> list[Any] | None:
        chunk = f"[{self.text[at:end]}]"
        try:
            found, behind = _DECODER.scan_once(chunk, 0)  # type: ignore[attr-defined]
        except (StopIteration, ValueError, Declined, RecursionError):
            return None
        if behind != len(chunk) or not found:  # nothing before the comma
            return None
        opened = chunk.count("{") + chunk.count("[") - 1
        if opened > len(found) and not _is_flat(found, deepest + 1):
            return None
        return found  # type: ignore[no-any-return]


def _is_flat(value: Any, deepest: int) -> bool:
    """Whether no more containers than ``deepest`` are in each other."""
    if type(value) is dict:
        return deepest > 0 and all(_is_flat(part, deepest - 1) for part in value.values())
    if type(value) is list:
        return deepest > 0 and all(_is_flat(part, deepest - 1) for part in value)
    return True
