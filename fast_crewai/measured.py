"""What benchmarks have measured on this machine: one file in the user's cache folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fast_crewai import config


def path() -> Path | None:
    """The file (it needn't exist); None where no cache folder is known."""
    folder = config.cache_folder()
    return None if folder is None else folder / "benchmarks.json"


def read() -> dict[str, dict[str, Any]]:
    """Benchmark → {"date", "versions", "times_faster"}; empty if nothing readable is there."""
    file = path()
    try:
        found = json.loads(file.read_text("utf-8"))["benchmarks"] if file else {}
        return {str(name): dict(entry) for name, entry in dict(found).items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def note(benchmark: str, entry: Mapping[str, Any]) -> None:
    """Keep a benchmark's result in place of its last one. Does nothing where it can't write."""
    file = path()
    if file is None:
        return
    text = json.dumps({"benchmarks": {**read(), benchmark: dict(entry)}}, indent=2)
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        other = file.with_suffix(f".{os.getpid()}")
        other.write_text(text + "\n", encoding="utf-8")
        other.replace(file)
