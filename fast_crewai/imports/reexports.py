"""openai's types are imported one by one, when somebody asks for them.

Importing ``openai`` imports ``openai.types``, whose packages do nothing but pass on the names of
some 730 modules of definitions; an agent's LLM needs 200. Here these packages look for a name when
it is asked for. That they only pass on, and that the modules only define, is found in their source
(``reexport_proof``), once an installation. Whoever looks at a whole package, or replaces anything
that its modules take names from, has all imported first that would have been imported by then.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import threading
import types
from collections.abc import Iterable, Mapping
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fast_crewai import config
from fast_crewai.imports import journal, lazy, others, proof, store, watch
from fast_crewai.imports.feature import ACTIVE, NOTHING, WAITING, Feature

if TYPE_CHECKING:
    from fast_crewai.imports.reexport_proof import Package

REEXPORTS = Feature(
    "imports.openai",
    "openai.types",
    "openai imports 730 modules of types, of which an agent's LLM needs 200",
)

_ROOT = "openai.types"
_BASE = ("openai", "BaseModel")  # who has it can change what classes of types become
_PATIENCE = 1.0  # seconds that a fork waits for imports of ours
_BUILD = "DEFER_PYDANTIC_BUILD"  # if it is set, a definition may do more than define

_EMPTY = frozenset(  # what a module has before its first statement
    {"__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__"}
    | {"__package__", "__path__", "__spec__"}
)

_DICT: Any = vars(types.ModuleType)["__dict__"]

_packages: dict[str, Package] = {}
_outside: tuple[str, ...] = ()
_awaited: dict[str, ModuleSpec | None] = {}
_pending = False
_made: dict[str, types.ModuleType] = {}  # packages that look for names when they are asked
_expected: dict[str, None] = {}  # modules that would have been imported by now, in this order

# Held while something is imported that plain Python would have imported before: a child that is
# forked meanwhile would wait for its import lock without end.
_importing = threading.RLock()
_forking: list[bool] = []


def awaited() -> Mapping[str, ModuleSpec | None]:
    """Modules of others whose import must be seen."""
    return _awaited if _pending else NOTHING


def plan(package: types.ModuleType) -> None:
    """Before ``openai`` is executed: decide whether its types wait. Never raises."""
    global _pending
    if REEXPORTS.state != WAITING:
        return None
    try:
        problem = _prepare(Path(package.__path__[0]) / "types")
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    if problem is not None:
        return REEXPORTS.turn_off(problem)
    _awaited.update(dict.fromkeys((*_packages, *lazy.FRAMEWORKS)))
    _pending = True
    return None


def _prepare(folder: Path) -> str | None:
    """Why the types don't wait; None: they do."""
    global _outside
    from fast_crewai.imports import reexport_proof  # only programs that import openai need it

    loaded = [name for name in sys.modules if name in lazy.FRAMEWORKS or name.startswith("openai.")]
    if loaded:
        return f"{min(loaded)} is imported already"
    if _BUILD in config.environment():
        return f"{_BUILD} is set"
    problem = others.importer(("openai",))
    cache = config.cache_folder()
    if problem is not None or cache is None:
        return problem or "there is no cache folder"
    key = hashlib.sha256(f"{sys.version} {folder}".encode())
    for place, _, _ in sorted(os.walk(folder)):
        if Path(place).name != "__pycache__":
            key.update(f"{place} {proof.state(Path(place))}".encode())
    file = cache / "imports" / f"{key.hexdigest()[:32]}-types"
    stored = store.read(file)
    if stored is None:
        if cache.exists() and not os.access(cache, os.W_OK):
            return "the cache folder can't be written"  # each run would parse all files
        tree = reexport_proof.prove(_ROOT, folder)
        stored = [(name, *parts) for name, parts in tree.packages.items()], tree.outside
        store.write(file, stored)
    packages, _outside = stored
    _packages.update((name, reexport_proof.Package(*parts)) for name, *parts in packages)
    return None


