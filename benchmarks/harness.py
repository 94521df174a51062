"""What the benchmarks share: interleaved samples, medians with their spread, JSON results."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from fast_crewai import measured

RESULTS = Path(os.environ.get("FAST_CREWAI_RESULTS") or Path(__file__).parent / "results")


def interleave(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call every side once a round, in alternating order, so that noise meets all of them."""
    samples: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        order = list(sides) if number % 2 == 0 else list(reversed(sides))
        for name in order:
            samples[name].append(sides[name]())
    return samples


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, median, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return {"median": median, "low": low, "high": high, "samples": len(values)}


def line(name: str, values: Sequence[float], unit: str) -> str:
    """ "name   median unit (quartiles low-high, n samples)"."""
    s = summary(values)
    return (
        f"{name:34} {s['median']:9.3f} {unit}  (quartiles {s['low']:.3f}-{s['high']:.3f}, "
        f"{s['samples']:.0f} samples)"
    )


def process_cpu(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """(CPU ms, wall ms) of a child process and its children. Raises CalledProcessError."""
    import resource
    import time

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run(command, env=dict(environment), check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu * 1e3, wall * 1e3


def write(name: str, results: Mapping[str, Any]) -> Path:
    """Write NAME.json among the results, with what identifies the run.

    "times_faster" (what → factor, or factors by what they are of) is noted for
    ``get_performance_improvements``.
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    document = {
        "benchmark": name,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "versions": {p: _version(p) for p in ("fast-crewai", "crewai", "pydantic")},
        "command": " ".join(["python", *sys.argv]),
        **results,
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if "times_faster" in document:
        measured.note(name, {key: document[key] for key in ("date", "versions", "times_faster")})
    return path


def _version(project: str) -> str | None:
    try:
        return metadata.version(project)
    except metadata.PackageNotFoundError:
        return None
