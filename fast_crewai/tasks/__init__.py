"""Tasks: an executor of graphs of callables, and CrewAI's own classes with timings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fast_crewai.tasks.executor import AcceleratedTaskExecutor

if TYPE_CHECKING:
    AcceleratedCrew: Any
    AcceleratedTask: Any

__all__ = ["AcceleratedCrew", "AcceleratedTask", "AcceleratedTaskExecutor"]


def __getattr__(name: str) -> Any:
    """The classes made from CrewAI's, when they are first asked for; None without CrewAI."""
    if name in ("AcceleratedTask", "AcceleratedCrew"):
        from fast_crewai.dynamic import crewai_class

        return crewai_class(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
