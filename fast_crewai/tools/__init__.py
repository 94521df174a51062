"""Tools: an executor that validates, limits and remembers, and CrewAI's own classes with more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fast_crewai.tools.executor import AcceleratedToolExecutor
from fast_crewai.tools.violations import Violation

if TYPE_CHECKING:
    AcceleratedBaseTool: Any
    AcceleratedStructuredTool: Any

__all__ = [
    "AcceleratedBaseTool",
    "AcceleratedStructuredTool",
    "AcceleratedToolExecutor",
    "Violation",
]


def __getattr__(name: str) -> Any:
    """The classes made from CrewAI's, when they are first asked for; None without CrewAI."""
    if name in ("AcceleratedBaseTool", "AcceleratedStructuredTool"):
        from fast_crewai.dynamic import crewai_class

        return crewai_class(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
