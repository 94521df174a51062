"""Writes fast_crewai/memory/unicode.txt: what a word is, for Rust and Python alike.

    python tools/unicode_table.py        # with the oldest Python that knows enough of Unicode

Python versions and Rust know different versions of Unicode; one table makes them agree.
"""

import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path

TARGET = Path(__file__).parents[1] / "fast_crewai" / "memory" / "unicode.txt"
# Written without spaces between words: each character is a word.
SINGLE = [(0x3005, 0x3007), (0x3041, 0x3096), (0x30A1, 0x30FA), (0x3400, 0x4DBF), (0x4E00, 0x9FFF)]
SINGLE += [(0xF900, 0xFAFF), (0x20000, 0x323AF)]


def ranges(codes: Iterable[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found


def shown(pairs: Iterable[tuple[int, int]]) -> str:
    return " ".join(f"{a:x}-{b:x}" for a, b in pairs)


def table() -> str:
    codes = range(sys.maxunicode + 1)
    words = ranges(c for c in codes if unicodedata.category(chr(c))[0] in "LMN")
    folds = {c: chr(c).casefold() for c in codes if chr(c).casefold() != chr(c)}
    pairs = (f"{c:x}:" + ",".join(f"{ord(x):x}" for x in text) for c, text in folds.items())
    return "\n".join([shown(words), shown(SINGLE), " ".join(pairs)]) + "\n"


if __name__ == "__main__":
    TARGET.write_text(table(), encoding="ascii")
    print(f"{TARGET}: Unicode {unicodedata.unidata_version}")
