"""The live process's state as data, and what a finished ``run`` writes."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fast_crewai import __version__, config, engine, finder
from fast_crewai.config import Settings


@dataclass(frozen=True)
class Status:
    """What is on in this process, and why the rest isn't.

    ``components``: name → {"state", "reason", "routes": [{"name", "target", "state", "reason",
    "calls", "fallbacks"[, "fallback_reasons"]}]}; states are "active", "waiting" (CrewAI has not
    imported the module yet) and "off".
    """

    fast_crewai: str
    crewai: str | None
    python: str
    enabled: bool
    components: dict[str, Any]
    failure: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def routes(self) -> list[dict[str, Any]]:
        """All routes of all components."""
        return [route for part in self.components.values() for route in part["routes"]]


def status(settings: Settings | None = None) -> Status:
    """The state of this process. Until CrewAI is imported, of what ``settings`` will make of it."""
    registry = engine.registry()
    if finder.is_started() and not engine.is_active():
        registry.choose(settings or config.load())
    return Status(
        fast_crewai=__version__,
        crewai=crewai_version(),
        python=platform.python_version(),
        enabled=finder.is_started() and engine.is_wanted(),
        components=registry.components(),
        failure=finder.failure,
    )


def crewai_version() -> str | None:
    """The installed CrewAI's version (from its metadata, without importing it), or None."""
    from importlib import metadata

    try:
        return metadata.version("crewai")
    except metadata.PackageNotFoundError:
        return None


def at_exit(settings: Settings) -> None:
    """Write the report file and, with ``-v``, print the table on stderr."""
    current = status(settings)
    if settings.report is not None:
        write(current, Path(settings.report))
    if settings.verbose:
        from fast_crewai.tables import print_routes

        print_routes(current, sys.stderr, only_called=True)


def write(current: Status, path: Path) -> None:
    """Write the status as JSON, at once or not at all. Raises OSError."""
    text = json.dumps(current.as_dict(), indent=2) + "\n"
    if path.exists() and (not path.is_file() or path.is_relative_to("/dev")):
        with path.open("a", encoding="utf-8") as pipe:  # not a file that could be replaced
            pipe.write(text)
        return
    path = path.resolve()  # a link stays a link
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
