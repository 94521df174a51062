"""Objects that do something when they are freed, and those of them whose end nobody can see.

A process that ends closes its sockets, so freeing one just before does nothing, as long as no
warning of it is shown. The finalizers of openai's clients, which every program with an OpenAI
model has, close connections and do nothing else.
"""

from __future__ import annotations

import io
import logging
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

_IN_MEMORY = (io.BytesIO, io.StringIO)
_FILES = (io.BufferedRandom, io.BufferedReader, io.BufferedWriter, io.FileIO, io.TextIOWrapper)
_LOOPS = ("ProactorEventLoop", "SelectorEventLoop")
_SOCKETS = {("socket", "socket"), ("ssl", "SSLSocket")}
_FUNCTION = types.FunctionType
_FIELD = object.__basicsize__ // 2  # the size of a pointer
_COLLECTED = 1 << 14  # the flag of classes whose objects the collector knows
# Packages whose classes that aren't written in Python free memory when they are freed, and no more.
_MEMORY_ONLY = frozenset(sys.stdlib_module_names) - {"sqlite3", "_sqlite3", "_dbm", "_gdbm"} | {
    *("_cffi_backend", "cryptography", "fast_crewai", "google", "grpc", "numpy", "pyarrow"),
    *("pydantic_core", "rpds", "yaml", "Token"),  # the last is contextvars'
}

