"""Repetitions tell the accelerator's faults from tests that change by themselves."""

import sys
from collections import Counter
from pathlib import Path

import pytest
from oracle import verdicts
from oracle.comparison import compare
from oracle.runner import Setting


@pytest.mark.parametrize(
    ("off", "on", "kind"),
    [
        (Counter(passed=3), Counter(failed=3), verdicts.REAL),
        (Counter(passed=3), Counter(absent=3), verdicts.REAL),
        (Counter(passed=3), Counter(passed=2, failed=1), verdicts.UNSTEADY),
        (Counter(passed=2, failed=1), Counter(failed=3), verdicts.FLAKY),
        (Counter(passed=3), Counter(passed=3), None),
        (Counter(passed=2, absent=1), Counter(failed=3), verdicts.REAL),
    ],
)
def test_verdicts(off, on, kind):
    assert verdicts.judge(off, on) == kind


def test_real_flaky_and_order_dependent_differences(suite, make_run, tmp_path):
    root = suite(
        test_a="""
            import pathlib, sys
            def test_real(): assert "fast_crewai" not in sys.modules
            def test_flaky():
                seen = pathlib.Path(__file__).with_suffix(".seen")
                count = len(seen.read_text()) if seen.exists() else 0
                seen.write_text("x" * (count + 1))
                assert count % 2
            def test_neighbour(): sys.neighbour = "fast_crewai" in sys.modules
            def test_by_order(): assert not getattr(sys, "neighbour", False)
            def test_chance(): pass
        """
    )
    names = ("real", "flaky", "by_order", "chance")
    file = "tests/test_a.py::test_"
    off = make_run("off", **{f"{file}{name}": "passed" for name in names})
    on = make_run("on", **{f"{file}{name}": "failed" for name in names})
    sides = [Setting(Path(sys.executable), root, accel, options=()) for accel in ("off", "on")]
    found = verdicts.decide(
        compare(off, on).differences, (off, on), (sides[0], sides[1]), 2, lambda line: None
    )
    kinds = {test.removeprefix(file): (row.kind, row.where) for test, row in found.items()}
    assert kinds == {
        "real": (verdicts.REAL, "alone"),
        "flaky": (verdicts.FLAKY, "alone"),
        "by_order": (verdicts.REAL, "in its batch"),
        "chance": (verdicts.NOT_REPRODUCED, "in its batch"),
    }
    assert found[f"{file}real"].against_us
    assert not found[f"{file}flaky"].against_us
