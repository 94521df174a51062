"""What upstream's package tells about itself."""

from __future__ import annotations

import platform
import sys
from typing import Any

from fast_crewai import __version__, config, measured, native, report

_NOTHING = "nothing was measured on this machine yet: run `fast-crewai bench`"


def is_acceleration_available() -> bool:
    """Whether the native module can be loaded."""
    return native.find()[0] is not None


def get_acceleration_status() -> dict[str, Any]:
    """The native module, and the live state of this process's components and routes.

    Keys: "available", "reason" (why not, or ""), "enabled", "crewai" (version or None),
    "components" (name → "active", "waiting" or "off").
    """
    module, reason = native.find()
    status = report.status()
    return {
        "available": module is not None,
        "reason": reason,
        "enabled": status.enabled,
        "crewai": status.crewai,
        "components": {name: part["state"] for name, part in status.components.items()},
    }


def configure_accelerated_components(**components: bool) -> dict[str, str]:
    """Turn the accelerator on with some components off: ``memory=False``, ``tools=False`` …

    Returns the state of each component. Raises UnknownNameError for a name that is none. It
    concerns this process from now on; ``FAST_CREWAI_DISABLE`` stays in force.
    """
    import fast_crewai

    if unknown := set(components) - set(config.COMPONENTS):
        raise config.UnknownNameError(unknown, config.COMPONENTS)
    status = fast_crewai.install([name for name, on in components.items() if not on])
    return {name: part["state"] for name, part in status.components.items()}


def get_environment_info() -> dict[str, Any]:
    """Versions and places: "fast_crewai", "crewai", "python", "executable", "platform",
    "native"."""
    module, reason = native.find()
    return {
        "fast_crewai": __version__,
        "crewai": report.crewai_version(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "platform": platform.platform(),
        "native": "available" if module is not None else reason,
    }


def get_performance_improvements() -> dict[str, Any]:
    """What the benchmarks have measured on this machine (`fast-crewai bench`), and nothing else.

    {"measured": True, "benchmarks": benchmark → {"date", "versions", "times_faster"}}, or
    {"measured": False, "reason"}. "times_faster": what → a factor, or several by what they are of.
    """
    found = measured.read()
    if not found:
        return {"measured": False, "reason": _NOTHING}
    return {"measured": True, "benchmarks": found}
