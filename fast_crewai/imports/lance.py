"""LanceDB's import without what a client for its web service needs for its first call.

A memory imports ``lancedb``, which imports a client of 370 methods whose arguments pydantic checks.
Pydantic makes a schema for each method where it is defined; a third of the import of CrewAI with a
memory. It can also make it at the method's first call (``defer_build``), and here it does, for the
methods that an earlier run in the same environment has seen it make one for.

LanceDB's own classes say which methods override others, and the library that checks it
(``overrides``) reads the bytecode of the whole module again for each of them; here once a class.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import os
import sys
import threading
import types
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

import fast_crewai
from fast_crewai import config
from fast_crewai.imports import proof, store
from fast_crewai.imports.feature import NOTHING, WAITING, Feature

LANCE = Feature(
    "imports.lance",
    "lancedb",
    "schemas for a client's methods are a third of the import of CrewAI with a memory",
)

PACKAGE = "lancedb"
_CLIENT = "lance_namespace_urllib3_client"
_METHODS = f"{_CLIENT}.api."
_CHECKS = "pydantic._internal._validate_call"
_PLUGINS = "pydantic.plugin._loader"
_OVERRIDES = "overrides.overrides"
_NAMES_OF = "_get_base_class_names"

# Digests of the files whose functions are replaced for the time of the import.
_PROVEN = {
    _CHECKS: {"3df7559d2ce15ceac436d683a03c373c"},  # pydantic 2.12.5
    _OVERRIDES: {"066b7b37c34666accd50f6d9d65f3533"},  # overrides 7.7.0
}

_AWAITED: Mapping[str, ModuleSpec | None] = types.MappingProxyType({PACKAGE: None})
_AWAITED_INSIDE: Mapping[str, ModuleSpec | None] = types.MappingProxyType(
    dict.fromkeys((PACKAGE, _OVERRIDES))  # again after an interrupt
)

_window: _Window | None = None


def awaited() -> Mapping[str, ModuleSpec | None]:
    """Modules of others whose import must be seen."""
    if _window is not None:
        return _AWAITED_INSIDE
    return _AWAITED if LANCE.state == WAITING else NOTHING


def begin() -> _Window | None:
    """``lancedb`` is about to be executed; None: nothing to do. Never raises."""
    global _window
    end()  # of one that an interrupt has left open
    if LANCE.state != WAITING:
        return None
    window = _window = _Window()  # before anything is replaced: a fork, or an interrupt, ends it
    problem: str | None = "it was interrupted"
    try:
        problem = window.prepare()
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    finally:
        if problem is not None:
            end()
            LANCE.turn_off(problem)
    return window if problem is None else None


def executed(name: str) -> None:
    """A module has been executed. Never raises."""
    window = _window
    if name == _OVERRIDES and window is not None:
        with contextlib.suppress(Exception):  # not a file, or strange: it stays as it is
            window.read_once()


def end() -> None:
    """The libraries have their own functions again; also in a fork of an importing process."""
    global _window
    window = _window
    if window is not None:
        window.restore()
        _window = None  # last: after an interrupt there is still something to end


class _Window:
    """The time in which ``lancedb`` is imported."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._mark = Path()
        self._allowed: frozenset[str] | None = None  # None: a first run
        self._seen: list[str] = []
        self._waiting = 0
        self._warned = 0
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def prepare(self) -> str | None:
        """Why nothing waits; None: it does. Raises what a strange environment makes it."""
        if f"{_CLIENT}.api" in sys.modules:
            return f"{_CLIENT} is imported already"
        spec = PathFinder.find_spec(_CLIENT)
        if spec is None or not spec.has_location or spec.origin is None:
            return f"{_CLIENT} is not installed as files"
        checks = importlib.import_module(_CHECKS)
        if not _is_proven(checks):
            return "pydantic differs from every version that it was proven on"
        if list(importlib.import_module(_PLUGINS).get_plugins()):
            return "a plugin of pydantic's sees each schema"
        cache = config.cache_folder()
        if cache is None:
            return "there is no cache folder"
        self._mark = cache / "imports" / f"{_key(Path(spec.origin).parent, checks)}-calls"
        stored = store.read(self._mark)
        if stored is not None:
            self._allowed = frozenset(stored)
        self._warned = _warnings()
        kind = checks.ValidateCallWrapper
        self._replace(kind, "_create_validators", self._put_off(kind._create_validators))
        executed(_OVERRIDES)  # it may have been, before
        return None

    def _replace(self, owner: Any, name: str, ours: Any) -> None:
        original = getattr(owner, name)
        self._replaced.append((owner, name, ours, original))
        setattr(owner, name, ours)

    def _put_off(self, original: Callable[[Any], None]) -> Callable[[Any], None]:
        @functools.wraps(original)
        def _create_validators(self_: Any) -> None:
            if not self._is_defined_here(self_):
                return original(self_)
            name = f"{self_.module}:{self_.qualname}"
            if self._allowed is None:
                original(self_)
                self._seen.append(name)
            elif name in self._allowed:
                self._waiting += 1
                self_.__pydantic_complete__ = False  # as with ``defer_build``
            else:
                original(self_)
            return None

        return _create_validators

    def _is_defined_here(self, checked: Any) -> bool:
        """Whether it is a method of the client's, and not called yet."""
        return (
            _window is self  # who has replaced ours may put it back later
            and threading.get_ident() == self._thread
            and type(checked.module) is str
            and checked.module.startswith(_METHODS)
            and not hasattr(checked, "__pydantic_complete__")
        )

    def read_once(self) -> None:
        """``overrides`` finds out once a class, and not for each method, what its bases are."""
        overrides = sys.modules.get(_OVERRIDES)
        if overrides is None or threading.get_ident() != self._thread:
            return
        if any(owner is overrides for owner, *_ in self._replaced) or not _is_proven(overrides):
            return
        original, known = getattr(overrides, _NAMES_OF), dict[tuple[int, int], Any]()

        @functools.wraps(original)
        def _get_base_class_names(frame: types.FrameType) -> list[list[str]]:
            """It depends on nothing but the code, and how far it has been executed."""
            if threading.get_ident() != self._thread:
                return original(frame)  # type: ignore[no-any-return]
            key = id(frame.f_code), frame.f_lasti
            if key not in known:
                known[key] = frame.f_code, original(frame)  # whose id stays taken
            return [[*names] for names in known[key][1]]

        self._replace(overrides, _NAMES_OF, _get_base_class_names)

    def restore(self) -> None:
        for owner, name, ours, original in self._replaced:  # also twice, or by two threads
            if vars(owner).get(name) is ours:
                setattr(owner, name, original)

    def end(self, done: bool) -> None:
        """``lancedb`` has been executed, or has failed."""
        whole = _window is self  # nobody has ended it in between
        end()
        if self._waiting:
            LANCE.used()
        elif not self._seen:
            LANCE.turn_off(f"{PACKAGE} has not imported {_CLIENT} as usual")
        else:
            LANCE.turn_off("first run here: which schemas can wait is noted")
            if done and whole and _warnings() == self._warned:
                store.write(self._mark, sorted(set(self._seen)))


