"""Code that the import makes from texts is compiled once.

Each method of a data class is compiled from a text that Python puts together, 500 of them while
CrewAI is imported; so is each annotation that is a text, 3,000 of which 700 are different. What a
text compiles to depends on nothing but the text, and so it is with regular expressions
(``patterns``). For as long as the import lasts, these modules of Python's get what earlier runs
have compiled (``store``), or this one, for the same text; other threads get what they would without
us.
"""

# No `from __future__ import annotations` in this file: what is compiled from here would have it.
import builtins
import contextlib
import dataclasses
import re
import sys
import threading
import types
import typing
from collections.abc import Callable
from typing import Any

from fast_crewai.hooks import store
from fast_crewai.imports import patterns
from fast_crewai.imports.feature import Feature

TEXTS = Feature(
    "imports.texts",
    "dataclasses:exec",
    "methods of data classes, annotations and regular expressions: a seventh of what remains",
)

_FILE = "<string>"  # of all such code
_LONGEST = 20_000
_MOST = 2000  # texts of one import; CrewAI's are 500, and a program may have any number

# Names with their arguments, and no constants: what compiles without any warning.
_SIMPLE = re.compile(r"[A-Za-z0-9_ .,|\[\]]+").fullmatch
_WARNED = re.compile(r"\b[0-9]|(?:None|True|False|\]|\.) *\[").search

_NATIVE = types.BuiltinFunctionType
_absent = object()
_changed: list[tuple[types.ModuleType, str, Any, Any]] = []  # module, name, ours, what was there


class Window:
    """The time of one import."""

    def end(self, done: bool) -> None:
        end()


def end() -> None:
    """Python's modules have Python's functions again; also in a fork of an importing process."""
    with contextlib.suppress(IndexError, AttributeError):  # another thread ends it, too
        while _changed:
            module, name, ours, original = _changed.pop()
            if vars(module).get(name) is not ours:
                continue
            if original is _absent:
                delattr(module, name)
            else:
                setattr(module, name, original)


def begin() -> Window | None:
    """The import of CrewAI, or of its provider, begins; None: nothing to do. Never raises."""
    if _changed:
        return None  # an import inside an import
    try:
        for module, name, ours in (
            (dataclasses, "exec", _runner()),
            (typing, "compile", _compiler()),
        ):
            if _is_usual(module, name):
                _change(module, name, ours)
        if (compiling := patterns.module()) is not None:
            _change(compiling, patterns.NAME, patterns.compiler(compiling))
    except Exception as error:
        TEXTS.turn_off(f"{type(error).__name__}: {error}")
    except BaseException:  # an interrupt: nobody would end it
        end()
        raise
    if not _changed:
        return None
    TEXTS.used()
    return Window()


def _change(module: types.ModuleType, name: str, ours: Any) -> None:
    original = vars(module).get(name, _absent)
    _changed.append((module, name, ours, original))  # first: whatever interrupts, it is ended
    setattr(module, name, ours)


def _is_usual(module: types.ModuleType, name: str) -> bool:
    """Whether the module takes Python's own function, and says nothing of how to compile."""
    return (
        name not in vars(module)
        and "annotations" not in vars(module)
        and _is_native(name)
        and sys.version_info < (3, 14)  # annotations are compiled otherwise
    )


def _is_native(name: str) -> bool:
    """Whether nobody sees the texts that Python's function gets, nor those that we compile."""
    return type(getattr(builtins, name)) is _NATIVE and type(builtins.compile) is _NATIVE


def _runner() -> Callable[..., None]:
    thread, left = threading.get_ident(), _MOST

    def run(source: Any, *namespaces: Any, **options: Any) -> None:
        """``exec`` for ``dataclasses``, which always says in which namespaces."""
        nonlocal left
        usual = type(source) is str and len(namespaces) == 2 and len(source) < _LONGEST
        if usual and left and threading.get_ident() == thread and _is_native("exec"):
            left -= 1
            source = store.remembered("text", (source,), lambda: _compiled(source, "exec"))
        builtins.exec(source, *namespaces, **options)

    return run


def _compiled(source: str, mode: str) -> types.CodeType:
    code: types.CodeType = builtins.compile(source, _FILE, mode, 0, dont_inherit=True)
    return code


def _compiler() -> Callable[..., Any]:
    known: dict[str, types.CodeType] = {}
    thread = threading.get_ident()

    def compiled(source: Any, filename: Any, mode: Any, *rest: Any, **options: Any) -> Any:
        """``compile`` for ``typing``, which has annotations compiled for ``eval``."""
        usual = type(source) is str and filename == _FILE and mode == "eval"
        ours = threading.get_ident() == thread and _is_native("compile")
        if not usual or rest or options or not ours:
            return builtins.compile(source, filename, mode, *rest, **options)
        code = known.get(source)
        if code is None:
            code = _compiled(source, mode)
            if _SIMPLE(source) and not _WARNED(source):
                known[source] = code
        return code

    return compiled
