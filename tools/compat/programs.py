"""The programs and their headers.

A program's docstring is one line of what it does, then what `compat` must know, one a line::

    crewai: >=1.10,<2          the versions it works with
    stdin: "Shorter\\n\\n"       what is typed, as a JSON string
    races: tool_usage_started  event types whose order is free among themselves (threads)
    order: per root            events of different roots (kickoffs) interleave freely; or per type:
    order: per task_started    also those below different events of this type
    varies: total_tokens       fields of events that depend on timing
    sets: chunk_findings       fields, at any depth, that are lists in any order
    lines: any order           handlers print from threads: lines of stdout are compared sorted

followed by an empty line and, for all after `stdin`, the reason.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "programs"

_KEYS = ("crewai", "stdin", "races", "order", "varies", "sets", "lines")
_VALUES = {"lines": ("any order",)}


@dataclass(frozen=True)
class Program:
    """A program and its header."""

    name: str
    path: Path
    summary: str
    crewai: str
    stdin: str
    races: frozenset[str]
    per: str | None
    varies: frozenset[str]
    sets: frozenset[str]
    any_line_order: bool

    def works_with(self, version: str) -> bool:
        """Whether the header allows this version of CrewAI."""
        return matches(version, self.crewai)


def load_all(folder: Path = FOLDER) -> list[Program]:
    """All programs of a folder, by name. Raises ValueError for a header that can't be read."""
    paths = sorted(folder.glob("*.py"))
    return [load(path) for path in paths if path.name not in ("support.py", "__init__.py")]


def load(path: Path) -> Program:
    """Read one program's header."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    summary, *lines = docstring.splitlines()
    header: dict[str, str] = {}
    for line in lines[1:]:
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        value = value.strip()
        if not colon or key not in _KEYS or value not in _VALUES.get(key, (value,)):
            raise ValueError(f"{path.name}: not understood in the header: {line}")
        header[key] = value
    if "crewai" not in header:
        raise ValueError(f"{path.name}: the header names no CrewAI versions")
    return Program(
        name=path.stem,
        path=path,
        summary=summary,
        crewai=header["crewai"],
        stdin=json.loads(header.get("stdin", '""')),
        races=frozenset(header.get("races", "").split()),
        varies=frozenset(header.get("varies", "").split()),
        sets=frozenset(header.get("sets", "").split()),
        per=header["order"].removeprefix("per ") if "order" in header else None,
        any_line_order="lines" in header,
    )


def matches(version: str, specifier: str) -> bool:
    """Whether a release number satisfies `>=1.10,<1.16`."""
    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier as error:
        raise ValueError(f"not a version specifier: {specifier}") from error
