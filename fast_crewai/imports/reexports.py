"""openai's types are imported one by one, when somebody asks for them.

Importing ``openai`` imports ``openai.types``, whose packages do nothing but pass on the names of
some 730 modules of definitions; an agent's LLM needs 200. Here these packages look for a name when
it is asked for. That they only pass on, and that the modules only define, is found in their source
(``reexport_proof``), once an installation. Whoever looks at a whole package, or replaces anything
that its modules take names from, has all imported first that would have been imported by then.

So it is with the modules for streams and parsed answers, which ``openai`` and CrewAI's provider
import for names that most programs don't use: these two lack such names (``lending``).
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import sys
import threading
import types
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fast_crewai import config
from fast_crewai.imports import forks, journal, lazy, others, proof, store, watch
from fast_crewai.imports.feature import ACTIVE, NOTHING, WAITING, Feature
from fast_crewai.imports.lending import Lender

if TYPE_CHECKING:
    from fast_crewai.imports.lending_proof import User
    from fast_crewai.imports.reexport_proof import Package

REEXPORTS = Feature(
    "imports.openai",
    "openai.types",
    "openai imports 730 modules of types, of which an agent's LLM needs few",
)

_ROOT = "openai.types"
_LIBRARY = "openai.lib"
_ALSO = ("_parsing", "_pydantic", "_tools", "streaming")  # of its modules
USERS = frozenset({"openai", lazy.SOURCE})
_MAKERS = ("leaving", "lending_proof", "reexport_proof")
_BASE = ("openai", "BaseModel")  # who has it can change what classes of types become
_BUILD = "DEFER_PYDANTIC_BUILD"  # if it is set, a definition may do more than define

_EMPTY = frozenset(  # what a module has before its first statement
    {"__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__"}
    | {"__package__", "__path__", "__spec__"}
)

_DICT: Any = vars(types.ModuleType)["__dict__"]

_packages: dict[str, Package] = {}
_users: dict[str, User] = {}
_outside: tuple[str, ...] = ()
_also_outside: tuple[str, ...] = ()
_loggers: tuple[str, ...] = ()
_awaited: dict[str, ModuleSpec | None] = {}
_pending = False
_made: dict[str, types.ModuleType] = {}  # packages that look for names when they are asked
_lenders: dict[str, Lender] = {}  # modules that lack names
_expected: dict[str, None] = {}  # modules that would have been imported by now, in this order

_settling = threading.RLock()


def awaited() -> Mapping[str, ModuleSpec | None]:
    """Modules of others whose import must be seen."""
    return _awaited if _pending else NOTHING


def plan(spec: ModuleSpec | None) -> None:
    """Before ``openai``, or what needs it, is executed: decide what waits. Never raises."""
    global _pending
    if REEXPORTS.state != WAITING or _pending or spec is None:
        return None
    try:
        problem = _prepare(Path(str(spec.origin)).parent)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    if problem is not None:
        return REEXPORTS.turn_off(problem)
    _awaited.update(dict.fromkeys((*_packages, *lazy.FRAMEWORKS)))
    forks.expect(("openai", lazy.SOURCE))
    _pending = True
    return None


def _prepare(folder: Path) -> str | None:
    """Why nothing waits; None: it does."""
    global _outside, _also_outside, _loggers
    from fast_crewai.imports import lending_proof, reexport_proof  # only openai's users need them

    loaded = [name for name in sys.modules if name in lazy.FRAMEWORKS or name.startswith("openai.")]
    if loaded:
        return f"{min(loaded)} is imported already"
    if _BUILD in config.environment():
        return f"{_BUILD} is set"
    problem = others.importer(("openai",))
    cache = config.cache_folder()
    if problem is not None or cache is None:
        return problem or "there is no cache folder"
    users = {"openai": folder / "__init__.py", lazy.SOURCE: _provider()}
    file = cache / "imports" / f"{_key(folder, users[lazy.SOURCE])}-types"
    stored = store.read(file)
    if stored is None:
        if cache.exists() and not os.access(cache, os.W_OK):
            return "the cache folder can't be written"  # each run would parse all files
        stored = _found(folder, users)
        store.write(file, stored)
    packages, _outside, _also_outside, _loggers, users = stored
    _packages.update((name, reexport_proof.Package(*parts)) for name, *parts in packages)
    _users.update((name, lending_proof.User(*parts)) for name, *parts in users)
    return None


def _provider() -> Path:
    """CrewAI's module for openai."""
    folder = Path(sys.modules["crewai"].__path__[0])
    return folder.joinpath(*lazy.SOURCE.split(".")[1:]).with_suffix(".py")


