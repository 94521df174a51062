"""``matrix.toml`` and ``deselect.toml``: which versions, in what environments, less which tests."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oracle.workplace import PACKAGE, OracleError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MATRIX = PACKAGE / "matrix.toml"
DESELECT = PACKAGE / "deselect.toml"

# Routes that no test of CrewAI's comes to → the program in tests/programs that does;
# tests/process/test_programs.py fails if it doesn't.
BY_PROGRAMS = {
    "database.jsonb-latest": "checkpoints",
    "database.jsonb-list": "checkpoints",
    "database.jsonb-one": "checkpoints",
    "memory.deep-recall": "memory",
    "memory.matches": "memory",
    "memory.recall-state": "memory",
    "tools.saved-schema": "checkpoints",
}
# Routes that act only where CrewAI fails: no test that passes without us calls them. What they do
# is in tests/property/test_fixes.py.
WHERE_CREWAI_FAILS = frozenset(
    f"database.jsonb-{what}" for what in ("read", "read-async", "write", "write-async")
)


@dataclass(frozen=True)
class Version:
    """One CrewAI version: what the matrix runs of it and what its environment needs.

    ``overrides`` replace version limits of CrewAI's extras that contradict each other.
    """

    crewai: str
    subset: str
    why: str
    requirements: tuple[str, ...]
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class Deselected:
    """A test (an id, ``*`` stands for anything) that proves nothing on these versions, and why."""

    test: str
    versions: str
    reason: str


def matrix(path: Path = MATRIX) -> list[Version]:
    """The versions of the matrix, in its order."""
    table = _load(path)
    return [_version(table["default"], row) for row in table["version"]]


def version(crewai: str, path: Path = MATRIX) -> Version:
    """The settings of one version; one that is not in the matrix gets the default ones."""
    table = _load(path)
    rows = [row for row in table["version"] if row["crewai"] == crewai]
    return _version(table["default"], rows[0] if rows else {"crewai": crewai})


def deselected(crewai: str, path: Path = DESELECT) -> list[Deselected]:
    """The entries whose version condition holds. Raises OracleError for a malformed one."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    chosen = []
    for row in _load(path).get("test", []):
        try:
            entry = Deselected(row["id"], row["versions"], row["reason"])
            holds = crewai in SpecifierSet(entry.versions, prereleases=True)
        except (KeyError, InvalidSpecifier) as error:
            raise OracleError(f"{path.name}: {row}: {type(error).__name__} {error}") from error
        if not entry.reason.strip():
            raise OracleError(f"{path.name}: {entry.test} has no reason")
        if holds:
            chosen.append(entry)
    return chosen


def _version(default: dict[str, Any], row: dict[str, Any]) -> Version:
    both = {**default, **row}
    number = both["crewai"]
    return Version(
        crewai=number,
        subset=both["subset"],
        why=both.get("why", ""),
        requirements=tuple(text.format(version=number) for text in both["requirements"]),
        overrides=tuple(both["overrides"]),
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise OracleError(f"{path}: {error}") from error
