"""What is accelerated of the import of each version of CrewAI, and why the rest isn't."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from compat import environments

_PROGRAM = """
import crewai, time
print(time.process_time())
print(crewai.__version__, sorted(crewai.__all__), sorted(n for n in dir(crewai) if n[0] != "_"))
"""
_FIRST_RUNS = 2  # in which what is proven is noted
_QUIET = {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true"}


def show(versions: list[str | None]) -> bool:
    """Print a table (None: this environment); whether all imports print the same without us."""
    same = True
    print("| CrewAI | part | state | why it is off | CPU off / on, one run |")
    print("|---|---|---|---|---|")
    for version in versions:
        python = environments.python_with(version) if version else sys.executable
        with tempfile.TemporaryDirectory() as folder:
            same &= _show(python, Path(folder))
    return same


def _show(python: str, folder: Path) -> bool:
    (folder / "program.py").write_text(_PROGRAM)
    report = folder / "report.json"
    on = ["-m", "fast_crewai", "run", "--report", str(report)]
    off_seconds, off = _run(python, [], folder)
    for _ in range(_FIRST_RUNS + 1):
        on_seconds, names = _run(python, on, folder)
    version = names.partition(" ")[0]
    for part in _parts(json.loads(report.read_text())):
        print(f"| {version} | {part['name']} | {part['state']} | {part['reason']} |  |")
    verdict = "the same names" if names == off else "**OTHER NAMES**"
    print(f"| {version} | {verdict} | | | {off_seconds:.2f} / {on_seconds:.2f} s |", flush=True)
    return names == off


def _parts(report: dict[str, Any]) -> list[dict[str, Any]]:
    return list(report["components"]["imports"]["routes"])


def _run(python: str, options: list[str], folder: Path) -> tuple[float, str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= {**_QUIET, "XDG_CACHE_HOME": str(folder), "HOME": str(folder)}
    environment |= {} if options else {"FAST_CREWAI": "0"}
    done = subprocess.run(
        [python, *options, str(folder / "program.py")],
        capture_output=True,
        encoding="utf-8",
        env=environment,
        cwd=folder,
        timeout=300,
        check=True,
    )
    seconds, _, names = done.stdout.partition("\n")
    return float(seconds), names
