"""``python tools/oracle``: run CrewAI's tests off and on, compare, report."""

from __future__ import annotations

import functools
import shlex
import signal
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import click

from oracle import judgement as judging
from oracle import results, selection, session, settings, subsets, table, verdicts
from oracle.comparison import compare
from oracle.judgement import Judgement
from oracle.runner import ACCELERATORS
from oracle.session import Bench, Order
from oracle.toolbox import Toolbox
from oracle.wheel import built
from oracle.workplace import OracleError, Workplace, default_work, lines_of

FILE = click.Path(path_type=Path, dir_okay=False)


class _Group(click.Group):
    """What the user can change is said without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OracleError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """CrewAI's own test suite as the judge: without and with the accelerator."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: end our interpreters


def _with_place(command: Callable[..., None]) -> Callable[..., None]:
    @click.option(
        "--work",
        type=click.Path(path_type=Path, file_okay=False),
        default=default_work,
        help="Folder of downloads, environments and results.  [default: the user's cache]",
    )
    @functools.wraps(command)
    def wrapper(work: Path, **options: Any) -> None:
        command(place=Workplace(work.resolve()), **options)

    return wrapper


_wheel = click.option(
    "--wheel", type=FILE, help="This wheel of ours instead of one built from the working tree."
)
_jobs = click.option("--jobs", default=2, show_default=True, type=click.IntRange(min=1))
_rerun = click.option(
    "--rerun", default=0, type=click.IntRange(min=0), help="Run what differs again, N times a side."
)


@main.command()
@click.option("--crewai", required=True, metavar="VERSION")
@_wheel
@_with_place
def prepare(place: Workplace, crewai: str, wheel: Path | None) -> None:
    """Download and install what ``run`` needs, and run nothing."""
    bench = Bench.ready(place, crewai, wheel, click.echo)
    click.echo(f"tests: {bench.root}\npython: {bench.python}")


@main.command()
@click.option("--crewai", required=True, metavar="VERSION")
@click.option("--accel", required=True, type=click.Choice(list(ACCELERATORS)))
@click.option("--subset", default="fast", show_default=True, type=click.Choice(subsets.NAMES))
@click.option("--only", multiple=True, metavar="WORD", help="Only files with this in their path.")
@click.option("--timeout", default=60, show_default=True, help="Seconds for one test.")
@click.option("--out", type=FILE, help="[default: below --work]")
@click.option("--require-calls", is_flag=True, help="Fail if an active route was never called.")
@click.option("--require-all", is_flag=True, help="Fail if a test of the list was not found.")
@_jobs
@_wheel
@_with_place
def run(
    place: Workplace,
    crewai: str,
    out: Path | None,
    wheel: Path | None,
    require_calls: bool,
    require_all: bool,
    **order: Any,
) -> None:
    """Run one side and keep the outcome of every test."""
    bench = Bench.ready(place, crewai, wheel, click.echo)
    wanted = Order(**order)
    if out is None and wanted.only:
        raise OracleError("--only needs --out: a part is not kept as the version's result")
    out = out or place.result(crewai, wanted.subset, wanted.accel)
    found = session.run(bench, wanted, out)
    _finish(found, out, require_calls)
    listed = subsets.load(wanted.subset, bench.root).only(wanted.only).tests or ()
    if require_all and (missing := set(listed) - found.outcomes.keys()):
        raise OracleError(f"{len(missing)} listed tests were not found: {sorted(missing)[:5]}")


def _finish(found: results.Run, out: Path, require_calls: bool) -> None:
    click.echo(found.summary())
    if found.accel != "off":
        active, exercised = found.active(), found.exercised()
        calls = sum(use.calls for use in found.routes.values())
        fallbacks = sum(use.fallbacks for use in found.routes.values())
        click.echo(
            f"{len(active)} of {len(found.routes)} routes active, {len(exercised)} called: "
            f"{calls:,} calls, {fallbacks:,} fallbacks"
        )
        elsewhere = settings.BY_PROGRAMS.keys() | settings.WHERE_CREWAI_FAILS
        idle = sorted(set(active) - set(exercised) - elsewhere)
        if require_calls and (idle or not active):
            raise OracleError(f"active routes without a call: {', '.join(idle) or 'none active'}")
    click.echo(f"kept in {out}")
    if faults := found.faults():
        raise OracleError("not valid: " + "; ".join(faults))


