"""Classes of a library that CrewAI's models are annotated with before it is imported.

Pydantic makes a check of such a class, and calls it by its name. In a model's annotations and
fields the real one stands as soon as anybody reads them, for the library is imported then.
"""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from fast_crewai.imports import pending
from fast_crewai.imports.portions import Filter, Portion

_SIGNATURE = "__signature__"
_ANNOTATION = ("annotation", "_original_annotation")  # of pydantic's fields
_LIBRARIES = {"np": "numpy"}


def stand(name: str, namespace: dict[str, Any], ask: Callable[[], None]) -> Any:
    """What to take for a name that is left out of a module."""
    if name in _LIBRARIES:
        return _Library(_LIBRARIES[name])
    return _Bound(name, (), {}, namespace=namespace, ask=ask)


class _Library:
    """What stands for a module: its classes stand for the real ones."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        names = {"__module__": self._name, "__class_getitem__": classmethod(types.GenericAlias)}
        return _Class(name, (), names)


class _Class(type):
    """An object can be an instance of it only when the library is imported."""

    def _real(cls) -> Any:
        return getattr(sys.modules.get(cls.__module__), cls.__name__, ())

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls._real())

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls._real())


class _Bound(type):
    """The bound of a type variable, which is set to the real one as soon as anybody needs it."""

    def __new__(cls, name: str, bases: Any, names: Any, **held: Any) -> Any:
        return type.__new__(cls, name, bases, names)

    def __init__(
        cls, name: str, bases: Any, names: Any, *, namespace: Any, ask: Callable[[], None]
    ) -> None:
        type.__init__(cls, name, bases, names)
        cls._held = namespace, ask

    def _real(cls) -> Any:
        namespace, ask = cls._held
        ask()
        return namespace.get(cls.__name__)

    def __eq__(cls, other: object) -> Any:
        real = cls._real()
        return other is cls if real is None else real == other

    def __hash__(cls) -> int:
        return hash(cls._real())

    def __repr__(cls) -> str:
        return repr(cls._real())

    def __getattr__(cls, name: str) -> Any:
        return getattr(cls._real(), name)


def present(what: Portion) -> str | None:
    """Why nothing needs to stand for such a library; None: it isn't there."""
    if what.stands and sys.version_info >= (3, 12):  # type variables can't be mended
        return "not proven on this version of Python"
    found = [name for name in what.packages if what.stands and name in sys.modules]
    return f"{found[0]} is imported already" if found else None


def guard(
    namespace: dict[str, Any],
    left: Mapping[str, Mapping[str, types.CodeType]],
    ask: Callable[[], None],
) -> None:
    """``ask`` is called before somebody sees the fields of a model that is so annotated."""
    for cls in [cls for path in left for cls in _models(namespace, path)]:
        pending.guard(cls, ask)
        lazy = vars(cls).get(_SIGNATURE)
        if lazy is not None:
            type.__setattr__(cls, _SIGNATURE, _Signature(lazy, ask))


def end(namespace: dict[str, Any], left: Mapping[str, Mapping[str, types.CodeType]]) -> None:
    """The library is imported, and the annotations are right: so are the models' fields."""
    for path, codes in left.items():
        models = _models(namespace, path)
        real = {name: eval(code, namespace) for name, code in codes.items() if models}
        for cls in models:
            _mend(cls, real)
    for value in list(namespace.values()):
        if type(value) is TypeVar and type(value.__bound__) is _Bound:
            value.__bound__ = namespace[value.__bound__.__name__]  # type: ignore[misc]


def _mend(cls: type, real: Mapping[str, Any]) -> None:
    fields = pending.unguard(cls)
    for name in real.keys() & fields.keys():
        for attribute in _ANNOTATION:
            if _is_standing(getattr(fields[name], attribute, None)):
                setattr(fields[name], attribute, real[name])
    lazy = vars(cls).get(_SIGNATURE)
    if isinstance(lazy, _Signature):
        type.__setattr__(cls, _SIGNATURE, lazy.real)


def _models(namespace: dict[str, Any], path: str) -> list[type]:
    """A class that is annotated, and all that inherit from it; nothing for a function."""
    cls = namespace.get(path)
    every: list[type] = [cls] if isinstance(cls, type) else []
    for one in every:
        new: list[type] = type.__subclasses__(one)
        every += [cls for cls in new if cls not in every]
    return every


def _is_standing(annotation: Any) -> bool:
    if isinstance(annotation, _Class):
        return True
    parts = (getattr(annotation, "__origin__", None), *getattr(annotation, "__args__", ()))
    return any(part is not None and _is_standing(part) for part in parts)


