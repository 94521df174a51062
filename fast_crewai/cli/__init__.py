"""The command line: ``fast-crewai`` and ``python -m fast_crewai``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from fast_crewai import __version__


class _RunCommand(click.Command):
    """Leaves everything from the script (or ``-m``, ``-c``, ``-``) on to the program."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        from fast_crewai.cli.program import split_arguments

        own, program = split_arguments(args)
        return super().parse_args(ctx, [*own, "--", *program])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fast-crewai")
def main() -> None:
    """A transparent accelerator for CrewAI: same results, less time and CPU."""


@main.command(
    cls=_RunCommand,
    options_metavar="[--disable NAMES] [--report FILE.json] [-v]",
)
@click.option("--disable", metavar="NAMES", default="", help="Components or routes to leave off.")
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the finished process's status to FILE as JSON.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print the routes that were called at the end.")
@click.argument("program", nargs=-1, type=click.UNPROCESSED)
def run(disable: str, report: Path | None, verbose: bool, program: tuple[str, ...]) -> None:
    """Run a Python program with the accelerator on.

    PROGRAM is what you would write after `python`: a script, -m MODULE, -c CODE or - (standard
    input), and its arguments. Its children and multiprocessing workers are accelerated too.
    """
    from fast_crewai.cli.program import run_program

    run_program(program, disable=disable, report=report, verbose=verbose)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def status(as_json: bool) -> None:
    """Import CrewAI with the accelerator on and show each route's state and reason."""
    from fast_crewai import tables
    from fast_crewai.cli import inspection

    current = inspection.live_status()
    if as_json:
        click.echo(json.dumps(current.as_dict(), indent=2))
    else:
        tables.print_status(current, sys.stdout)


@main.command()
def doctor() -> None:
    """Check this installation; exit code 1 if there is a problem, each with what to do."""
    from fast_crewai import tables
    from fast_crewai.cli import checks

    results = checks.examine()
    tables.print_checks(results, sys.stdout)
    sys.exit(1 if any(check.problem for check in results) else 0)


@main.command()
@click.option("--dry-run", is_flag=True, help="Show the files that would be written.")
def enable(dry_run: bool) -> None:
    """Turn the accelerator on for every program of this Python environment."""
    from fast_crewai import report
    from fast_crewai.cli import always_on, warming

    for path in always_on.enable(dry_run=dry_run):
        click.echo(f"{'would write' if dry_run else 'wrote'} {path}")
    if dry_run or report.crewai_version() is None:
        return
    try:
        click.echo(warming.sentence(warming.warm()))
    except click.ClickException as error:  # it is enabled all the same
        click.echo(f"CrewAI's import was not compared: {error.message}")


@main.command()
def disable() -> None:
    """Undo `enable`."""
    from fast_crewai.cli import always_on

    removed = always_on.disable()
    for path in removed:
        click.echo(f"removed {path}")
    if not removed:
        click.echo("nothing to remove: the accelerator is not enabled in this environment")


@main.command()
def warm() -> None:
    """Have CrewAI's first accelerated import behind you, compared with the plain one.

    Exit code 1 if anything differs.
    """
    from fast_crewai.cli import warming

    checked = warming.warm()
    click.echo(warming.sentence(checked))
    for line in checked["different"]:
        click.echo(f"  {line}")
    sys.exit(1 if checked["different"] else 0)


@main.command("profile-import")
@click.option("--rows", default=15, show_default=True, help="How many packages and modules.")
@click.argument("module", default="crewai")
def profile_import(rows: int, module: str) -> None:
    """What importing MODULE costs with the accelerator, what is left out, and who asks for it."""
    from fast_crewai.cli import profiling

    for line in profiling.lines(profiling.profile(module), rows):
        click.echo(line)


@main.command()
@click.option("--full", is_flag=True, help="All that README publishes (half an hour).")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def bench(full: bool, names: tuple[str, ...]) -> None:
    """Measure this machine: the published benchmarks, without and with the accelerator in turns.

    NAME is runtime, concurrency, imports, memory or api. Without names, a short choice.
    """
    from fast_crewai import measured, tables
    from fast_crewai.cli import benchmarks

    benchmarks.run(full, names)
    click.echo("\ntimes faster with Fast-CrewAI, all that was measured on this machine:")
    tables.print_pairs(benchmarks.lines(measured.read()), sys.stdout)


@main.command()
def info() -> None:
    """Versions and places, without importing CrewAI."""
    from fast_crewai import tables
    from fast_crewai.cli import inspection

    tables.print_pairs(inspection.environment(), sys.stdout)
