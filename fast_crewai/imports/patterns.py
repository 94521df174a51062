"""Regular expressions that the import compiles are parsed once an installation.

Python makes a list of numbers of a pattern, which its engine then takes, 270 times while CrewAI is
imported. The list depends on nothing but the pattern and its flags. Patterns that may warn are
left to Python, as are those of bytes and those whose flags print something.
"""

from __future__ import annotations

import re
import threading
import types
from collections.abc import Callable
from typing import Any

from fast_crewai.hooks import store

NAME = "compile"
_LONGEST = 20_000
_MOST = 2000  # patterns of one import
_ODD = re.LOCALE | re.DEBUG | re.TEMPLATE if hasattr(re, "TEMPLATE") else re.LOCALE | re.DEBUG
_WARNED = ("[[", "[^[", "--", "&&", "~~", "||")  # what the parser takes for sets of the future


def module() -> types.ModuleType | None:
    """Python's module that compiles patterns, if its function is Python's own."""
    found: Any = getattr(re, "_compiler", None)  # from Python 3.11 on
    function = vars(found).get(NAME) if isinstance(found, types.ModuleType) else None
    if type(function) is not types.FunctionType or hasattr(function, "__wrapped__"):
        return None
    usual = function.__globals__ is vars(found) and function.__code__.co_filename == found.__file__
    return found if usual and isinstance(found._sre, types.ModuleType) else None


def compiler(module: Any) -> Callable[..., Any]:
    """Build the replacement of its function, for this thread."""
    original, engine, magic = module.compile, module._sre, module._sre.MAGIC
    make, thread, left = _maker(original, engine), threading.get_ident(), _MOST

    def compile_pattern(p: Any, flags: Any = 0) -> Any:
        nonlocal left
        usual = type(p) is str and type(flags) is int and not flags & _ODD and len(p) < _LONGEST
        if not usual or not left or threading.get_ident() != thread:
            return original(p, flags)
        if any(sign in p for sign in _WARNED):
            return original(p, flags)
        left -= 1
        try:
            return engine.compile(
                *store.remembered("pattern", (magic, p, flags), lambda: make(p, flags))
            )
        except Exception:  # whoever has written it is told by Python
            pass
        return original(p, flags)

    return compile_pattern


def _maker(original: Any, engine: Any) -> Callable[[str, int], tuple[Any, ...]]:
    """Build what gives the arguments that Python's function calls the engine with."""
    seen: list[tuple[Any, ...]] = []
    watched = types.SimpleNamespace(**vars(engine))
    watched.compile = lambda *arguments: seen.append(arguments)
    same = types.FunctionType(original.__code__, {**original.__globals__, "_sre": watched})

    def make(p: str, flags: int) -> tuple[Any, ...]:
        seen.clear()
        same(p, flags)
        pattern, flags, code, *groups = seen.pop()
        return pattern, flags, [int(number) for number in code], *groups  # not constants with names

    return make
