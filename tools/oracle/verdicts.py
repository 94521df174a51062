"""Is a difference real? Run what differs again, both sides, alone and among its neighbours."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oracle.batches import Batch
from oracle.comparison import ABSENT, Difference
from oracle.results import BatchRecord, Run
from oracle.runner import Rows, Runner, Setting
from oracle.subsets import file_of
from oracle.workplace import OracleError

REAL = "real"
UNSTEADY = "unsteady with us"
FLAKY = "flaky without us"
NOT_REPRODUCED = "not reproduced"

Seen = dict[str, Counter[str]]  # test → how often which outcome


@dataclass
class Verdict:
    """What a difference turned out to be. ``off`` and ``on``: outcomes of the repetitions.

    A test that always ends the same without us and not with us is held against us.
    """

    kind: str
    where: str
    off: dict[str, int] = field(default_factory=dict)
    on: dict[str, int] = field(default_factory=dict)

    @property
    def against_us(self) -> bool:
        return self.kind in (REAL, UNSTEADY)

    def __str__(self) -> str:
        return f"{self.kind} ({self.where}: {self.off} / {self.on})"


def judge(off: Counter[str], on: Counter[str]) -> str | None:
    """What the repetitions of both sides say; None if they don't differ.

    Not turning up is no outcome of the test: without us it acquits nobody.
    """
    if len(off.keys() - {ABSENT}) > 1:
        return FLAKY
    if len(on) > 1:
        return UNSTEADY
    return REAL if off.keys() != on.keys() else None


def decide(
    differences: Iterable[Difference],
    sides: tuple[Run, Run],
    settings: tuple[Setting, Setting],
    times: int,
    say: Callable[[str], None],
) -> dict[str, Verdict]:
    """Run each differing test alone; what is then the same, in its whole batch again."""
    tests = [difference.test for difference in differences]
    verdicts: dict[str, Verdict] = {}
    open_tests = tests
    for where, plan in (("alone", alone), ("in its batch", in_batches)):
        if not open_tests:
            break
        say(f"{len(open_tests)} again, {times} times, {where}")
        batches = plan(open_tests, sides[0])
        select = tuple(t for t in open_tests if "::" in t) if where == "alone" else None
        listed = sides[0].subset != "full" and where != "alone"
        chosen = tuple({**sides[0].outcomes, **sides[1].outcomes}) if listed else select
        jobs = sides[0].jobs
        off, on = (_repeat(setting, batches, chosen, times, jobs) for setting in settings)
        left = []
        for test in open_tests:
            seen = _of(test, off, times), _of(test, on, times)
            kind = judge(*seen)
            verdicts[test] = Verdict(kind or NOT_REPRODUCED, where, dict(seen[0]), dict(seen[1]))
            if kind is None:
                left.append(test)
        open_tests = left
    return verdicts


def alone(tests: list[str], _side: Run) -> list[Batch]:
    """One interpreter for each test's file, in which only the differing tests are run."""
    files = dict.fromkeys(file_of(test) for test in tests)
    return [Batch(number, (file,)) for number, file in enumerate(files)]


def in_batches(tests: list[str], side: Run) -> list[Batch]:
    """The batches in which the tests were."""
    files = {file_of(test) for test in tests}
    return [Batch(b.number, tuple(b.files)) for b in side.batches if files & set(b.files)]


def _of(test: str, seen: Seen, times: int) -> Counter[str]:
    """Its outcomes, with those repetitions in which it didn't turn up."""
    found = seen.get(test, Counter())
    return found + Counter({ABSENT: times - found.total()})


def _repeat(
    setting: Setting,
    batches: list[Batch],
    select: tuple[str, ...] | None,
    times: int,
    jobs: int,
) -> Seen:
    seen: Seen = {}

    def ended(record: BatchRecord, rows: Rows, _status: Any) -> None:
        if record.broken or record.loaded == (setting.accel == "off"):
            why = record.broken or "the accelerator was not in the state it should be in"
            raise OracleError(f"a repetition is not valid: batch {record.number}: {why}")
        for test, row in rows.items():
            seen.setdefault(test, Counter())[row.outcome] += 1

    for _ in range(times):
        with tempfile.TemporaryDirectory() as scratch:
            Runner(setting, Path(scratch), jobs, select).run(batches, ended)
    return seen
