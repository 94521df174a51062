"""Annotations that mention what was left out: answered by a dictionary that asks for it first."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


def answer(
    namespace: dict[str, Any],
    left: Mapping[str, Mapping[str, types.CodeType]],
    ask: Callable[[], None] | None,
) -> None:
    """Complete the annotations of a module and what is in it; with ``ask``, when they are read.

    ``left`` says what is missing, by the path in the module of a function or a class ("" is the
    module). Texts are complete, but mean something only when ``ask`` has been called.
    """
    for path, codes in left.items():
        owner = _owner(namespace, path)
        if owner is None:
            continue
        held = owner.annotations()
        if ask is None:
            known = {name: eval(code, namespace) for name, code in codes.items()}
            owner.annotate(dict(dict.items(held)) | known)
        elif not isinstance(held, _Asking):
            owner.annotate(_Asking(held, owner, ask))


@dataclass
class _Owner:
    """A module's namespace, a function or a class."""

    holder: Any

    def annotations(self) -> dict[str, Any]:
        found: dict[str, Any] = (
            _names(self.holder).get("__annotations__", {})
            if isinstance(self.holder, (dict, type))
            else self.holder.__annotations__
        )
        return found

    def annotate(self, new: dict[str, Any]) -> None:
        if isinstance(self.holder, dict):
            self.holder["__annotations__"] = new
        elif isinstance(self.holder, type):
            type.__setattr__(self.holder, "__annotations__", new)
        else:
            self.holder.__annotations__ = new


def _owner(namespace: dict[str, Any], path: str) -> _Owner | None:
    if not path:
        return _Owner(namespace)
    holder: Any = namespace
    for step in path.split("."):
        holder = _names(holder).get(step)
        if isinstance(holder, (staticmethod, classmethod)):
            holder = holder.__func__
        elif isinstance(holder, property):
            holder = holder.fget
    plain = type(holder) is types.FunctionType or isinstance(holder, type)
    return _Owner(holder) if plain else None


def _names(holder: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (
        holder if isinstance(holder, dict) else getattr(holder, "__dict__", {})
    )
    return found


class _Asking(dict[str, Any]):
    """Some of it is known only when what was left out has been imported."""

    def __init__(self, held: dict[str, Any], owner: _Owner, ask: Callable[[], None]) -> None:
        super().__init__(held)
        self._owner = owner
        self._ask = ask

    def real(self) -> Any:
        self._ask()
        found = self._owner.annotations()
        return dict(dict.items(self)) if found is self else found


def _asking(name: str) -> Callable[..., Any]:
    def method(self: _Asking, *arguments: Any, **options: Any) -> Any:
        return getattr(self.real(), name)(*arguments, **options)

    method.__name__ = name
    return method


for _name in dir(dict):
    if callable(getattr(dict, _name)) and _name not in (*dir(type), "__new__", "__init__"):
        setattr(_Asking, _name, _asking(_name))
for _name in ("__eq__", "__ne__", "__repr__", "__or__", "__ror__"):
    setattr(_Asking, _name, _asking(_name))
_Asking.__hash__ = None
