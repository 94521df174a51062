# ruff: noqa: N805 - the first argument of a metaclass's method is a class
"""A class that exists before its module is imported.

CrewAI's models are annotated with one class of chromadb's, and need no more of it than its
identity until somebody validates against it. The shell has that identity. Whatever else is asked
of it imports the module; there it takes over everything from the class that the module defines,
and stands in its place from that statement on: there is only ever one such class.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, Generic, TypeVar

try:
    from typing_extensions import Protocol
except ImportError:  # CrewAI, which needs it, isn't installed either
    from typing import Protocol  # type: ignore[assignment]

_PROTOCOL: Any = Protocol
_META: Any = type(Protocol)
_OWN = frozenset({"__dict__", "__weakref__", "_abc_impl", "__module__", "__qualname__"})
_KNOWN = frozenset({"__name__", "__qualname__", "__module__", "__mro__", "__bases__"})

_D = TypeVar("_D")


def can_stand_for(cls: type) -> bool:
    """Whether a class is such that a shell can stand for it."""
    return type(cls) is _META and cls.__mro__[1:] == (Protocol, Generic, object)


def make(module: str, name: str, load: Callable[[], None]) -> type:
    """A generic protocol's shell; ``load`` imports the module, which calls ``adopt``."""
    made = False

    def real(cls: Any) -> Any:
        load()
        if type(cls) is not _META:
            raise ImportError(f"cannot import name {name!r} from {module!r}", name=module)
        return cls

    class Waiting(_META):  # type: ignore[misc]
        def __new__(meta, name: str, bases: Any, namespace: Any, **options: Any) -> Any:
            if not made:
                return super().__new__(meta, name, bases, namespace, **options)
            load()
            return types.new_class(name, bases, options, lambda names: names.update(namespace))

        def __getattribute__(cls, name: str) -> Any:
            if not made or name in _KNOWN:
                return type.__getattribute__(cls, name)
            return _META if name == "__class__" else getattr(real(cls), name)

        def __setattr__(cls, name: str, value: Any) -> None:
            type.__setattr__(real(cls) if made else cls, name, value)

        def __delattr__(cls, name: str) -> None:
            type.__delattr__(real(cls), name)

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            return _META.__call__(real(cls), *args, **kwargs)

        def __subclasscheck__(cls, other: type) -> bool:
            return bool(_META.__subclasscheck__(real(cls), other))

        def __instancecheck__(cls, other: object) -> bool:
            return bool(_META.__instancecheck__(real(cls), other))

        def __dir__(cls) -> Any:
            return _META.__dir__(real(cls))

    shell: type = types.new_class(
        name,
        (_PROTOCOL[_D],),
        {"metaclass": Waiting},
        lambda names: names.update(__module__=module, __qualname__=name),
    )
    made = True
    return shell


def is_waiting(shell: type) -> bool:
    return type(shell) is not _META


def adopt(shell: type, real: type) -> type:
    """``shell`` becomes ``real``: its attributes, its metaclass, and what its functions mean."""
    type.__setattr__(shell, "__class__", _META)
    for name in [n for n in vars(shell) if n not in _OWN and n not in vars(real)]:
        type.__delattr__(shell, name)
    for name, value in vars(real).items():
        if name in _OWN:
            continue
        function = getattr(value, "__func__", value)
        for cell in getattr(function, "__closure__", None) or ():
            if cell.cell_contents is real:
                cell.cell_contents = shell
        type.__setattr__(shell, name, value)
    return shell
