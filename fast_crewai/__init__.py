"""Fast-CrewAI: a transparent accelerator for CrewAI.

    python -m fast_crewai run script.py        # an unchanged program
    fast_crewai.install()                      # or from code, before CrewAI is imported

Importing this package changes nothing and doesn't need CrewAI.
"""

# No `from __future__ import annotations` in this file: it would cost start-up 0.2 ms.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from typing import Any

    from fast_crewai.database import AcceleratedSQLiteWrapper
    from fast_crewai.memory import AcceleratedMemoryStorage
    from fast_crewai.report import Status
    from fast_crewai.serialization import AcceleratedMessage, AgentMessage, RustSerializer
    from fast_crewai.tasks import AcceleratedCrew, AcceleratedTask, AcceleratedTaskExecutor
    from fast_crewai.tools import (
        AcceleratedBaseTool,
        AcceleratedStructuredTool,
        AcceleratedToolExecutor,
    )
    from fast_crewai.utils import (
        configure_accelerated_components,
        get_acceleration_status,
        get_environment_info,
        get_performance_improvements,
        is_acceleration_available,
    )

    HAS_ACCELERATION_IMPLEMENTATION: bool

__version__ = "0.1.0"
__all__ = [
    "HAS_ACCELERATION_IMPLEMENTATION",
    "AcceleratedBaseTool",
    "AcceleratedCrew",
    "AcceleratedMemoryStorage",
    "AcceleratedMessage",
    "AcceleratedSQLiteWrapper",
    "AcceleratedStructuredTool",
    "AcceleratedTask",
    "AcceleratedTaskExecutor",
    "AcceleratedToolExecutor",
    "AgentMessage",
    "RustSerializer",
    "__version__",
    "configure_accelerated_components",
    "disabled",
    "enabled",
    "get_acceleration_status",
    "get_environment_info",
    "get_performance_improvements",
    "install",
    "is_acceleration_available",
    "status",
    "uninstall",
]

# The module of each name that is imported when it is first asked for.
_LAZY = {
    "AcceleratedMemoryStorage": "memory",
    "AcceleratedSQLiteWrapper": "database",
    "AgentMessage AcceleratedMessage RustSerializer": "serialization",
    "AcceleratedToolExecutor AcceleratedBaseTool AcceleratedStructuredTool": "tools",
    "AcceleratedTaskExecutor AcceleratedTask AcceleratedCrew": "tasks",
    "configure_accelerated_components get_acceleration_status get_environment_info "
    "get_performance_improvements is_acceleration_available": "utils",
}


def __getattr__(name: str) -> "Any":
    if name == "HAS_ACCELERATION_IMPLEMENTATION":
        from fast_crewai import native

        return native.find()[0] is not None
    for names, module in _LAZY.items():
        if name in names.split():
            from importlib import import_module

            return getattr(import_module(f"fast_crewai.{module}"), name)
    raise AttributeError(f"module 'fast_crewai' has no attribute {name!r}")


def install(disable: "str | Iterable[str]" = ()) -> "Status":
    """Turn the accelerator on in this process and return its status.

    ``disable``: names of components or routes (a comma-separated string or several strings) that
    stay off, in addition to ``FAST_CREWAI_DISABLE``. Best called before CrewAI is imported:
    afterwards CrewAI's own modules are switched over, but names that your modules have imported
    from CrewAI keep CrewAI's functions.

    Raises ``fast_crewai.config.UnknownNameError`` (a ValueError) for a name that doesn't exist.
    """
    from fast_crewai import config, engine, finder, report

    wanted = config.split_names(disable if isinstance(disable, str) else ",".join(disable))
    settings = config.load()
    if wanted:
        known = engine.registry().known_names()
        if unknown := wanted - set(known):
            raise config.UnknownNameError(unknown, known)
        settings = settings._replace(disabled=settings.disabled | wanted)
    finder.activate(settings)
    return report.status()


def uninstall() -> None:
    """Put every function of CrewAI's back in its place and stop watching imports."""
    from fast_crewai import finder

    finder.stop()


def enabled() -> bool:
    """Whether the accelerator is on in this process (some routes may still be off)."""
    from fast_crewai import engine, finder

    return finder.is_started() and engine.is_wanted()


def status() -> "Status":
    """Per component and route: active, waiting or off, why, calls and fallbacks so far."""
    from fast_crewai import report

    return report.status()


def disabled() -> "AbstractContextManager[None]":
    """``with fast_crewai.disabled():`` every call runs CrewAI's own code, in all threads."""
    from contextlib import contextmanager

    from fast_crewai import engine

    @contextmanager
    def pause() -> "Any":
        registry = engine.registry()
        registry.pause(1)
        try:
            yield
        finally:
            registry.pause(-1)

    return pause()


def load_ipython_extension(_ipython: object) -> None:
    """``%load_ext fast_crewai``."""
    install()


def unload_ipython_extension(_ipython: object) -> None:
    """``%unload_ext fast_crewai``."""
    uninstall()
