"""The environment, read once, as one frozen object. Nothing else reads ``os.environ``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

COMPONENTS = (
    "imports",
    "flow",
    "events",
    "agents",
    "tools",
    "tasks",
    "memory",
    "knowledge",
    "serialization",
    "database",
)

# The upstream package of the same name knows these five switches.
_UPSTREAM_COMPONENTS = ("memory", "tools", "tasks", "serialization", "database")

_OFF = frozenset({"0", "false", "off", "no"})
_ON = frozenset({"1", "true", "on", "yes"})


class UnknownNameError(ValueError):
    """A name to disable that is neither a component nor a route; lists the valid ones."""

    def __init__(
        self, unknown: Iterable[str], known: Iterable[str], what: str = "component or route"
    ) -> None:
        names = ", ".join(repr(name) for name in sorted(unknown))
        super().__init__(f"unknown {what} {names}; known: {', '.join(known)}")


class Settings(NamedTuple):
    """What the user asked for.

    ``disabled`` holds component names, route names or ``"all"``, not yet checked against the
    routes that exist; ``report`` is the file that a finished ``run`` writes, or None; ``memory_mb``
    is how much RAM tables of memories may take, ``memory_versions`` for how many minutes their
    older versions are kept; ``fixes`` names bugs of CrewAI's to correct, not yet checked either.
    """

    enabled: bool = True
    disabled: frozenset[str] = frozenset()
    fixes: frozenset[str] = frozenset()
    strict: bool = False
    verbose: bool = False
    report: str | None = None
    memory_mb: int | None = None
    memory_versions: int | None = None
    warnings: tuple[str, ...] = ()

    def why_disabled(self, component: str, route: str) -> str | None:
        """The user's own words that switch this route off, or None."""
        if not self.enabled:
            return "switched off (FAST_CREWAI)"
        for name in ("all", component, route):
            if name in self.disabled:
                return f"disabled by the user ({name})"
        return None


def split_names(text: str) -> frozenset[str]:
    """``"memory, tools"`` → ``{"memory", "tools"}``."""
    return frozenset(name for name in (part.strip().lower() for part in text.split(",")) if name)


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the ``FAST_CREWAI*`` variables. Never raises: odd values end up in ``warnings``."""
    warnings: list[str] = []

    def switch(name: str) -> bool | None:
        value = environ.get(name, "").strip().lower()
        if value in ("", "auto"):
            return None
        if value in _ON or value in _OFF:
            return value in _ON
        warnings.append(f"{name}={value!r} is not understood (use 0 or 1); ignored")
        return None

    def number(name: str) -> int | None:
        value = environ.get(name, "").strip()
        if not value or value.lower() == "auto":
            return None
        if value.isascii() and value.isdigit():
            return int(value)
        warnings.append(f"{name}={value!r} is not understood (use a number); ignored")
        return None

    enabled = switch("FAST_CREWAI") is not False and switch("FAST_CREWAI_ACCELERATION") is not False
    disabled = set(split_names(environ.get("FAST_CREWAI_DISABLE", "")))
    for component in _UPSTREAM_COMPONENTS:
        if switch(f"FAST_CREWAI_{component.upper()}") is False:
            disabled.add(component)
    return Settings(
        enabled=enabled,
        disabled=frozenset(disabled),
        fixes=split_names(environ.get("FAST_CREWAI_FIX", "")),
        strict=switch("FAST_CREWAI_STRICT") is True,
        verbose=_for_this_process(environ.get(_VERBOSE, "")) is not None,
        report=_for_this_process(environ.get(_REPORT, "")),
        memory_mb=number("FAST_CREWAI_MEMORY_MB"),
        memory_versions=number("FAST_CREWAI_MEMORY_VERSIONS"),
        warnings=tuple(warnings),
    )


def memory_megabytes(environ: Mapping[str, str] = os.environ) -> int:
    """How much RAM tables of memories may take: the user's number, or a quarter of the machine's,
    at most 1 GB."""
    given = load(environ).memory_mb
    if given is not None:
        return given
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return 512
    return min(1024, machine // 4 >> 20)


_REPORT = "FAST_CREWAI_RUN_REPORT"
_VERBOSE = "FAST_CREWAI_RUN_VERBOSE"


def _for_this_process(value: str) -> str | None:
    """``"PID:text"`` → text in the process ``run`` became, None in its children."""
    pid, _, text = value.partition(":")
    return text if pid == str(os.getpid()) else None


def run_environment(
    bootstrap: str,
    pid: int,
    *,
    disable: frozenset[str],
    report: str | None,
    verbose: bool,
    environ: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """The environment of the interpreter that ``run`` starts.

    ``bootstrap`` (the folder with our ``sitecustomize``) goes first on ``PYTHONPATH``, so that
    children inherit the accelerator; ``pid`` marks the one process that reports.
    """
    environment = dict(environ)
    inherited = environ.get("PYTHONPATH", "")  # kept as it is: an empty entry means the cwd
    if inherited.split(os.pathsep)[0] != bootstrap:
        environment["PYTHONPATH"] = bootstrap + (os.pathsep + inherited if inherited else "")
    if disable:
        names = disable | split_names(environ.get("FAST_CREWAI_DISABLE", ""))
        environment["FAST_CREWAI_DISABLE"] = ",".join(sorted(names))
    for name, text in ((_REPORT, report), (_VERBOSE, "1" if verbose else None)):
        environment.pop(name, None)
        if text is not None:
            environment[name] = f"{pid}:{text}"
    return environment


def environment() -> dict[str, str]:
    """A copy of all of it, to be compared with a later one."""
    return dict(os.environ)


def environment_views() -> Iterable[Any]:
    """The mapping itself, and the same in bytes where that exists; to be watched."""
    return [os.environ, getattr(os, "environb", None)]


def quiet_environment(*, enabled: bool) -> dict[str, str]:
    """For a child that imports CrewAI and reports nothing to anybody, with us or without."""
    env = without_ours()
    quiet = ("CREWAI_DISABLE_TELEMETRY", "CREWAI_DISABLE_VERSION_CHECK", "OTEL_SDK_DISABLED")
    env |= dict.fromkeys(quiet, "true")
    return env | {"CREWAI_TRACING_ENABLED": "false", "FAST_CREWAI": "1" if enabled else "0"}


def without_ours(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a process that decides for itself whether it is accelerated."""
    return {name: value for name, value in environ.items() if not name.startswith("FAST_CREWAI")}


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where this user's caches are kept (it needn't exist yet); None if that isn't known."""
    given = environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", "")
    if given and Path(given).is_absolute():
        return Path(given) / "fast-crewai"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "fast-crewai"
