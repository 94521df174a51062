"""What an earlier ``docs/compatibility.md`` says of versions whose results aren't at hand."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

_ROW = re.compile(r"\| (\d\S*) \|.*\|")
_SECTION = re.compile(r"## CrewAI (\d\S*)")


@dataclass(frozen=True)
class Part:
    """One version in the document: its row of the table and the lines of its section."""

    version: str
    row: str
    section: tuple[str, ...]


def parts(document: str, without: Collection[str]) -> list[Part]:
    """The versions of a document that have both, less those named."""
    rows: dict[str, str] = {}
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in document.splitlines():
        if title := _SECTION.fullmatch(line):
            lines = sections[title[1]] = []
        elif not sections and (row := _ROW.fullmatch(line)):
            rows[row[1]] = line
        lines.append(line)
    return [
        Part(version, rows[version], (*"\n".join(section).rstrip().splitlines(), ""))
        for version, section in sections.items()
        if version in rows and version not in without
    ]
