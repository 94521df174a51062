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
# What the parser takes for sets of the future, and a group's number, which may be a strange one.
_WARNED = ("[[", "[^[", "--", "&&", "~~", "||", "(?(")
# What a wrong pattern raises, or a wrong entry. Any other is of a signal's handler, and the user's.
_OURS = (
    *(re.error, ArithmeticError, EOFError, LookupError),
    *(MemoryError, RuntimeError, TypeError, ValueError),
)
_PASSED_OVER = f"{__file__} (not importlib._bootstrap)"  # as ``warnings`` does with such files


def module() -> types.ModuleType | None:
    """Python's module that compiles patterns, if its functions are Python's own."""
    found: Any = getattr(re, "_compiler", None)  # from Python 3.11 on
    if not isinstance(found, types.ModuleType) or not _is_own(found, NAME, "_code", "_compile"):
        return None
    own = _is_own(found._parser, "parse", "_parse", "_parse_sub")
    return found if own and isinstance(found._sre, types.ModuleType) else None


def _is_own(module: types.ModuleType, *names: str) -> bool:
    for function in map(vars(module).get, names):
        if type(function) is not types.FunctionType or hasattr(function, "__wrapped__"):
            return False
        if function.__globals__ is not vars(module):
            return False
        if function.__code__.co_filename != module.__file__:
            return False
    return True


def compiler(module: Any) -> Callable[..., Any]:
    """Build the replacement of its function, for this thread."""
    original, engine, magic = module.compile, module._sre, module._sre.MAGIC
    make, thread, left = _maker(original, engine), threading.get_ident(), _MOST
    parser, parse, code = module._parser, module._parser.parse, module._code

    def compile_pattern(p: Any, flags: Any = 0) -> Any:
        nonlocal left
        usual = type(p) is str and type(flags) is int and not flags & _ODD and len(p) < _LONGEST
        if not usual or not left or threading.get_ident() != thread:
            return original(p, flags)
        if any(sign in p for sign in _WARNED):
            return original(p, flags)
        if module.compile is not compile_pattern or (parser.parse, module._code) != (parse, code):
            return original(p, flags)  # afterwards, or somebody's own
        left -= 1
        try:
            return engine.compile(
                p, *store.remembered("pattern", (magic, p, flags), lambda: make(p, flags))
            )
        except _OURS:  # whoever has written it is told by Python
            pass
        return original(p, flags)

    # A warning tells the line that is so many callers away, and there is one more.
    compile_pattern.__code__ = compile_pattern.__code__.replace(co_filename=_PASSED_OVER)
    compile_pattern.__name__ = compile_pattern.__qualname__ = NAME  # in what wrong arguments raise
    return compile_pattern


def _maker(original: Any, engine: Any) -> Callable[[str, int], tuple[Any, ...]]:
    """Build what gives the arguments that Python calls the engine with, after the pattern."""
    seen: list[tuple[Any, ...]] = []
    watched = types.SimpleNamespace(**vars(engine))
    watched.compile = lambda *arguments: seen.append(arguments)
    same = types.FunctionType(original.__code__, {**original.__globals__, "_sre": watched})

    def make(p: str, flags: int) -> tuple[Any, ...]:
        seen.clear()
        same(p, flags)
        _, flags, code, *groups = seen.pop()
        return flags, [int(number) for number in code], *groups  # not constants with names

    return make
