"""``bench``: the published benchmarks on this machine, plain and accelerated in turns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from fast_crewai import config, measured, report

# Benchmark → its options: a few minutes, and all that README publishes.
SHORT: dict[str, tuple[str, ...]] = {
    "runtime": (
        *("--rounds", "5", "--workload"),
        *("react", "native-3-tools", "sequential", "hierarchical", "one-answer", "flow"),
    ),
    "imports": ("--pairs", "3", "--program", "import", "--program", "kickoff"),
}
FULL: dict[str, tuple[str, ...]] = {
    "runtime": ("--rounds", "7"),
    "concurrency": ("--rounds", "5"),
    "imports": ("--pairs", "5"),
    "memory": ("--sizes", "1000x384"),
    "api": (),
}


def run(full: bool, names: tuple[str, ...]) -> None:
    """Run them one after the other. Raises click.ClickException if one can't run, or fails.

    Each compares both sides' outputs before it measures, and notes its result (`measured`).
    """
    if unknown := sorted(set(names) - set(FULL)):
        raise click.BadParameter(
            f"no benchmark is called {', '.join(unknown)}; there are {', '.join(FULL)}"
        )
    if report.crewai_version() is None:
        raise click.ClickException("CrewAI is not installed: there is nothing to compare")
    folder = Path(__file__).resolve().parent.parent / "_benchmarks"
    if not folder.is_dir():
        raise click.ClickException(f"the benchmarks are missing: {folder}")
    chosen = FULL if full else SHORT
    for name in names or chosen:
        options = chosen.get(name, FULL[name])
        click.echo(f"== {name} {' '.join(options)}".rstrip())
        done = subprocess.run(
            [sys.executable, str(folder / f"{name}.py"), *options], env=_environment(), check=False
        )
        if done.returncode:
            raise click.ClickException(f"the benchmark {name} ended with {done.returncode}")


def _environment() -> dict[str, str]:
    """Without what would switch us on or off on both sides."""
    file = measured.path()
    results = {} if file is None else {"FAST_CREWAI_RESULTS": str(file.parent / "benchmarks")}
    return config.without_ours() | results


def lines(found: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    """(what, times faster) of each result that is noted, for a table."""
    rows = []
    for benchmark, entry in found.items():
        for what, times in entry["times_faster"].items():
            told = times if isinstance(times, dict) else {"": times}
            text = ", ".join(f"{factor:.2f} {unit}".strip() for unit, factor in told.items())
            rows.append((f"{benchmark}: {what}", text))
    return rows
