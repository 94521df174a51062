"""Objects that the garbage collector leaves alone, as long as nobody can tell.

What the import of CrewAI has made is looked at neither by automatic collections nor at exit. It
returns to the collector when a program asks for anything of ``gc`` that shows the difference, and
at exit when an object exists that does something when it is freed.
"""

from __future__ import annotations

import atexit
import gc
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


def _at_exit() -> None:
    """Objects set aside keep what they refer to from being freed."""
    try:
        if _hidden:
            from fast_crewai.imports.endings import something_ends

            if something_ends(_functions["get_objects"]()):
                end()
    except Exception:  # a class that can't be looked at
        end()
