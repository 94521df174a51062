"""One side of a comparison, from the version number to the stored result."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from oracle import environment, results, settings, subsets, suite
from oracle.batches import MAX_FILES, MAX_FILES_OF_LIST, Batch, plan
from oracle.results import BatchRecord, Run
from oracle.runner import Rows, Runner, Setting
from oracle.subsets import Subset
from oracle.toolbox import Toolbox
from oracle.workplace import Workplace

Say = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """A version's suite and environment, ready to run."""

    place: Workplace
    version: str
    root: Path
    python: Path
    wheel: str
    packages: tuple[str, ...]
    say: Say

    @classmethod
    def ready(cls, place: Workplace, version: str, wheel: Path | None, say: Say) -> Bench:
        """Download, install and build what isn't there yet."""
        toolbox = Toolbox(place)
        wanted = settings.version(version)
        root = suite.prepared(place, toolbox, version, say)
        made = environment.prepared(place, toolbox, wanted, wheel, say)
        packages = tuple(made.packages(toolbox))
        return cls(place, version, root, made.python, made.wheel, packages, say)

    def setting(self, accel: str, timeout: int, deselect: tuple[str, ...]) -> Setting:
        return Setting(self.python, self.root, accel, deselect, test_limit=timeout)


@dataclass(frozen=True)
class Order:
    """What to run, and how."""

    accel: str
    subset: str
    only: tuple[str, ...] = ()
    jobs: int = 2
    timeout: int = 60


def run(bench: Bench, order: Order, out: Path) -> Run:
    """Run one side and keep its result in ``out``, which is brought up to date at every batch."""
    subset = subsets.load(order.subset, bench.root).only(order.only)
    without = {entry.test: entry.reason for entry in settings.deselected(bench.version)}
    found = Run(
        crewai=bench.version,
        accel=order.accel,
        subset=order.subset,
        only=list(order.only),
        python=platform.python_version(),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        jobs=order.jobs,
        timeout=order.timeout,
        wheel=bench.wheel,
        deselected=without,
        packages=list(bench.packages),
    )
    batches = batches_of(subset)
    begun = time.monotonic()

    def ended(record: BatchRecord, rows: Rows, status: Any) -> None:
        found.batches.append(record)
        found.outcomes.update(rows)
        if status is not None:
            found.add_status(status)
        found.wall = round(time.monotonic() - begun, 1)
        found.complete = len(found.batches) == len(batches)
        results.save(found, out)
        bad = sum(1 for row in rows.values() if row.outcome not in ("passed", "skipped"))
        text = f"batch {record.number:3}: {len(rows):4} results in {record.wall:6.1f} s"
        text += f", {bad} neither passed nor skipped" if bad else ""
        bench.say(f"{text}  {record.broken}".rstrip())

    scratch = out.with_suffix(".logs").resolve()
    shutil.rmtree(scratch, ignore_errors=True)
    setting = bench.setting(order.accel, order.timeout, tuple(without))
    Runner(setting, scratch, order.jobs, subset.tests).run(batches, ended)
    return found


def batches_of(subset: Subset) -> list[Batch]:
    most = MAX_FILES if subset.tests is None else MAX_FILES_OF_LIST
    return plan(subset.files, subset.sizes(), most)