_flags: Callable[[Any], int] = type.__dict__["__flags__"].__get__
_bases: Callable[[Any], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_base: Callable[[Any], type | None] = type.__dict__["__base__"].__get__
_module: Callable[[Any], Any] = type.__dict__["__module__"].__get__
_size: Callable[[Any], int] = type.__dict__["__basicsize__"].__get__
_names: Callable[[Any], Any] = type.__dict__["__dict__"].__get__  # a metaclass may hide it


class _Closing(NamedTuple):
    """A class whose ``close`` closes its parts and does nothing else.

    ``functions``: what says so → the names that its code uses; another version, or somebody's
    own function, uses others.
    """

    functions: dict[str, tuple[str, ...]]
    parts: tuple[str, ...]


_IS_CLOSED = ("_state", "ClientState", "CLOSED")
_SYNC, _ASYNC = (("openai._base_client", f"{kind}HttpxClientWrapper") for kind in ("Sync", "Async"))
_CLOSING = {
    _SYNC: _Closing(
        {
            "__del__": ("is_closed", "close", "Exception"),
            "is_closed": _IS_CLOSED,
            "close": (*_IS_CLOSED, "_transport", "close", "_mounts", "values"),
        },
        ("_transport", "_mounts"),
    ),
    # Where no loop runs, as at exit, this one does nothing.
    _ASYNC: _Closing(
        {
            "__del__": (
                *("is_closed", "asyncio", "get_running_loop", "create_task", "aclose"),
                "Exception",
            ),
            "is_closed": _IS_CLOSED,
        },
        (),
    ),
    ("httpx", "HTTPTransport"): _Closing({"close": ("_pool", "close")}, ("_pool",)),
    ("httpcore", "ConnectionPool"): _Closing(
        {
            "close": ("_optional_thread_lock", "list", "_connections", "_close_connections"),
            "_close_connections": ("ShieldCancellation", "close"),
        },
        ("_connections",),
    ),
    ("httpcore", "HTTPConnection"): _Closing(
        {"close": ("_connection", "Trace", "logger", "close")}, ("_connection",)
    ),
    ("httpcore", "HTTP11Connection"): _Closing(
        {"close": ("HTTPConnectionState", "CLOSED", "_state", "_network_stream", "close")},
        ("_network_stream",),
    ),
    ("httpcore._backends.sync", "SyncStream"): _Closing({"close": ("_sock", "close")}, ("_sock",)),
}
_LOGS = "httpcore._sync.connection"  # the one of these that logs, if somebody wants it


def something_ends(objects: list[Any]) -> bool:
    """Whether one of the objects does something that can be seen when it is freed at exit."""
    kinds = set(map(type, objects))
    classes = {kind for kind in kinds if issubclass(kind, type)}
    if not all(map(_only_frees_memory, kinds)):
        return True
    ending = {kind for kind in kinds if _finalizer(kind)}
    unseen = _unseen_kinds(ending)
    standard = _standard_streams()
    for item in objects:
        kind = type(item)
        if kind in ending and id(item) not in standard and not _is_over(item, kind, unseen):
            return True
        if kind in classes and not _flags(item) & _COLLECTED and _finalizer(item, _FUNCTION):
            return True
    return False


def _finalizer(kind: type, written: type = object) -> bool:
    """Whether the class has a finalizer, of this type."""
    found = [_names(base)["__del__"] for base in _bases(kind) if "__del__" in _names(base)]
    return any(issubclass(type(function), written) for function in found)


def _only_frees_memory(kind: type) -> bool:
    """Whether all that the class's objects consist of is Python's, or known to be nothing else."""
    while (base := _base(kind)) is not None:
        names = _names(kind)
        fields = sum(type(value) is types.MemberDescriptorType for value in names.values())
        fields += ("__dict__" in names) + ("__weakref__" in names)
        if _size(kind) - _size(base) > fields * _FIELD:
            module = names.get("__module__") or _module(kind)
            if type(module) is str and module.partition(".")[0] not in _MEMORY_ONLY:
                return False
        kind = base
    return True


def _is_over(item: Any, kind: type, unseen: dict[type, _Closing | None]) -> bool:
    """Whether freeing it does nothing, for some frequent classes."""
    if kind in _IN_MEMORY:
        return True
    if kind in _FILES:
        return bool(item.closed)
    if kind is types.GeneratorType:
        return item.gi_frame is None
    if kind in unseen:
        return _only_closes(item, unseen)
    loops = vars(sys.modules.get("asyncio", sys))
    return kind in map(loops.get, _LOOPS) and bool(item.is_closed())


def _standard_streams() -> set[int]:
    found: set[int] = set()
    for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        buffer = getattr(stream, "buffer", None)
        found.update((id(stream), id(buffer), id(getattr(buffer, "raw", None))))
    return found - {id(None)}


# ------------------------------------------------------------------------------------ connections


def _unseen_kinds(ending: set[type]) -> dict[type, _Closing | None]:
    """The classes of connections whose end nobody sees in this process; None for sockets."""
    sockets = {cls for at in _SOCKETS if (cls := _class(at)) and not _finalizer(cls, _FUNCTION)}
    clients = {_class(_SYNC), _class(_ASYNC)}
    if not ending & (sockets | clients) or not _hides(warnings.filters, ResourceWarning):
        return {}
    found: dict[type, _Closing | None] = dict.fromkeys(sockets)
    logger = vars(sys.modules.get(_LOGS, sys)).get("logger")
    if type(logger) is logging.Logger and not logger.isEnabledFor(logging.DEBUG):
        found |= {cls: closing for at, closing in _CLOSING.items() if (cls := _class(at))}
    return found


def _class(at: tuple[str, str]) -> type | None:
    """Module and name → the class, if it is imported."""
    found = vars(sys.modules.get(at[0], sys)).get(at[1])
    return found if isinstance(found, type) and type(found) is type else None


def _hides(filters: Any, category: type[Warning]) -> bool:
    """Whether warnings of this category are ignored, whatever they say and wherever they arise."""
    for action, message, kind, module, line in filters:
        if issubclass(category, kind):
            if action != "ignore":
                return False
            if message is None and module is None and not line:
                return True
    return False


def _only_closes(item: Any, unseen: dict[type, _Closing | None]) -> bool:
    """Whether freeing it closes sockets, if anything."""
    kind = type(item)
    if item is None:
        return True
    if kind is list or kind is dict:
        return all(_only_closes(i, unseen) for i in (item if kind is list else item.values()))
    closing = unseen.get(kind, _Closing({}, ("?",)))
    if closing is None:
        return True
    held = vars(item)
    return (
        all(_uses(kind, name) == used for name, used in closing.functions.items())
        and held.keys().isdisjoint(closing.functions)
        and all(part in held and _only_closes(held[part], unseen) for part in closing.parts)
    )


def _uses(kind: type, name: str) -> tuple[str, ...] | None:
    """The names that a method or property of a class uses; None: it is no plain function."""
    found = next((_names(base)[name] for base in _bases(kind) if name in _names(base)), None)
    if type(found) is property:
        found = found.fget
    return found.__code__.co_names if type(found) is _FUNCTION and not found.__closure__ else None
