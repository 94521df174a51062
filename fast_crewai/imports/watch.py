"""Modules whose attributes are watched while something that belongs to them is left out.

A watched module's type is a subclass of ``types.ModuleType``, for that time only. Somebody who
replaces one of its attributes, or looks at all of them, makes its watchers import what they left
out; who asks for an attribute that it lacks gets it.
"""

from __future__ import annotations

import sys
import types
from typing import Any, Protocol

# Whoever makes time stand still replaces classes of this module. Models that are defined or built
# meanwhile would have these, so that all that is left out watches it.
CLOCK = "datetime"


class Watcher(Protocol):
    """What is left out, as a watched module needs it."""

    def lacks(self, module: str, name: str) -> bool:
        """Whether the module gets that attribute from what is left out."""

    def force(self) -> None:
        """Import it. Raises what that raises."""

    def force_quietly(self) -> None:
        """Import it; whoever needs it is told what is wrong."""


# id of a watched module → its name when it was loaded (CrewAI overwrites ``__name__``), its
# watchers, and whether it lacks something of theirs.
_watched: dict[int, tuple[str, dict[Watcher, bool]]] = {}
_shells: dict[int, str] = {}  # the same → its attribute that isn't yet what it will be


def add(watcher: Watcher, name: str, lacking: bool = False, shell: str = "") -> None:
    """Watch a module, if it is loaded and nobody else has given it another type.

    ``shell``: an attribute of it that isn't yet what it will be.
    """
    module: Any = sys.modules.get(name)
    if type(module) is types.ModuleType:
        _watched[id(module)] = (name, {})
        module.__class__ = Watched
    if isinstance(module, Watched) and id(module) in _watched:
        watchers = _watched[id(module)][1]
        watchers[watcher] = lacking or watchers.get(watcher, False)
        if shell:
            _shells[id(module)] = shell
            object.__setattr__(module, "__class__", Showing)
        elif lacking and not isinstance(module, Lacking):
            object.__setattr__(module, "__class__", Lacking)


def remove(watcher: Watcher) -> None:
    """This watcher needs no module any more."""
    for name in [name for name, watchers in list(_watched.values()) if watcher in watchers]:
        module: Any = sys.modules.get(name)
        known = _watched.get(id(module))
        if known is None:
            continue
        known[1].pop(watcher, None)
        if not known[1] and isinstance(module, Watched):
            object.__setattr__(module, "__class__", types.ModuleType)
            _watched.pop(id(module), None)
            _shells.pop(id(module), None)


def _of(module: types.ModuleType) -> tuple[str, list[tuple[Watcher, bool]]]:
    name, watchers = _watched.get(id(module), ("", {}))
    return name, list(watchers.items())


def _force_all(module: types.ModuleType) -> None:
    """What one of them imports may make others wait."""
    done: set[Watcher] = set()
    while new := [watcher for watcher, _ in _of(module)[1] if watcher not in done]:
        done.update(new)
        for watcher in new:
            watcher.force_quietly()


class Watched(types.ModuleType):
    """A module of which somebody takes names later. Reading its attributes costs nothing."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not _is_child(self, name, value):
            _force_all(self)
        types.ModuleType.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        _force_all(self)
        types.ModuleType.__delattr__(self, name)


class Lacking(Watched):
    """A module that has more names once something has been imported."""

    def __getattr__(self, name: str) -> Any:
        module, watchers = _of(self)
        for watcher, lacking in watchers:
            if lacking and watcher.lacks(module, name):
                watcher.force()
        return types.ModuleType.__getattribute__(self, name)

    def __dir__(self) -> list[str]:
        for watcher, lacking in _of(self)[1]:
            if lacking:
                watcher.force_quietly()
        return sorted(types.ModuleType.__dir__(self))


class Showing(Lacking):
    """A module with an attribute that looks different until something has been imported."""

    def __getattribute__(self, name: str) -> Any:
        if name == _shells.get(id(self)):
            for watcher, _ in _of(self)[1]:
                watcher.force_quietly()
        return types.ModuleType.__getattribute__(self, name)


class Subclasses:
    """``__subclasses__`` of a class that has more of them when something is imported."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def __get__(self, instance: object, owner: type) -> Any:
        asking = sys._getframe(1).f_globals.get("__name__")
        if asking != "abc":  # isinstance() of an abstract class asks, and finds nothing in it
            self._watcher.force_quietly()
        return type.__subclasses__.__get__(owner, type(owner))


def _is_child(module: types.ModuleType, name: str, value: object) -> bool:
    """Whether it is what Python's import system does at the end of a submodule."""
    spec = module.__spec__
    return spec is not None and sys.modules.get(f"{spec.name}.{name}", module) is value
