"""The command line of `python tools/compat`."""

from __future__ import annotations

import argparse
import difflib
import json
import shlex
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from oracle import settings
from oracle.results import write_json
from oracle.workplace import Workplace, default_work

import compat
from compat import environments, imports, programs, runner
from compat.programs import Program

_SHOWN = 40  # lines of a difference


@dataclass
class Result:
    """One program's comparison: "same", "different", "error" or "skipped"."""

    program: str
    verdict: str
    detail: str = ""
    seconds: tuple[float, float] = (0.0, 0.0)
    size: str = ""
    differences: dict[str, list[str]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    fallbacks: dict[str, dict[str, int]] = field(default_factory=dict)


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.command == "matrix":
        return _matrix(parser, given.crewai, given.jobs, given.work)
    if given.command == "imports":
        return 0 if imports.show(given.crewai or [None]) else 1
    known = programs.load_all(
        programs.FOLDER if given.command == "list" else given.programs.resolve()
    )
    if given.command == "list":
        for program in known:
            print(f"{program.name:20} crewai {program.crewai:14} {program.summary}")
        return 0
    chosen = [p for p in known if not given.only or p.name in given.only]
    if missing := set(given.only or ()) - {p.name for p in chosen}:
        parser.error(f"no such program: {', '.join(sorted(missing))}")
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    results = _run(chosen, given.crewai, given.jobs, not given.off_off, given.keep, given.json)
    return _exit_code(results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python tools/compat",
        description=compat.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the programs, and what they work with")
    run = commands.add_parser("run", help="run programs off and on; exit code 1 on a difference")
    run.add_argument("--crewai", metavar="VERSION", help="in an environment with this version")
    run.add_argument("--only", nargs="+", metavar="NAME", help="these programs")
    run.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    run.add_argument("--off-off", action="store_true", help="compare two runs without us")
    run.add_argument("--programs", type=Path, default=programs.FOLDER, metavar="FOLDER")
    run.add_argument("--keep", type=Path, metavar="FOLDER", help="keep each run's files there")
    matrix = commands.add_parser("matrix", help="all programs on each version of the oracle's")
    matrix.add_argument("--crewai", nargs="+", metavar="VERSION", help="only these of the matrix")
    matrix.add_argument(
        "--work",
        type=Path,
        default=default_work(),
        metavar="FOLDER",
        help="the oracle's, whose report shows the results (default: the user's cache)",
    )
    of_imports = commands.add_parser("imports", help="which parts of the import are accelerated")
    of_imports.add_argument(
        "--crewai", nargs="+", metavar="VERSION", help="in environments with these versions"
    )
    for command in (run, matrix):
        command.add_argument("--jobs", type=int, default=2, help="programs at once (default: 2)")
    return parser


def _matrix(
    parser: argparse.ArgumentParser, wanted: list[str] | None, jobs: int, work: Path
) -> int:
    """Keep each version's results where ``oracle report`` finds them."""
    versions = [version.crewai for version in settings.matrix()]
    if missing := set(wanted or ()) - set(versions):
        parser.error(f"not in {settings.MATRIX.name}: {', '.join(sorted(missing))}")
    worst = 0
    for version in versions:
        if not wanted or version in wanted:
            file = Workplace(work.resolve()).programs(version)
            worst = max(worst, _exit_code(_run(programs.load_all(), version, jobs, file=file)))
    return worst


def _run(
    chosen: list[Program],
    crewai: str | None,
    jobs: int,
    accelerated: bool = True,
    keep: Path | None = None,
    file: Path | None = None,
) -> list[Result]:
    """Run programs in the environment with that version (None: in this one), print and keep."""
    try:
        python = environments.python_with(crewai) if crewai else sys.executable
    except subprocess.CalledProcessError as error:
        sys.exit(f"no environment with CrewAI {crewai}: {shlex.join(error.cmd)} failed")
    version = _crewai_version(python)
    print(f"CrewAI {version}, {python}, {'off and on' if accelerated else 'off and off'}")
    with ThreadPoolExecutor(jobs) as pool:
        results = []
        for result in pool.map(
            lambda program: compare(program, python, version, accelerated, keep), chosen
        ):
            results.append(result)
            _print(result)
    _summarise(results)
    if file:
        write_json({"crewai": version, "results": [asdict(result) for result in results]}, file)
    return results


def _exit_code(results: list[Result]) -> int:
    """0 only if something was compared, and all of it was the same."""
    verdicts = {result.verdict for result in results}
    return 0 if "same" in verdicts and verdicts <= {"same", "skipped"} else 1


def compare(
    program: Program, python: str, version: str, accelerated: bool, keep: Path | None
) -> Result:
    """Run a program twice and compare all that it did."""
    if not program.works_with(version):
        return Result(program.name, "skipped", f"needs CrewAI {program.crewai}")
    try:
        off = runner.run(program, python, accelerated=False, keep=keep)
        on = runner.run(program, python, accelerated=accelerated, keep=keep)
    except (RuntimeError, subprocess.TimeoutExpired, ValueError) as error:
        return Result(program.name, "error", str(error))
    result = Result(
        program.name,
        "same",
        seconds=(round(off.seconds, 2), round(on.seconds, 2)),
        size=_size(off.parts),
        differences={
            name: _difference(off.parts[name], on.parts[name])
            for name in off.parts
            if _text(off.parts[name]) != _text(on.parts[name])  # keys in order, too
        },
        calls={r["name"]: r["calls"] for r in on.routes if r["calls"]},
        fallbacks={
            r["name"]: r.get("fallback_reasons", {}) for r in on.routes if r.get("fallbacks")
        },
    )
    failed = [
        f"{name}: {reason}"
        for name, reasons in result.fallbacks.items()
        for reason in reasons
        if reason.endswith("in the fast path")
    ]
    if accelerated and (failed or not any(r["state"] == "active" for r in on.routes)):
        result.verdict, result.detail = "error", "; ".join(failed) or "no route was active"
    elif result.differences:
        result.verdict, result.detail = "different", ", ".join(result.differences)
    elif off.parts["exit"] != 0:
        result.verdict = "error"
        result.detail = "the program fails:\n" + "\n".join(off.parts["stderr"][-_SHOWN:])
    return result


def _crewai_version(python: str) -> str:
    code = "from importlib.metadata import version; print(version('crewai'))"
    asked = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def _size(parts: dict[str, Any]) -> str:
    files = sum(len(part) for name, part in parts.items() if name.startswith("files"))
    return (
        f"{len(parts['events'])} events, {len(parts['requests'])} requests, "
        f"{len(parts['stdout'])} lines, {files} files"
    )


def _difference(off: Any, on: Any) -> list[str]:
    """The lines that differ, with what stands around them."""
    before, after = _text(off).splitlines(), _text(on).splitlines()
    return list(difflib.unified_diff(before, after, "off", "on", lineterm="", n=2))


def _text(part: Any) -> str:
    if isinstance(part, list) and all(isinstance(line, str) for line in part):
        return "\n".join(part)
    return json.dumps(part, indent=1, ensure_ascii=False)


def _print(result: Result) -> None:
    times = " / ".join(f"{seconds:.1f}" for seconds in result.seconds)
    print(f"{result.verdict:9} {result.program:20} {times:12} {result.detail or result.size}")
    for part, lines in result.differences.items():
        print(f"    {part}:")
        for line in lines[:_SHOWN]:
            print(f"        {line[:300]}")
    sys.stdout.flush()


def _summarise(results: list[Result]) -> None:
    calls: Counter[str] = Counter()
    users: Counter[str] = Counter()
    for result in results:
        calls.update(result.calls)
        users.update(result.calls.keys())
    if calls:
        print("\nroute, calls in all programs, programs:")
    for name, count in sorted(calls.items()):
        print(f"    {name:50} {count:9,} {users[name]:4}")
    for result in results:
        for name, reasons in result.fallbacks.items():
            for reason, count in reasons.items():
                print(f"    fallback in {result.program}: {name}: {count:,} × {reason}")
    verdicts = Counter(result.verdict for result in results)
    print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())))
