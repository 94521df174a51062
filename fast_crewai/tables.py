"""What the command line prints (rich)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from fast_crewai.report import Status


@dataclass(frozen=True)
class Check:
    """One thing that ``doctor`` looked at; ``advice`` says what to do about a ``problem``, or a
    ``warning``, which is nothing that is wrong with the installation."""

    name: str
    found: str
    problem: bool = False
    advice: str = ""
    warning: bool = False


_COLOURS = {"active": "green", "waiting": "yellow", "off": "red"}
_PLAIN_WIDTH = 160  # a pipe has no width of its own; don't fold what scripts read


def print_status(current: Status, file: TextIO) -> None:
    """Environment, components and every route with its state and reason."""
    console = _console(file)
    crewai = current.crewai or "not installed"
    console.print(
        f"fast-crewai {current.fast_crewai}, CrewAI {crewai}, Python {current.python}: "
        f"{'on' if current.enabled else 'off'}"
    )
    if current.failure:
        console.print(f"[red]start-up failed: {escape(current.failure)}[/red]")
    for name, part in current.components.items():
        if not part["routes"]:
            console.print(f"[dim]{name}: {part['state']} ({escape(part['reason'])})[/dim]")
    _print_routes(current.routes(), console)


def print_routes(current: Status, file: TextIO, *, only_called: bool) -> None:
    """What ``run -v`` shows at the end: the routes, their calls and fallbacks."""
    routes = [route for route in current.routes() if route["calls"] or not only_called]
    console = _console(file)
    if not routes:
        crewai = current.crewai or "not installed"
        console.print(f"fast-crewai {current.fast_crewai}: no route was called (CrewAI {crewai})")
        return
    _print_routes(routes, console)


def print_checks(checks: Iterable[Check], file: TextIO) -> None:
    """One line a check, what to do below each problem."""
    console = _console(file)
    for check in checks:
        mark = "[red]✗[/red]" if check.problem else "[green]✓[/green]"
        if check.warning:
            mark = "[yellow]![/yellow]"
        console.print(f"{mark} {escape(check.name)}: {escape(check.found)}")
        if check.advice and (check.problem or check.warning):
            console.print(f"    → {escape(check.advice)}")


def print_pairs(pairs: Iterable[tuple[str, str]], file: TextIO) -> None:
    console = _console(file)
    for name, value in pairs:
        console.print(f"{name:12} {escape(value)}")


def _print_routes(routes: Sequence[dict[str, Any]], console: Console) -> None:
    table = Table("route", "state", "calls", "fallbacks", "reason", title="fast-crewai routes")
    for column in (2, 3):
        table.columns[column].justify = "right"
    for route in routes:
        colour = _COLOURS.get(route["state"], "white")
        table.add_row(
            route["name"],
            f"[{colour}]{route['state']}[/{colour}]",
            f"{route['calls']:,}",
            f"{route['fallbacks']:,}",
            escape(_reason(route)),
        )
    console.print(table)


def _reason(route: dict[str, Any]) -> str:
    reasons = [route["reason"]] if route["reason"] else []
    counted = route.get("fallback_reasons", {})
    reasons += [f"{count:,} × {reason}" for reason, count in counted.items()]
    return "; ".join(reasons)


def _console(file: TextIO) -> Console:
    width = None if file.isatty() else _PLAIN_WIDTH
    return Console(file=file, width=width, highlight=False, soft_wrap=False)
