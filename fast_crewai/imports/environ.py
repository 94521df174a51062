"""The environment, while what was left out would read from it when it is imported."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from fast_crewai import config

_readers: dict[Callable[[object], bool], Callable[[], None]] = {}


def add(reads: Callable[[object], bool], force: Callable[[], None]) -> None:
    """``force`` is called before a variable changes that ``reads`` says is read."""
    _readers[reads] = force
    for variables in config.environment_views():
        if type(variables) is os._Environ:
            variables.__class__ = _Environ


def remove(reads: Callable[[object], bool]) -> None:
    _readers.pop(reads, None)
    for variables in config.environment_views():
        if not _readers and type(variables) is _Environ:
            variables.__class__ = os._Environ  # type: ignore[assignment]


def _changes(key: object) -> None:
    if isinstance(key, bytes):
        key = os.fsdecode(key)
    for reads, force in list(_readers.items()):
        if reads(key):
            force()


class _Environ(os._Environ):  # type: ignore[type-arg]
    def __setitem__(self, key: Any, value: Any) -> None:
        if self.get(key) != value:
            _changes(key)
        os._Environ.__setitem__(self, key, value)  # by now we may be of another class

    def __delitem__(self, key: Any) -> None:
        if key in self:
            _changes(key)
        os._Environ.__delitem__(self, key)
