"""Route: one replaced function of CrewAI, as frozen data, and how its target is found."""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple


class Site(NamedTuple):
    """Where a route's target lives, and what stood there when CrewAI had loaded it.

    ``namespace`` is the module or class that gets the replacement (or a decorated flow method,
    which has the function as its ``_meth``); ``inherited`` says that the
    class only inherits the function, so that restoring means deleting our attribute. ``imported``
    says that the module has the function from the standard library: only this name is replaced.
    """

    module: types.ModuleType
    namespace: types.ModuleType | type
    name: str
    original: Any
    inherited: bool
    imported: bool = False

    @property
    def alone(self) -> bool:
        """Whether those who hold the original by another name keep it."""
        return self.inherited or self.imported


class Route(NamedTuple):
    """One replaced function.

    ``name``    "component.what-it-is": the unit users can switch off.
    ``target``  "module:Qualified.name" of the function.
    ``why``     one line: what it saves, measured where.
    ``build``   makes the fast function for a Site; it takes the original's parameters in their
                order and raises ``_core.Declined(reason)`` for what is not its own.
    ``pure``    only a pure route may run the original after an exception of ours; any other one
                raises Declined before its first side effect, and never after.
    ``reads``   collaborators whose behaviour the fast function inlines, as targets: part of the
                fingerprint, and compared at every call, so that patches of them are honoured.
    ``recursive``  the original calls itself through its module's global.
    ``after``   the module whose loading applies the route, if not the target's: ``reads`` must
                be loaded by then.
    ``let_go``  called when CrewAI's own code takes over for good or for a while; never raises.
    """

    name: str
    target: str
    why: str
    build: Callable[[Site], Callable[..., Any]]
    pure: bool = False
    reads: tuple[str, ...] = ()
    recursive: bool = False
    after: str = ""
    let_go: Callable[[], None] | None = None

    @property
    def component(self) -> str:
        return self.name.partition(".")[0]

    @property
    def module(self) -> str:
        return self.target.partition(":")[0]

    @property
    def applied_with(self) -> str:
        """The module that must have been executed before the route is applied."""
        return self.after or self.module


class TargetError(Exception):
    """The target can't be replaced; the text is the reason that ``status`` shows."""


def imported_as(value: object) -> str | None:
    """The target of a function of the standard library's; None for anything else."""
    if type(value) is not types.FunctionType:
        return None
    home = value.__module__ or ""
    return f"{home}:{value.__qualname__}" if is_standard(home) else None


def is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


_MANAGER = contextlib.contextmanager(iter).__code__  # of every function that it makes


def undecorated(function: types.FunctionType) -> types.FunctionType:
    """The generator function behind a ``@contextmanager``; any other function as it is."""
    behind = getattr(function, "__wrapped__", None)
    if function.__code__ is _MANAGER and type(behind) is types.FunctionType:
        return behind
    return function


def _is_flow_method(value: object) -> bool:
    """Whether it is what CrewAI's decorators of flow methods make of a function."""
    return type(value).__module__ == "crewai.flow.flow_wrappers"


def locate(target: str) -> Site:
    """Find a target in the modules loaded so far. Raises TargetError."""
    module_name, _, path = target.partition(":")
    module = sys.modules.get(module_name)
    if module is None:
        raise TargetError(f"{module_name} is not loaded")
    *outer, name = path.split(".")
    namespace: Any = module
    for part in outer:
        namespace = vars(namespace).get(part)
        if not isinstance(namespace, type):
            raise TargetError(f"{module_name} has no class {part}")
    if name in vars(namespace):
        original = vars(namespace)[name]
        if _is_flow_method(original):
            namespace, name = original, "_meth"
            original = vars(namespace)[name]
        imported = namespace is module and imported_as(original) is not None
        return Site(module, namespace, name, original, inherited=False, imported=imported)
    original = getattr(namespace, name, None) if isinstance(namespace, type) else None
    if original is None:
        raise TargetError(f"{module_name} has no {path}")
    return Site(module, namespace, name, original, inherited=True)
