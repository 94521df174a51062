"""Words of a text, as ``src/search/words.rs`` finds them, from the same table of Unicode."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any


def words(text: str) -> list[str]:
    """Case folded runs of letters, marks and digits; characters of scripts that are written
    without spaces are words of their own."""
    folds, pattern = _table()
    return pattern.findall(text.translate(folds))


@cache
def _table() -> tuple[dict[int, Any], re.Pattern[str]]:
    table = resources.files("fast_crewai.memory").joinpath("unicode.txt").read_text("ascii")
    word_ranges, single_ranges, pairs = (line.split() for line in table.splitlines())
    folds = {}
    for pair in pairs:
        code, _, folded = pair.partition(":")
        folds[int(code, 16)] = "".join(chr(int(part, 16)) for part in folded.split(","))
    single = _class(single_ranges)
    return folds, re.compile(f"[{single}]|(?:(?![{single}])[{_class(word_ranges)}])+")


def _class(ranges: list[str]) -> str:
    ends = (r.split("-") for r in ranges)
    return "".join(rf"\U{int(a, 16):08x}-\U{int(b, 16):08x}" for a, b in ends)