def _is_proven(module: Any) -> bool:
    """Whether its file is known, and what is replaced, or is to wait, comes from the library."""
    names = vars(module)
    found = [names.get(_NAMES_OF)]
    if module.__name__ == _CHECKS:
        kind, makes = vars(names["ValidateCallWrapper"]), vars(names["GenerateSchema"])
        found = [kind.get(name) for name in ("__init__", "__call__", "_create_validators")]
        found += [makes.get("generate_schema"), makes.get("clean_schema")]
        found.append(names.get("create_schema_validator"))
    for function in found:
        if type(function) is not types.FunctionType or hasattr(function, "__wrapped__"):
            return False
        home, library = function.__module__, module.__name__.partition(".")[0]
        if not home.startswith(f"{library}.") or function.__globals__ is not vars(
            sys.modules[home]
        ):
            return False
    content = Path(module.__file__).read_bytes()
    return hashlib.sha256(content).hexdigest()[:32] in _PROVEN[module.__name__]


def _key(folder: Path, checks: Any) -> str:
    """A digest of what the schemas are made from, and what they are made by."""
    ours, pydantic = Path(__file__).stat(), Path(checks.__file__).parent.parent
    made = sys.version, sys.prefix, fast_crewai.__version__, ours.st_mtime_ns, ours.st_size
    key = hashlib.sha256(f"{made} {folder} {pydantic}".encode())
    for place in (folder, folder / "api", folder / "models", pydantic, pydantic / "_internal"):
        key.update(repr(_files(place)).encode())
    for site in sorted({folder.parent, pydantic.parent}):
        key.update(f"{site} {proof.installed(site)}".encode())
    return key.hexdigest()[:32]


def _files(folder: Path) -> list[tuple[str, int, int]]:
    """Not the folders: they change when Python keeps what it has compiled."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.stat()) for entry in entries if entry.name.endswith(".py")]
    return sorted((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)


def _warnings() -> int:
    """How many warnings have been noted where making the schemas may have caused them."""
    modules = [
        module
        for name, module in sys.modules.copy().items()
        if name.startswith(("pydantic.", _CLIENT)) and isinstance(module, types.ModuleType)
    ]
    return sum(len(vars(module).get("__warningregistry__") or ()) for module in modules)