def code_for(module: types.ModuleType, name: str, loader: object) -> types.CodeType | None:
    """The code to execute a package with, instead of what the loader would take."""
    package = _packages.get(name) if _pending else None
    if package is None or type(loader) is not SourceFileLoader or loader.path != package.file:
        return None
    if name in _made or type(module) is not types.ModuleType or vars(module).keys() - _EMPTY:
        return None  # a reload
    if not _made:
        for other in _outside:
            importlib.import_module(other)
        for other in (*_outside, "pydantic", watch.CLOCK):
            watch.add(_watcher, other)
        lazy.asked_for_all.append(settle_quietly)
        REEXPORTS.used()
    _made[name] = module
    _expected.update(dict.fromkeys(package.closure))
    return package.code


def executed(name: str) -> None:
    """A module has been executed: one of the packages, or one that may replace anything."""
    if name in lazy.FRAMEWORKS:
        settle_quietly()
    elif name == _BASE[0] and _pending:
        watch.add(_watcher, *_BASE[:1], shell=_BASE[1])
    elif name == "crewai":
        if REEXPORTS.state == WAITING and "openai" in sys.modules:
            REEXPORTS.turn_off("openai is imported with CrewAI")
        elif REEXPORTS.state == WAITING and lazy.LAZY.state != ACTIVE:
            REEXPORTS.turn_off("needs imports.lazy")  # nobody watches for openai
    elif _pending and name in _made and type(_made[name]) is types.ModuleType:
        _made[name].__class__ = Reexporting


def settle() -> None:
    """Import all that would have been imported by now. Raises what that raises."""
    with _importing:
        if _pending:
            _settle()


def _settle() -> None:
    global _pending
    if _made:
        journal.note(REEXPORTS.name)
    done: set[str] = set()
    while new := [name for name in list(_expected) if name not in done]:
        done.update(new)
        for name in new:
            importlib.import_module(name)
    for name, module in list(_made.items()):
        for asked in _packages[name].names:
            _answer(module, asked)
    _pending = False
    if REEXPORTS.calls:
        REEXPORTS.reason = "imported since"
    for module in _made.values():
        object.__setattr__(module, "__class__", types.ModuleType)
    watch.remove(_watcher)


def settle_quietly() -> None:
    """The same; whoever asks for the name in question is told what is wrong."""
    try:  # noqa: SIM105
        settle()
    except Exception:
        pass


# ------------------------------------------------------------------------------------ the packages


def _answer(module: types.ModuleType, name: str) -> Any:
    """What a package's ``__init__`` binds to a name. Raises AttributeError, or as its import."""
    package = _name(module)
    target = _packages[package].names.get(name)
    if target is None:
        child = f"{package}.{name}"
        if child not in _expected:
            return types.ModuleType.__getattribute__(module, name)
        with _importing:
            return importlib.import_module(child)
    with _importing:
        value: Any = importlib.import_module(target[0])
        if target[1]:
            value = getattr(value, target[1])
    return _names(module).setdefault(name, value)


def _name(module: types.ModuleType) -> str:
    spec = module.__spec__  # CrewAI and openai overwrite `__name__` and `__module__` of some
    return spec.name if spec is not None else module.__name__


def _names(module: types.ModuleType) -> dict[str, Any]:
    found: dict[str, Any] = _DICT.__get__(module)
    return found


class Reexporting(types.ModuleType):
    """A package that looks for a name when it is asked for it."""

    def __getattr__(self, name: str) -> Any:
        return _answer(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        child = f"{_name(self)}.{name}"
        if sys.modules.get(child, self) is value:  # the end of a submodule's import
            watch.add(_watcher, child)
        elif name != "__module__":  # openai itself sets that
            settle_quietly()
        types.ModuleType.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        settle_quietly()
        types.ModuleType.__delattr__(self, name)

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        settle_quietly()
        return _names(self)

    def __dir__(self) -> Iterable[str]:
        settle_quietly()
        return types.ModuleType.__dir__(self)


def _before_fork() -> None:
    _forking.append(_pending and _importing.acquire(timeout=_PATIENCE))


def _after_fork() -> None:
    if _forking.pop():
        _importing.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


class _Watcher:
    """What modules that are watched are to know of the types."""

    def lacks(self, module: str, name: str) -> bool:
        return False

    def force(self) -> None:
        settle()

    def force_quietly(self) -> None:
        settle_quietly()


_watcher = _Watcher()
