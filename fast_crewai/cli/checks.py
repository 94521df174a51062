"""``doctor``: is the accelerator healthy here, and if not, what to do."""

from __future__ import annotations

import contextlib
import importlib
import sys

import click

import fast_crewai
from fast_crewai import engine, report
from fast_crewai.cli import always_on, inspection, warming
from fast_crewai.hooks import registry as registries
from fast_crewai.hooks.registry import ACTIVE
from fast_crewai.tables import Check

_TRACERS = ("ddtrace", "newrelic", "opentelemetry", "wrapt")


def examine() -> list[Check]:
    """All checks, in the order in which a cause comes before its effects."""
    early = sorted(name for name in sys.modules if name.partition(".")[0] == "crewai")
    checks = [_native(), _crewai(), _early(early), _startup_files()]
    if any(check.problem for check in checks[:2]):
        return checks
    try:
        current = inspection.live_status()
    except click.ClickException as error:
        return [*checks, Check("CrewAI", error.message, True, "reinstall CrewAI")]
    own = [_warmed(current), _areas(), _stale(), _settings()]
    return [*checks, *_routes(current), *own, *_bugs()]


def _native() -> Check:
    problem = registries.native_problem(fast_crewai.__version__)
    advice = "reinstall: pip install --force-reinstall fast-crewai" if problem else ""
    return Check("native core", problem or "available", problem is not None, advice)


def _crewai() -> Check:
    version = report.crewai_version()
    if version is None:
        return Check("CrewAI", "not installed", True, "pip install 'fast-crewai[crewai]'")
    return Check("CrewAI", version)


def _early(modules: list[str]) -> Check:
    if not modules:
        return Check("import order", "CrewAI is not imported before us")
    return Check(
        "import order",
        f"{len(modules)} CrewAI modules are imported before us ({modules[0]}, …)",
        True,
        "find the .pth file or sitecustomize that imports it (python -X importtime -c pass)",
    )


def _startup_files() -> Check:
    if not always_on.installed_files():
        return Check("always on", "not enabled (fast-crewai enable)")
    outdated = always_on.outdated_files()
    if outdated:
        names = ", ".join(path.name for path in outdated)
        return Check("always on", f"out of date: {names}", True, "run fast-crewai enable again")
    return Check("always on", f"enabled in {always_on.site_packages()}")


_CHOSEN = ("disabled by the user", "switched off", "FAST_CREWAI_FIX corrects")


def _routes(current: report.Status) -> list[Check]:
    checks = []
    for component, part in current.components.items():
        for route in part["routes"]:
            # Whether the import can be made cheaper depends on who has imported what before.
            fine = component == "imports" or route["reason"].startswith(_CHOSEN)
            problem = route["state"] != ACTIVE and not fine
            found = f"{route['state']}: {route['reason']}" if route["reason"] else route["state"]
            checks.append(
                Check(f"{component}: {route['name']}", found, problem, _advice(route["reason"]))
            )
    return checks


def _advice(reason: str) -> str:
    if "already wrapped" in reason:
        loaded = [name for name in _TRACERS if name in sys.modules]
        return f"another tool wraps this function first; loaded here: {', '.join(loaded) or 'none'}"
    if "differs from every version" in reason or "has no" in reason or "imported" in reason:
        return "this CrewAI is newer or older than those proven: pip install -U fast-crewai"
    if "fingerprints.json" in reason:
        return "reinstall: pip install --force-reinstall fast-crewai"
    return ""


def _warmed(current: report.Status) -> Check:
    checked = warming.last()
    if checked is None or checked["crewai"] != current.crewai:
        return Check("imports compared", "not yet (fast-crewai warm)")
    advice = "FAST_CREWAI_DISABLE=imports; please report it"
    return Check("imports compared", warming.sentence(checked), bool(checked["different"]), advice)


def _areas() -> Check:
    broken = engine.registry().broken
    if not broken:
        return Check("areas", "all loaded")
    text = "; ".join(f"{area}: {reason}" for area, reason in broken.items())
    return Check("areas", text, True, "reinstall: pip install --force-reinstall fast-crewai")


def _stale() -> Check:
    stale = engine.registry().stale_holders()
    if not stale:
        return Check("stale holders", "none")
    text = ", ".join(f"{holder} ({route})" for route, holder in stale)
    return Check(
        "stale holders",
        f"CrewAI modules still hold replaced functions: {text}",
        True,
        "these calls run CrewAI's own code; please report the CrewAI version",
    )


def _settings() -> Check:
    settings = engine.registry().settings
    known = set(engine.registry().known_names())
    unknown = (settings.disabled - known) | (settings.fixes - set(engine.registry().bugs))
    words = [*settings.warnings, *sorted(unknown)]
    if words:
        return Check(
            "settings", f"not understood: {', '.join(words)}", True, "correct FAST_CREWAI*"
        )
    return Check("settings", "understood")


def _bugs() -> list[Check]:
    """Bugs of the CrewAI that is installed."""
    registry = engine.registry()
    checks = []
    for bug in registry.bugs.values():
        for route in bug.routes:
            with contextlib.suppress(Exception):  # then it isn't used here
                importlib.import_module(route.module)
        name, asked = f"CrewAI's bug {bug.name}", bug.name in registry.settings.fixes
        states = [(registry.fixes | registry.states)[route.name].state for route in bug.routes]
        if not registry.present(bug):
            if asked:
                checks.append(Check(name, "not in this environment; nothing is corrected"))
        elif all(state == ACTIVE for state in states):
            checks.append(Check(name, f"corrected (else: {bug.what})"))
        else:
            advice = bug.avoid if bug.always else f"{bug.avoid}; or set FAST_CREWAI_FIX={bug.name}"
            found = f"{bug.what}. Affected: {bug.who}"
            checks.append(Check(name, found, advice=advice, warning=True))
    return checks