@main.command()
@click.argument("off", type=FILE)
@click.argument("on", type=FILE)
@_rerun
@_wheel
@_with_place
def diff(place: Workplace, off: Path, on: Path, rerun: int, wheel: Path | None) -> None:
    """Compare two runs; exit code 1 if a test's outcome is worse in the second, or missing."""
    judged = _judge(place, off, on, rerun, wheel)
    judged.show(click.echo)
    sys.exit(0 if judged.passed else 1)


def _judge(
    place: Workplace, off_path: Path, on_path: Path, rerun: int, wheel: Path | None
) -> Judgement:
    off, on = results.load(off_path), results.load(on_path)
    judged = judging.judge(off, on, compare(off, on))
    if rerun and judged.comparison.differences:
        bench = Bench.ready(place, off.crewai, wheel, click.echo)
        if bench.wheel != on.wheel:
            raise OracleError(
                f"the run was made with wheel {on.wheel}, this one is {bench.wheel}: repetitions "
                "would judge something else; run again, or give that wheel with --wheel"
            )
        sides = [bench.setting(r.accel, r.timeout, tuple(r.deselected)) for r in (off, on)]
        decided = verdicts.decide(
            judged.comparison.differences, (off, on), (sides[0], sides[1]), rerun, click.echo
        )
        judged = Judgement(judged.comparison, judged.faults, decided)
    judging.save(judged, off, on, judging.path_of(on_path))
    return judged


@main.command()
@click.option("--out", type=FILE, default=table.DOCUMENT, show_default="docs/compatibility.md")
@click.option("--keep", is_flag=True, help="Keep what OUT says of versions without results here.")
@_with_place
def report(place: Workplace, out: Path, keep: bool) -> None:
    """Write one table of the results that are kept."""
    before = out.read_text("utf-8") if keep and out.exists() else ""
    _report(place, out, "python tools/oracle report" + " --keep" * keep, before)


def _report(place: Workplace, out: Path, command: str, before: str = "") -> None:
    found = table.pairs(place.results())
    if not found:
        raise OracleError(f"no version below {place.folder} was run both off and on")
    out.write_text(table.document(found, command, date.today(), before), encoding="utf-8")
    for pair in found:
        click.echo(
            f"{pair.off.crewai}: {pair.off.passed} passed off, {pair.on.passed} on, "
            f"{len(pair.against_us)} held against us"
        )
    click.echo(f"written to {out}")


@main.command()
@click.option("--crewai", multiple=True, metavar="VERSION", help="Only these of the matrix.")
@click.option("--subset", type=click.Choice(subsets.NAMES), help="Instead of the matrix's.")
@click.option("--out", type=FILE, default=table.DOCUMENT, show_default="docs/compatibility.md")
@click.option("--rerun", default=2, show_default=True, type=click.IntRange(min=0))
@_jobs
@_wheel
@_with_place
def matrix(
    place: Workplace,
    crewai: tuple[str, ...],
    subset: str | None,
    out: Path,
    rerun: int,
    jobs: int,
    wheel: Path | None,
) -> None:
    """Run every version of matrix.toml off and on, compare, and write the report."""
    versions = [v for v in settings.matrix() if not crewai or v.crewai in crewai]
    if missing := set(crewai) - {version.crewai for version in versions}:
        raise OracleError(f"not in {settings.MATRIX.name}: {', '.join(sorted(missing))}")
    wheel = wheel or built(place, Toolbox(place))  # one for all, whatever is edited meanwhile
    good = True
    for version in versions:
        chosen = subset or version.subset
        bench = Bench.ready(place, version.crewai, wheel, click.echo)
        paths = []
        for accel in ("off", "on"):
            path = place.result(version.crewai, chosen, accel)
            _finish(session.run(bench, Order(accel, chosen, jobs=jobs), path), path, False)
            paths.append(path)
        judged = _judge(place, paths[0], paths[1], rerun, wheel)
        judged.show(click.echo)
        good = good and judged.passed
    _report(place, out, shlex.join(["python", "tools/oracle", *sys.argv[1:]]))
    sys.exit(0 if good else 1)


@main.command()
@click.argument("on", type=FILE)
@click.option("--seconds", default=45.0, show_default=True, help="CPU time inside the tests.")
@click.option("--out", type=FILE, default=subsets.LISTS["fast"], show_default="fast_set.txt")
def select(on: Path, seconds: float, out: Path) -> None:
    """Choose the fast subset anew, from a run with the accelerator on."""
    found = results.load(on)
    among = frozenset(lines_of(subsets.LISTS["runtime"]))
    chosen = selection.choose(found, among, seconds)
    out.write_text(selection.text(chosen, found), encoding="utf-8")
    click.echo(selection.summary(chosen, found))
