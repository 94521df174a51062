"""A comparison with its verdicts: what ``diff`` prints, keeps and exits with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from oracle import results
from oracle.comparison import Comparison, Difference
from oracle.results import Run
from oracle.verdicts import Verdict


@dataclass(frozen=True)
class Judgement:
    """``faults``: why one of the sides proves nothing."""

    comparison: Comparison
    faults: tuple[str, ...]
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    def against_us(self) -> list[Difference]:
        """What is worse with us and was not shown to be somebody else's fault."""
        return [
            difference
            for difference in self.comparison.worse
            if difference.test not in self.verdicts or self.verdicts[difference.test].against_us
        ]

    @property
    def passed(self) -> bool:
        return not self.faults and not self.against_us()

    def show(self, say: Callable[[str], None]) -> None:
        for fault in self.faults:
            say(f"not valid: {fault}")
        for difference in self.comparison.differences:
            one, other = difference.outcomes
            note = "" if difference.worse else "  [not worse]"
            if difference.test in self.verdicts:
                note = f"  [{self.verdicts[difference.test]}]"
            say(f"{one:>13} -> {other:<13} {difference.test}{note}")
            if difference.message:
                say(f"{'':17}{difference.message[:180]}")
        for difference in self.comparison.reworded:
            one, _ = difference.outcomes
            say(f"{one:>13} on both sides, for another reason: {difference.test}")
            for side in (difference.off, difference.on):
                text = side.message.splitlines()[0] if side and side.message else "-"
                say(f"{'':17}{text[:180]}")
        say(
            f"{self.comparison.same} the same, {len(self.comparison.differences)} differ, "
            f"{len(self.against_us())} held against the accelerator"
        )


def judge(off: Run, on: Run, comparison: Comparison) -> Judgement:
    faults = [f"{run.accel}: {fault}" for run in (off, on) for fault in run.faults()]
    return Judgement(comparison, tuple(faults))


def path_of(on: Path) -> Path:
    """Where the judgement of that side is kept."""
    return on.with_suffix(".diff.json")


def save(judgement: Judgement, off: Run, on: Run, path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for difference in judgement.comparison.differences:
        verdict = judgement.verdicts.get(difference.test)
        rows.append(
            {
                "test": difference.test,
                "outcomes": difference.outcomes,
                "worse": difference.worse,
                "message": difference.message,
                "verdict": asdict(verdict) if verdict else None,
            }
        )
    content = {
        "off": off.started,
        "on": on.started,
        "faults": judgement.faults,
        "against_us": [difference.test for difference in judgement.against_us()],
        "differences": rows,
    }
    results.write_json(content, path)
