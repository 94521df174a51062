"""Made-up suites and runs: no downloads, and CrewAI itself only where a test says so."""

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from oracle.batches import Batch
from oracle.results import BatchRecord, Outcome, RouteUse, Run
from oracle.runner import Rows, Runner, Setting

MakeRun = Callable[..., Run]
RunSuite = Callable[..., tuple[list[BatchRecord], Rows, list[object]]]


@pytest.fixture
def make_run() -> MakeRun:
    """``make_run("off", name="passed", …)``: a finished run with these outcomes."""

    def make(accel: str, **outcomes: str | Outcome) -> Run:
        tests = {
            name: kind if isinstance(kind, Outcome) else Outcome(kind, f"{kind} it")
            for name, kind in outcomes.items()
        }
        return Run(
            crewai="1.0",
            accel=accel,
            subset="full",
            only=[],
            python="3.11",
            started=f"2026-01-01 {accel}",
            jobs=1,
            timeout=60,
            wheel="w",
            deselected={},
            complete=True,
            batches=[BatchRecord(0, ["tests/test_a.py"], loaded=accel != "off")],
            routes={} if accel == "off" else {"tools.name": RouteUse("active", calls=1)},
            outcomes=tests,
        )

    return make


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., Path]:
    """``suite(test_a="source", …)``: a folder with these files in ``tests``."""

    def make(**files: str) -> Path:
        root = tmp_path / "suite"
        (root / "tests").mkdir(parents=True)
        (root / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib --tb=short\n")
        for name, source in files.items():
            (root / "tests" / f"{name}.py").write_text(textwrap.dedent(source))
        return root

    return make


@pytest.fixture
def run_suite(tmp_path: Path) -> RunSuite:
    """Run a made-up suite, each file a batch, with this interpreter."""

    def run(
        root: Path, accel: str = "off", select: tuple[str, ...] | None = None, **options: object
    ) -> tuple[list[BatchRecord], Rows, list[object]]:
        records: list[BatchRecord] = []
        rows: Rows = {}
        statuses: list[object] = []

        def ended(record: BatchRecord, outcomes: Rows, status: object) -> None:
            records.append(record)
            rows.update(outcomes)
            statuses.append(status)

        files = sorted(path.relative_to(root).as_posix() for path in root.glob("tests/test_*.py"))
        batches = [Batch(number, (file,)) for number, file in enumerate(files)]
        setting = Setting(Path(sys.executable), root, accel, options=(), **options)
        Runner(setting, tmp_path / f"scratch-{accel}", select=select).run(batches, ended)
        return sorted(records, key=lambda record: record.number), rows, statuses

    return run
