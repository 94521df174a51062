"""Two sides of one suite: what differs, and what of that is worse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from oracle.results import Outcome, Run
from oracle.workplace import OracleError

# Worse is higher. Skipped is worse than passed: it no longer shows anything.
RANKS = {
    "passed": 0,
    "xfailed": 0,
    "xpassed": 1,
    "skipped": 2,
    "collect_skip": 2,
    "failed": 3,
    "error@setup": 3,
    "error@call": 3,
    "error@teardown": 3,
    "timeout": 4,
    "crashed": 5,
    "collect_error": 5,
}
ABSENT = "absent"
_CHANGING = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}-[0-9a-f-]{27}|\d+|/\S+")


@dataclass(frozen=True)
class Difference:
    """A test that ended differently. One that only one side has counts against us, too."""

    test: str
    off: Outcome | None
    on: Outcome | None

    @property
    def outcomes(self) -> tuple[str, str]:
        return (
            self.off.outcome if self.off else ABSENT,
            self.on.outcome if self.on else ABSENT,
        )

    @property
    def worse(self) -> bool:
        if self.off is None or self.on is None:
            return True
        return RANKS[self.on.outcome] > RANKS[self.off.outcome]

    @property
    def message(self) -> str:
        """Why the worse side ended as it did, in one line."""
        first, second = (self.on, self.off) if self.worse else (self.off, self.on)
        text = (first.message if first else "") or (second.message if second else "")
        return text.splitlines()[0] if text else ""


@dataclass(frozen=True)
class Comparison:
    """``differences``: outcomes; ``reworded``: failed on both sides, with other words."""

    same: int
    differences: tuple[Difference, ...]
    reworded: tuple[Difference, ...]

    @property
    def worse(self) -> list[Difference]:
        return [difference for difference in self.differences if difference.worse]


def compare(off: Run, on: Run) -> Comparison:
    """Raises OracleError when the two don't belong together, or are the wrong way round."""
    if off.accel != "off" or on.accel == "off":
        raise OracleError(f"give a run without us, then one with us: {off.accel}, {on.accel}")
    for name in ("crewai", "subset", "only", "python", "timeout", "deselected"):
        one, other = getattr(off, name), getattr(on, name)
        if one != other:
            raise OracleError(f"two different runs: {name} is {one!r} and {other!r}")
    changed, reworded, same = [], [], 0
    for difference in _pairs(off, on):
        one, other = difference.outcomes
        if one != other:
            changed.append(difference)
            continue
        same += 1
        if difference.off and difference.on and _reworded(difference.off, difference.on):
            reworded.append(difference)
    return Comparison(same, tuple(changed), tuple(reworded))


def _pairs(off: Run, on: Run) -> Iterator[Difference]:
    for test in sorted(off.outcomes.keys() | on.outcomes.keys()):
        yield Difference(test, off.outcomes.get(test), on.outcomes.get(test))


def _reworded(one: Outcome, other: Outcome) -> bool:
    return _CHANGING.sub("#", one.message) != _CHANGING.sub("#", other.message)
