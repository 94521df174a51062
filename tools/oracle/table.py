"""``docs/compatibility.md``: one table of what the kept results say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from oracle import earlier, judgement, results
from oracle.comparison import compare
from oracle.earlier import Part
from oracle.results import Run
from oracle.workplace import REPOSITORY, OracleError

DOCUMENT = REPOSITORY / "docs" / "compatibility.md"
ORDER = ("full", "runtime", "fast")  # the largest subset that was run stands in the table


@dataclass(frozen=True)
class Pair:
    """Both sides of one version, and the tests held against us."""

    off: Run
    on: Run
    against_us: tuple[str, ...]
    differences: int
    explained: tuple[str, ...]  # differences that repetitions did not hold against us
    programs: dict[str, str]  # program of tests/programs → verdict of `tools/compat matrix`


def pairs(paths: Iterable[Path]) -> list[Pair]:
    """The complete pairs among results, the newest version first, one pair for each version."""
    sides: dict[tuple[str, str, str], Path] = {}
    for path in paths:
        subset, _, accel = path.stem.partition("-")
        if accel in ("off", "on"):
            sides[path.parent.name, subset, accel] = path
    versions = sorted({key[0] for key in sides}, key=_number, reverse=True)
    found = []
    for version in versions:
        for subset in ORDER:
            off, on = (sides.get((version, subset, accel)) for accel in ("off", "on"))
            if off and on:
                found.append(_pair(off, on))
                break
    return found


def _pair(off_path: Path, on_path: Path) -> Pair:
    off, on = results.load(off_path), results.load(on_path)
    comparison = compare(off, on)
    judged = judgement.judge(off, on, comparison)
    if judged.faults:
        raise OracleError(f"CrewAI {off.crewai}: {'; '.join(judged.faults)}")
    against = tuple(difference.test for difference in judged.against_us())
    explained: tuple[str, ...] = ()
    kept = judgement.path_of(on_path)
    if kept.exists():  # with the verdicts of repetitions, if it is of these two runs
        content = json.loads(kept.read_text("utf-8"))
        if (content["off"], content["on"]) == (off.started, on.started):
            against = tuple(content["against_us"])
            explained = tuple(
                f"{row['test']}: {row['verdict']['kind']}"
                for row in content["differences"]
                if row["verdict"] and row["test"] not in against
            )
    programs = _programs(on_path)
    return Pair(off, on, against, len(comparison.differences), explained, programs)


def _programs(beside: Path) -> dict[str, str]:
    path = beside.with_name("programs.json")
    if not path.exists():
        return {}
    rows = json.loads(path.read_text("utf-8"))["results"]
    return {row["program"]: row["verdict"] for row in rows if row["verdict"] != "skipped"}


def document(found: list[Pair], command: str, today: date, before: str = "") -> str:
    """The Markdown text; versions that only ``before`` tells of stay as they are."""
    fresh = [Part(pair.off.crewai, _row(pair), tuple(_remarks(pair))) for pair in found]
    kept = earlier.parts(before, [part.version for part in fresh])
    parts = sorted([*fresh, *kept], key=lambda part: _number(part.version), reverse=True)
    lines = [
        "# Compatibility",
        "",
        "CrewAI's own test suite, from the source distribution of each version, without and with",
        "Fast-CrewAI (`pytest -p fast_crewai.pytest_plugin`), on the same machine in the same",
        "environment, offline, with CrewAI's recorded model answers.",
        "",
        f"Generated on {today.isoformat()} by `{command}`.",
        "",
        "| CrewAI | tests | passed off | passed on | held against us | routes active "
        "| of those exercised | minutes off / on | programs the same |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(part.row for part in parts),
        "",
        "- **tests**: of the whole suite, unless a subset is named. Those that don't pass do so",
        "  without us either: they need files of CrewAI's repository, a newer SQLite, a service.",
        "- **held against us**: tests whose outcome is worse with Fast-CrewAI, or that are missing",
        "  on one side, and for which repetitions didn't show that they change without us as well.",
        "- **routes active**: functions of that version that are proven and hence replaced; where",
        "  a function's code isn't known, CrewAI's own runs. **exercised**: the suite called them.",
        "- **programs**: those of `tests/programs` that work with that version, run by",
        "  `python tools/compat matrix`: same output, events, requests and files.",
        "",
        *(line for part in parts for line in part.section),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _row(pair: Pair) -> str:
    off, on = pair.off, pair.on
    subset = "" if off.subset == "full" else f" ({off.subset} subset)"
    active, exercised = len(on.active()), len(on.exercised())
    share = f"{exercised} ({exercised / active:.0%})" if active else "-"
    return (
        f"| {off.crewai} | {len(off.outcomes):,}{subset} | {off.passed:,} | {on.passed:,} "
        f"| {len(pair.against_us)} | {active} of {len(on.routes)} | {share} "
        f"| {off.wall / 60:.1f} / {on.wall / 60:.1f} | {_same(pair)} |"
    )


def _same(pair: Pair) -> str:
    same = sum(verdict == "same" for verdict in pair.programs.values())
    return f"{same} of {len(pair.programs)}" if pair.programs else "-"


def _remarks(pair: Pair) -> list[str]:
    calls = sum(use.calls for use in pair.on.routes.values())
    fallbacks = sum(use.fallbacks for use in pair.on.routes.values())
    lines = [f"## CrewAI {pair.off.crewai}", ""]
    lines.append(
        f"Python {pair.on.python}; {calls:,} calls of routes, {fallbacks:,} of them served by "
        f"CrewAI's own code; "
        f"outcomes that differed at first sight: {pair.differences}; "
        f"minutes of CPU off / on: {pair.off.cpu / 60:.1f} / {pair.on.cpu / 60:.1f}. "
        f"Run on {pair.off.started[:10]} (off) and {pair.on.started[:10]} (on), "
        f"wheel {pair.on.wheel}."
    )
    lines += ["", *_unused(pair.on), *_list("Held against us", pair.against_us)]
    lines += _list("Differed once, and why that is not held against us", pair.explained)
    unlike = [f"{name}: {said}" for name, said in pair.programs.items() if said != "same"]
    lines += _list("Programs that were not the same", unlike)
    left_out = [f"{test}: {why}" for test, why in pair.off.deselected.items()]
    return lines + _list("Left out on both sides", left_out)


def _unused(on: Run) -> list[str]:
    off = [f"{n} ({u.reason})" for n, u in on.routes.items() if u.state == "off"]
    idle = [name for name in on.active() if not on.routes[name].calls]
    waiting = [n for n, u in on.routes.items() if u.state == "waiting"]
    return [
        *_list("Routes that are off", off),
        *_list("Routes that no test called", idle),
        *_list("Routes whose module was never imported", waiting),
    ]


def _list(title: str, items: Iterable[str]) -> list[str]:
    lines = [f"- {item}" for item in items]
    return [f"{title}:", "", *lines, ""] if lines else []


def _number(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]