class _Signature:
    """Pydantic's own, made at first use, is not to be made before."""

    def __init__(self, real: Any, ask: Callable[[], None]) -> None:
        self.real = real
        self._ask = ask

    def __get__(self, instance: object, owner: type) -> Any:
        self._ask()
        get = getattr(type(self.real), "__get__", None)
        return self.real if get is None else get(self.real, instance, owner)


class _Category(type(Warning)):  # type: ignore[misc]
    """A library's own category, which has no instances before the library is imported."""

    def __subclasscheck__(cls, subclass: type) -> bool:
        names = getattr(sys.modules.get(cls.__module__), "__dict__", {})
        real = names.get(cls.__name__)  # somebody's own module may have anything there
        return subclass is cls or (isinstance(real, type) and issubclass(subclass, real))


class Filters:
    """What libraries would have added to those of warnings is there from now on.

    ``filters`` are by the package that adds them, in the order in which they are added. A package
    that is imported already has its own.
    """

    def __init__(self, filters: Mapping[str, tuple[Filter, ...]]) -> None:
        self._ours: dict[str, dict[Filter, Any]] = {}  # that stand for a package's
        self._before: dict[str, list[Any]] = {}
        for package, added in filters.items():
            if package not in sys.modules:
                self._ours[package] = {which: _add(which) for which in added}

    def begin(self, package: str) -> None:
        """A package is about to be executed, perhaps by another's."""
        if package in self._ours:
            self._before[package] = list(warnings.filters)

    def end(self, package: str) -> None:
        """The package has added its own: they belong where ours are, if they still are there.

        That is so once. If it is executed again, it adds them again, as without us.
        """
        before = self._before.pop(package, None)
        if before is None:
            return
        ours = self._ours.pop(package)
        now: Any = warnings.filters
        front, behind = _new(now, before)
        real = {
            which: next((f for f in front + behind if described(f, which.at_end) == which), None)
            for which in ours
        }
        if None in real.values():
            return  # ours stand for them as well
        of = [(mine, real[which]) for which, mine in ours.items()]
        for known in (before, *self._before.values()):
            known[:] = _with_real(known, of)
        front, behind = (
            [f for f in found if not any(f is one for one in real.values())]
            for found in (front, behind)
        )
        now[:] = front + before + behind
        warnings._filters_mutated()  # type: ignore[attr-defined]


def _new(now: list[Any], before: list[Any]) -> tuple[list[Any], list[Any]]:
    """Filters that have been added since, in front of the others and behind them."""
    added: tuple[list[Any], list[Any]] = ([], [])
    at_end = False
    for found in now:
        if any(found is known for known in before):
            at_end = True
        else:
            added[at_end].append(found)
    return added


def _with_real(filters: list[Any], of: list[tuple[Any, Any]]) -> list[Any]:
    """Filters with the real ones instead of ours, unless somebody has put up the same since.

    A filter that equals ours is ours: somebody may have copied it.
    """
    theirs = [found for found in filters if not any(found == mine for mine, _ in of)]
    changed = (next((real for mine, real in of if mine == f), f) for f in filters)
    return [f for f, was in zip(changed, filters, strict=True) if f is was or f not in theirs]


def _add(which: Filter) -> Any:
    module, _, name = which.of.partition(":")
    if name:
        category = _Category(name, (Warning,), {"__module__": module})
        warnings.simplefilter(which.action, category, append=which.at_end)  # type: ignore[arg-type]
    else:
        warnings.filterwarnings(which.action, message=which.of, append=which.at_end)  # type: ignore[arg-type]
    return warnings.filters[-1 if which.at_end else 0]


def are(found: Iterable[tuple[Any, bool]], filters: Mapping[str, tuple[Filter, ...]]) -> bool:
    """Whether filters, as they stand, are those that the packages add, in that order."""
    added = [which for of_package in filters.values() for which in of_package]
    before = [which for which in reversed(added) if not which.at_end]
    behind = [which for which in added if which.at_end]
    return [described(*one) for one in found] == before + behind


def described(found: Any, at_end: bool) -> Filter:
    """One of ``warnings.filters``."""
    action, message, category, module, line = found
    of = repr(found)
    if message is not None and (category, module, line) == (Warning, None, 0):
        of = getattr(message, "pattern", of)
    elif message is None and (module, line) == (None, 0):
        of = f"{category.__module__}:{category.__qualname__}"
    return Filter(action, of, at_end)
