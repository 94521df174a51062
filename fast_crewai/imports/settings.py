"""What chromadb's settings are made from when it is imported: they may be such that it refuses."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from fast_crewai import config
from fast_crewai.imports import manifest

_FILE = Path(".env")  # of the working directory


@dataclass
class Inputs:
    variables: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)  # of the file


def read() -> Inputs:
    """As it is now. Never raises."""
    try:
        lines = _FILE.read_bytes().decode().splitlines() if _FILE.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        lines = [f"{manifest.VARIABLES[0]} {type(error).__name__}"]
    return Inputs(config.environment(), lines)


def digest(inputs: Inputs, names: Collection[str]) -> str:
    """Of what may concern these settings; it tells nobody what they are."""

    def concerns(text: str) -> bool:
        return any(word in text.upper() for word in (*names, *manifest.VARIABLES))

    variables = sorted(item for item in inputs.variables.items() if concerns(item[0]))
    known = repr((variables, list(filter(concerns, inputs.lines))))
    return hashlib.sha256(known.encode("utf-8", "surrogatepass")).hexdigest()
