"""What ``status`` and ``doctor`` look at: CrewAI imported in this very process."""

from __future__ import annotations

import importlib
import platform
import sys
import warnings
from pathlib import Path

import click

import fast_crewai
from fast_crewai import engine, report
from fast_crewai.cli import always_on
from fast_crewai.hooks import registry as registries


def live_status() -> report.Status:
    """Install, import every module that has routes, and take the status.

    Raises click.ClickException when CrewAI isn't installed.
    """
    if report.crewai_version() is None:
        raise click.ClickException(
            "CrewAI is not installed in this environment: pip install 'fast-crewai[crewai]' "
            "or pip install crewai"
        )
    fast_crewai.install()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in engine.registry().modules():
            try:
                importlib.import_module(name)
            except Exception as error:  # a CrewAI without that module
                for state in engine.registry().states.values():
                    if state.route.applied_with == name:
                        state.turn_off(f"{name} can't be imported: {error}")
    return report.status()


def environment() -> list[tuple[str, str]]:
    """Versions and places as (name, value), without importing CrewAI."""
    native = registries.native_problem(fast_crewai.__version__)
    return [
        ("fast-crewai", f"{fast_crewai.__version__} ({Path(fast_crewai.__file__).parent})"),
        ("native core", native or "available"),
        ("CrewAI", report.crewai_version() or "not installed"),
        ("Python", f"{platform.python_version()} ({sys.executable})"),
        ("platform", platform.platform()),
        ("always on", ", ".join(map(str, always_on.installed_files())) or "no"),
    ]
