"""Modules that lack names of others until somebody asks for them: ``lending_proof``.

A function that evaluates such a name gets it, as does whoever asks the module for it. Who looks at
the module as a whole, or at an annotation with such a name, finds it complete.
"""

from __future__ import annotations

import importlib
import sys
import types
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fast_crewai.imports import asking, leaving, watch

if TYPE_CHECKING:
    from fast_crewai.imports.lending_proof import User

# Pydantic looks for what annotations of models mean, and no model's has such a name.
_UNNOTICED = "pydantic"

_lenders: dict[int, Lender] = {}  # by the id of the module


class Lender:
    """What one module has been executed without."""

    def __init__(self, module: types.ModuleType, user: User) -> None:
        self._module = module  # its id is taken as long as we know it
        self._namespace = vars(module)
        self._names, self._annotations = user.names, user.annotations
        self._lent: set[str] = set()
        if user.helped:
            self._namespace[leaving.HELPER] = self.value
        _lenders[id(module)] = self

    def lacks(self, name: str) -> bool:
        return name in self._names and name not in self._lent

    def value(self, name: str) -> Any:
        """What a function of the module means by the name."""
        try:
            return self._namespace[name]
        except KeyError:
            if not self.lacks(name):  # deleted since
                raise NameError(f"name {name!r} is not defined", name=name) from None
        return self.lend(name)

    def lend(self, name: str) -> Any:
        """Import it. Raises what that raises."""
        source, there = self._names[name]
        value: Any = importlib.import_module(source)
        if there:
            value = getattr(value, there)
        value = self._namespace.setdefault(name, value)
        self._lent.add(name)
        return value

    def fill(self) -> None:
        """The module as it would be. Raises what the imports raise."""
        for name in self._names:
            if name not in self._lent:
                self.lend(name)
        asking.answer(self._namespace, self._annotations, None)

    def executed(self) -> None:
        """The module has been executed: from now on somebody could notice."""
        asking.answer(self._namespace, self._annotations, self.fill)
        object.__setattr__(self._module, "__class__", Without)


def _fill(module: types.ModuleType) -> None:
    lender = _lenders.get(id(module))
    if lender is not None:
        with suppress(Exception):  # whoever asks for the name is told
            lender.fill()


def _asking_package() -> str:
    try:
        names = sys._getframe(2).f_globals
    except ValueError:  # a thread or an exit handler that is nothing but ``vars(module)``
        return ""
    return str(names.get("__name__")).partition(".")[0]


class Without(watch.Showing):
    """A module that lacks some names. Whoever replaces one finds it there: it is watched."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__" and _asking_package() != _UNNOTICED:
            _fill(self)
        return watch.Showing.__getattribute__(self, name)

    def __getattr__(self, name: str) -> Any:
        lender = _lenders.get(id(self))
        if lender is not None and lender.lacks(name):
            return lender.lend(name)
        return watch.Showing.__getattr__(self, name)

    def __dir__(self) -> list[str]:
        _fill(self)
        return watch.Showing.__dir__(self)