def _key(folder: Path, provider: Path) -> str:
    """A digest of all that is found in the source depends on."""
    ours = [(Path(__file__).parent / f"{name}.py").stat() for name in _MAKERS]
    made = [(stat.st_mtime_ns, stat.st_size) for stat in (*ours, provider.stat())]
    key = hashlib.sha256(f"{sys.version} {folder} {provider} {made}".encode())
    key.update(proof.state(folder).encode())
    for part in ("types", "lib"):
        for state in _states(str(folder / part)):
            key.update(state.encode())
    return key.hexdigest()[:32]


def _states(folder: str) -> Iterator[str]:
    """As ``proof.state``, of the folder and all that are below."""
    files, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name != "__pycache__":
                stat = entry.stat()
                files.append((name, stat.st_mtime_ns, stat.st_size))
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    yield f"{folder} {sorted(files)}"
    for path in sorted(folders):
        yield from _states(path)


def _found(folder: Path, users: Mapping[str, Path]) -> tuple[Any, ...]:
    """What the source says, to be stored. Raises ReexportError, OSError, SyntaxError."""
    from fast_crewai.imports import reexport_proof

    lib = folder / "lib"
    also = {_LIBRARY: lib / "__init__.py"}
    for name in _ALSO:
        path = lib / name
        also[f"{_LIBRARY}.{name}"] = path if path.is_dir() else path.with_suffix(".py")
    try:
        tree = reexport_proof.prove(_ROOT, folder / "types", also, users)
    except (reexport_proof.ReexportError, OSError):  # another version's: the types only
        tree = reexport_proof.prove(_ROOT, folder / "types")
    packages = [(name, *parts) for name, parts in tree.packages.items()]
    named = [(name, *parts) for name, parts in tree.users.items()]
    return packages, tree.outside, tree.also_outside, tree.loggers, named


def code_for(module: types.ModuleType, name: str, loader: object) -> types.CodeType | None:
    """The code to execute a module with, instead of what the loader would take."""
    known = (_packages.get(name) or _users.get(name)) if _pending else None
    if known is None or type(loader) is not SourceFileLoader or loader.path != known.file:
        return None
    if name in _made or name in _lenders:
        return None
    if type(module) is not types.ModuleType or vars(module).keys() - _EMPTY:
        return None  # a reload
    if not _made and not _lenders:
        lazy.asked_for_all.append(settle_quietly)
        REEXPORTS.used()
    if name in _users:
        _lenders[name] = Lender(module, _users[name])
    else:
        if name == _ROOT:
            _need((*_outside, "pydantic", watch.CLOCK))
        elif name == _LIBRARY:
            _need(_also_outside)
            for logger in _loggers:
                logging.getLogger(logger)
        _made[name] = module
    _expected.update(dict.fromkeys(known.closure))
    return known.code


def _need(names: Iterable[str]) -> None:
    """Modules that those which wait take names from: they are there before, and are watched."""
    for name in names:
        importlib.import_module(name)
    for name in names:
        watch.add(_watcher, name)


def executed(name: str) -> None:
    """A module has been executed: one of the packages, or one that may replace anything."""
    if name in lazy.FRAMEWORKS:
        settle_quietly()
    elif name in USERS and _pending:
        if name == _BASE[0]:
            watch.add(_watcher, name, shell=_BASE[1])
        if name in _lenders:
            watch.add(_watcher, name)
            _lenders[name].executed()
    elif name == "crewai":
        if REEXPORTS.state == WAITING and "openai" in sys.modules:
            REEXPORTS.turn_off("openai is imported with CrewAI")
        elif REEXPORTS.state == WAITING and lazy.LAZY.state != ACTIVE:
            REEXPORTS.turn_off("needs imports.lazy")  # nobody watches for openai
    elif _pending and name in _made and type(_made[name]) is types.ModuleType:
        _made[name].__class__ = Reexporting


def settle() -> None:
    """Import all that would have been imported by now. Raises what that raises."""
    with _settling:
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
    for lender in _lenders.values():
        lender.fill()
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
        return importlib.import_module(child)
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


def _after_fork() -> None:
    global _settling
    _settling = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Watcher:
    """What modules that are watched are to know of the types."""

    def lacks(self, module: str, name: str) -> bool:
        return False

    def force(self) -> None:
        settle()

    def force_quietly(self) -> None:
        settle_quietly()


_watcher = _Watcher()
