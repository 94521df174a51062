"""Choosing the fast subset: the tests that use most of our routes for the least time."""

from __future__ import annotations

from collections import Counter, defaultdict

from oracle.results import PASSED, Run
from oracle.subsets import file_of

LONGEST = 4.0  # seconds; a slower test, or one that waits, is left to the full suite
PER_FILE = 20  # tests of one file are much alike
ENOUGH = 30  # tests that use a route


def choose(run: Run, among: frozenset[str], seconds: float) -> list[str]:
    """Tests worth ``seconds`` of CPU in all: those of every route first, then of every file.

    Only tests that passed, ``among`` those that run the areas of CrewAI that we rewrite.
    """
    tests = {
        name: test
        for name, test in run.outcomes.items()
        if name in among and test.outcome == PASSED and test.wall <= LONGEST
    }
    uses: Counter[str] = Counter()
    chosen: set[str] = set()
    left = seconds
    by_file: dict[str, list[str]] = defaultdict(list)
    for name in tests:
        by_file[file_of(name)].append(name)
    rounds = _rounds(by_file, run)
    for need_routes in (True, False):
        for name in rounds:
            test = tests[name]
            rare = any(uses[route] < ENOUGH for route in test.calls)
            if name in chosen or test.cpu > left or (need_routes and not rare):
                continue
            chosen.add(name)
            uses.update(test.calls.keys())
            left -= test.cpu
    return [name for name in run.outcomes if name in chosen]


def _rounds(by_file: dict[str, list[str]], run: Run) -> list[str]:
    """The first test of every file, then the second of every file, …: those with calls first."""
    ordered = []
    for names in by_file.values():
        names.sort(key=lambda name: (not run.outcomes[name].calls, run.outcomes[name].cpu))
        ordered.append(names[:PER_FILE])
    longest = max(map(len, ordered), default=0)
    return [names[turn] for turn in range(longest) for names in ordered if turn < len(names)]


def text(chosen: list[str], run: Run) -> str:
    head = [
        f"# {len(chosen)} of CrewAI {run.crewai}'s tests that use every route, for CI.",
        "# Chosen by `python tools/oracle select`.",
    ]
    return "\n".join([*head, *chosen]) + "\n"


def summary(chosen: list[str], run: Run) -> str:
    uses = Counter(route for name in chosen for route in run.outcomes[name].calls)
    cpu = sum(run.outcomes[name].cpu for name in chosen)
    files = len({file_of(name) for name in chosen})
    lines = [f"{len(chosen)} tests of {files} files, {cpu:.0f} s of CPU"]
    lines += [f"{uses[route]:6} tests use {route}" for route in sorted(run.routes)]
    return "\n".join(lines)
