"""What a run found, as data and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from oracle.workplace import REPOSITORY, OracleError

FINGERPRINTS = REPOSITORY / "fast_crewai" / "fingerprints.json"
PASSED = "passed"
STATES = ("off", "waiting", "active")  # of a route: the later one wins when batches differ


@dataclass
class Outcome:
    """One test. ``calls``: how often it used each of our routes."""

    outcome: str
    message: str = ""
    wall: float = 0.0
    cpu: float = 0.0
    calls: dict[str, int] = field(default_factory=dict)


@dataclass
class BatchRecord:
    """One batch: ``broken`` says why it could not be finished."""

    number: int
    files: list[str]
    wall: float = 0.0
    cpu: float = 0.0
    crashes: int = 0
    loaded: bool = False
    broken: str = ""


@dataclass
class RouteUse:
    """One of our routes over all batches."""

    state: str
    reason: str = ""
    target: str = ""
    calls: int = 0
    fallbacks: int = 0
    fallback_reasons: dict[str, int] = field(default_factory=dict)

    def add(self, route: dict[str, Any]) -> None:
        """Add what ``fast_crewai.status()`` said of it at the end of a batch."""
        if STATES.index(route["state"]) > STATES.index(self.state):
            self.state, self.reason = route["state"], route["reason"]
        self.calls += route["calls"]
        self.fallbacks += route["fallbacks"]
        reasons = Counter(self.fallback_reasons) + Counter(route.get("fallback_reasons", {}))
        self.fallback_reasons = dict(reasons)


@dataclass
class Run:
    """One side: a version's tests, without (``off``) or with (``on``, ``wrong``) us."""

    crewai: str
    accel: str
    subset: str
    only: list[str]
    python: str
    started: str
    jobs: int
    timeout: int
    wheel: str
    deselected: dict[str, str]
    packages: list[str] = field(default_factory=list)
    wall: float = 0.0
    complete: bool = False
    batches: list[BatchRecord] = field(default_factory=list)
    routes: dict[str, RouteUse] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """Outcome → number of tests, the most frequent first."""
        return dict(Counter(test.outcome for test in self.outcomes.values()).most_common())

    @property
    def passed(self) -> int:
        return self.counts().get(PASSED, 0)

    @property
    def cpu(self) -> float:
        """Seconds, of all interpreters."""
        return sum(batch.cpu for batch in self.batches)

    def active(self) -> list[str]:
        """The routes that were on in at least one batch."""
        return [name for name, use in self.routes.items() if use.state == "active"]

    def exercised(self) -> list[str]:
        return [name for name in self.active() if self.routes[name].calls]

    def add_status(self, status: dict[str, Any]) -> None:
        """Sum up the routes of one batch."""
        for component in status["components"].values():
            for route in component["routes"]:
                fresh = RouteUse("off", route["reason"], route.get("target", ""))
                self.routes.setdefault(route["name"], fresh).add(route)

    def faults(self) -> list[str]:
        """Why this run proves nothing: unfinished, or not in the state that it claims."""
        found = [f"batch {b.number}: {b.broken}" for b in self.batches if b.broken]
        if not self.complete:
            found.append("the run was not finished")
        if not self.outcomes:
            found.append("no test was run")
        if self.accel == "off" and any(batch.loaded for batch in self.batches):
            found.append("the accelerator was loaded although it should be off")
        if self.accel != "off" and not all(batch.loaded for batch in self.batches):
            found.append("the accelerator was not loaded in every batch")
        if self.accel != "off":
            found += self._faults_of_routes()
        return found

    def _faults_of_routes(self) -> list[str]:
        if not self.active():
            return ["no route was active"]
        targets = proven(self.crewai)
        found = [
            f"{name} is proven on this version, and off: {use.reason}"
            for name, use in self.routes.items()
            if use.state == "off" and use.target in targets
        ]
        return found + [
            f"{name} failed: {reason} ({count} times)"
            for name, use in self.routes.items()
            for reason, count in use.fallback_reasons.items()
            if reason.endswith("in the fast path")
        ]

    def summary(self) -> str:
        text = ", ".join(f"{number} {outcome}" for outcome, number in self.counts().items())
        return (
            f"CrewAI {self.crewai}, {self.subset}, {self.accel}: {len(self.outcomes)} results: "
            f"{text}; {self.wall:.0f} s, {self.cpu:.0f} s CPU in {len(self.batches)} batches"
        )


def proven(crewai: str) -> set[str]:
    """The targets that are proven on that version, by the project's own list."""
    listed = json.loads(FINGERPRINTS.read_text("utf-8"))["targets"]
    return {
        target
        for target, digests in listed.items()
        if any(crewai in packages.get("crewai", ()) for packages in digests.values())
    }


def save(run: Run, path: Path) -> None:
    """Write it at once or not at all."""
    run.outcomes = dict(sorted(run.outcomes.items()))
    run.batches.sort(key=lambda batch: batch.number)
    write_json(asdict(run), path)


def write_json(content: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)


def load(path: Path) -> Run:
    """Raises OracleError when the file is no run of ours."""
    try:
        content = json.loads(path.read_text("utf-8"))
        content["batches"] = [BatchRecord(**row) for row in content["batches"]]
        content["routes"] = {name: RouteUse(**row) for name, row in content["routes"].items()}
        content["outcomes"] = {name: Outcome(**row) for name, row in content["outcomes"].items()}
        return Run(**content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OracleError(f"{path} is not the result of a run: {error}") from error
