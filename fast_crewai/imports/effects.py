"""What importing something changes outside of its modules: measured, not guessed."""

from __future__ import annotations

import atexit
import copyreg
import logging
import mimetypes
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

from fast_crewai import config


class Recorder:
    """Between ``begin`` and ``end``, which may be nested: what changed."""

    def __init__(self) -> None:
        self.loggers: list[str] = []
        self.filters: list[tuple[Any, bool]] = []  # and whether behind those that were there
        self.changed: set[str] = set()  # what can't be made up for
        self._depth = 0
        self._before: tuple[set[str], list[Any], dict[str, Any]] = (set(), [], {})

    @property
    def is_open(self) -> bool:
        """Whether something has begun and not ended: it failed."""
        return self._depth > 0

    def begin(self) -> None:
        self._depth += 1
        if self._depth == 1:
            self._before = (_loggers(), list(warnings.filters), _others())

    def end(self) -> None:
        self._depth -= 1
        if self._depth:
            return
        loggers, filters, others = self._before
        self.loggers += sorted(_loggers() - loggers)
        at_end = False
        for found in warnings.filters:
            if found in filters:
                at_end = True
            else:
                self.filters.append((found, at_end))
        now = _others()
        self.changed |= {_told(name, others[name], now[name]) for name in now} - {""}


def _loggers() -> set[str]:
    known = logging.root.manager.loggerDict
    return {name for name, logger in known.items() if isinstance(logger, logging.Logger)}


def _others() -> dict[str, Any]:
    return {
        "the environment": config.environment(),
        "sys.path": list(sys.path),
        "the threads": threading.active_count(),
        "copyreg": str(len(copyreg.dispatch_table)),
        "mimetypes": str(mimetypes.inited),
        "what runs at exit": atexit._ncallbacks(),
        "sys.meta_path": len(sys.meta_path),
        "sys.path_hooks": len(sys.path_hooks),
        "the working directory": str(Path.cwd()),
    }


def _told(name: str, before: Any, now: Any) -> str:
    """What changed; nothing if it didn't."""
    if before == now:
        return ""
    return f"{name} ({now - before:+d})" if isinstance(now, int) else name


def is_configured(name: str) -> bool:
    """Whether a logger has a setting that importing it later would take from its user.

    Handlers and filters are added; they are the same when they come later.
    """
    logger = logging.getLogger(name)
    return logger.level != logging.NOTSET or not logger.propagate or logger.disabled
