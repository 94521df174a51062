"""Which base class gives a class of a wheel what its own body doesn't define.

Read from sources alone. A base that can't be followed may define anything: then nothing is said.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping
from typing import Any

from wheel_sources import Wheel, statements

from fast_crewai.hooks.route import is_standard

Place = tuple[str, str]  # module and class
_OUTSIDE = object  # Python's own classes: none of those that CrewAI's derive from matters here


class _UnknownBaseError(Exception):
    """A base class that is in none of the wheels, or written in an unusual way."""


def definer(target: str, wheels: Mapping[str, Wheel]) -> str | None:
    """The target that "module:Class.name" is inherited from, or None."""
    module, _, path = target.partition(":")
    owner, _, name = path.partition(".")
    if not name or "." in name:  # not of a class of the module's
        return None
    try:
        bases = _Lineage(wheels).bases_of((module, owner))
    except (_UnknownBaseError, TypeError, RecursionError):  # the last two: Python has no order
        return None
    for home, base in bases:
        found = f"{home}:{base}.{name}"
        if _wheel(wheels, home).digest(found) is not None:
            return found
    return None


def _wheel(wheels: Mapping[str, Wheel], module: str) -> Wheel:
    wheel = wheels.get(module.partition(".")[0])
    if wheel is None:
        raise _UnknownBaseError(module)
    return wheel


class _Lineage:
    """Empty classes that derive from each other as those in the wheels: Python orders them."""

    def __init__(self, wheels: Mapping[str, Wheel]) -> None:
        self._wheels = wheels
        self._shadows: dict[Place, type[Any]] = {}

    def bases_of(self, place: Place) -> list[Place]:
        """What a class derives from, in the order in which Python looks things up."""
        order: tuple[Any, ...] = self._shadow(place).__mro__[1:]
        return [base.place for base in order if base is not _OUTSIDE]

    def _shadow(self, place: Place) -> type[Any]:
        known = self._shadows.get(place)
        if known is None:
            known = self._shadows[place] = self._made(place)
        return known

    def _made(self, place: Place) -> type[Any]:
        found = self._found(place)
        if found is None:
            raise _UnknownBaseError(f"{place[0]}:{place[1]}")
        home, node = found
        if node is None:
            return _OUTSIDE
        if (home, node.name) != place:
            return self._shadow((home, node.name))
        bases = dict.fromkeys(self._base(home, base) for base in node.bases)
        if len(bases) > 1:
            bases.pop(_OUTSIDE, None)
        return type(node.name, tuple(bases), {"place": place})

    def _base(self, module: str, base: ast.expr) -> type[Any]:
        if isinstance(base, ast.Subscript):
            base = base.value
        if isinstance(base, ast.Name):
            return self._shadow((module, base.id))
        if isinstance(base, ast.Attribute) and isinstance(base.value, ast.Name):
            home = self._imported(module, base.value.id)
            if home is not None:
                return _OUTSIDE if is_standard(home) else self._shadow((home, base.attr))
        raise _UnknownBaseError(ast.unparse(base))

    def _imported(self, module: str, name: str) -> str | None:
        """The module that ``import`` binds to a name."""
        for node in statements(_wheel(self._wheels, module).tree(module)):
            for alias in node.names if isinstance(node, ast.Import) else ():
                if (alias.asname or alias.name) == name:
                    return alias.name
        return None

    def _found(
        self, place: Place, seen: frozenset[Place] = frozenset()
    ) -> tuple[str, ast.ClassDef | None] | None:
        """The module and the definition of a class, through imports; no definition: Python's."""
        module, name = place
        if place in seen:  # modules that import each other
            return None
        seen |= {place}
        wheel = _wheel(self._wheels, module)
        for node in statements(wheel.tree(module)):
            if isinstance(node, ast.ClassDef) and node.name == name:
                return module, node
            if not isinstance(node, ast.ImportFrom):
                continue
            home = _home(node, wheel.package_of(module))
            for alias in node.names:
                if alias.name == "*" and not is_standard(home):
                    found = self._found((home, name), seen)
                    if found and found[1]:
                        return found
                elif (alias.asname or alias.name) == name:
                    if is_standard(home):
                        return "", None
                    return self._found((home, alias.name), seen)
        return ("", None) if isinstance(getattr(builtins, name, None), type) else None


def _home(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])
