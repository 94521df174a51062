"""Objects that the garbage collector leaves alone, as long as nobody can tell.

What the import of CrewAI has made is looked at neither by automatic collections nor at exit. It
returns to the collector when a program asks for anything of ``gc`` that shows the difference, and
at exit when an object exists that does something when it is freed.
"""

from __future__ import annotations

import atexit
import gc
import io
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

_TELLING = (
    *("callbacks", "collect", "freeze", "get_freeze_count", "get_objects", "get_referrers"),
    *("set_debug", "unfreeze"),
)
_OTHERS = ("get_referents", "get_stats", "is_tracked")  # of the same kind, which nobody hides
_module: Any = types.ModuleType
_module_names: Callable[[Any], dict[str, Any]] = _module.__dict__["__dict__"].__get__
_functions: dict[str, Any] = {name: getattr(gc, name) for name in _TELLING if hasattr(gc, name)}
_hidden: dict[str, Any] = {}  # what ``gc`` lacks, while objects are set aside
_track_again: Callable[[list[object]], None] | None = None  # the native core's

_IN_MEMORY = (io.BytesIO, io.StringIO)
_FILES = (io.BufferedRandom, io.BufferedReader, io.BufferedWriter, io.FileIO, io.TextIOWrapper)
_LOOPS = ("ProactorEventLoop", "SelectorEventLoop")
_FUNCTION = types.FunctionType
_COLLECTED = 1 << 14  # the flag of classes whose objects the collector knows


def known_objects() -> list[object]:
    """All objects that the collector looks at; for ``all_but``. At exit, our part comes late."""
    global _track_again
    if _track_again is None:
        from fast_crewai._core import track_again

        _track_again = track_again
        atexit.register(_at_exit)
    known: list[object] = _functions["get_objects"]()
    return known


def count() -> int:
    """How many objects are out of the collector's sight; they are counted one by one."""
    number: int = _functions["get_freeze_count"]()
    return number


def has_any() -> bool:
    """Whether objects are out of the collector's sight."""
    return bool(_hidden) or count() > 0


def is_watched() -> bool:
    """Whether somebody is told of collections."""
    return bool(_functions["callbacks"])


def make_old() -> None:
    """All objects become old without being looked at."""
    _functions["freeze"]()
    _functions["unfreeze"]()


def all_but(objects: list[object]) -> None:
    """Set all objects aside, but not these."""
    if _track_again is None or _is_held():
        make_old()
        return
    _functions["freeze"]()
    _track_again(objects)
    if type(gc) is types.ModuleType:
        gc.__class__ = _Gc
        names = _module_names(gc)
        _hidden.update((n, names[n]) for n in _TELLING if names.get(n) is _functions.get(n))
        for name in _hidden:
            del names[name]
    if not _hidden:
        _functions["unfreeze"]()


def end() -> None:
    """The collector looks at everything again, as without us."""
    if not _hidden:
        return
    _functions["unfreeze"]()
    for name, value in list(_hidden.items()):
        _module_names(gc).setdefault(name, value)
    if type(gc) is _Gc:
        gc.__class__ = types.ModuleType  # type: ignore[assignment]
    _hidden.clear()


def _is_held() -> bool:
    """Whether somebody has taken a function from ``gc`` before, and asks it directly."""
    usual = min(sys.getrefcount(vars(gc)[name]) for name in _OTHERS if name in vars(gc))
    telling = [_functions[name] for name in _functions if name != "callbacks"]
    # One reference more is ours, one is the list's, one is the loop's.
    return any(sys.getrefcount(function) > usual + 3 for function in telling)


class _Gc(types.ModuleType):
    """``gc``, which is asked by name before it tells."""

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        end()
        return _module_names(self)

    def __delattr__(self, name: str) -> None:
        if name in _TELLING:
            end()
        types.ModuleType.__delattr__(self, name)

    def __getattr__(self, name: str) -> Any:
        if name in _TELLING:
            end()
        return types.ModuleType.__getattribute__(self, name)

    def __dir__(self) -> Iterable[str]:
        end()
        return types.ModuleType.__dir__(self)


# -------------------------------------------------------------------------------------- at exit


def _at_exit() -> None:
    """Objects set aside keep what they refer to from being freed."""
    try:
        if _hidden and _something_ends():
            end()
    except Exception:  # a class that can't be looked at
        end()


def _something_ends() -> bool:
    """Whether an object that is not set aside does something when it is freed."""
    objects = _functions["get_objects"]()
    kinds = set(map(type, objects))
    classes = {kind for kind in kinds if issubclass(kind, type)}
    ending = {kind for kind in kinds if _finalizer(kind)}
    standard = _standard_streams()
    for item in objects:
        kind = type(item)
        if kind in ending and id(item) not in standard and not _is_over(item, kind):
            return True
        if kind in classes and not _flags(item) & _COLLECTED and _finalizer(item, _FUNCTION):
            return True
    return False


_flags: Callable[[Any], int] = type.__dict__["__flags__"].__get__
_bases: Callable[[Any], tuple[type, ...]] = type.__dict__["__mro__"].__get__
_names: Callable[[Any], Any] = type.__dict__["__dict__"].__get__  # a metaclass may hide it


def _finalizer(kind: type, written: type = object) -> bool:
    """Whether the class has a finalizer, of this type."""
    found = [_names(base)["__del__"] for base in _bases(kind) if "__del__" in _names(base)]
    return any(issubclass(type(function), written) for function in found)


def _is_over(item: Any, kind: type) -> bool:
    """Whether freeing it does nothing, for some frequent classes of Python's own."""
    if kind in _IN_MEMORY:
        return True
    if kind in _FILES:
        return bool(item.closed)
    if kind is types.GeneratorType:
        return item.gi_frame is None
    loops = vars(sys.modules.get("asyncio", sys))
    return kind in map(loops.get, _LOOPS) and bool(item.is_closed())


def _standard_streams() -> set[int]:
    found: set[int] = set()
    for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
        buffer = getattr(stream, "buffer", None)
        found.update((id(stream), id(buffer), id(getattr(buffer, "raw", None))))
    return found - {id(None)}
