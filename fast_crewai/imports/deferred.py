"""What CrewAI's manifest allows is left out of its import, until somebody could notice.

A module of CrewAI's is compiled without the imports that ``manifest`` names; whoever asks for one
of those names gets it, and all that was left out is imported then, in the order in which it would
have been. So it is before anything could make a difference: see ``WATCHED``, ``FRAMEWORKS``.

It takes a first run in the same environment, which imports everything, compares it with what is
assumed, and writes the transformed code to the user's cache folder.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
import threading
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

from fast_crewai.imports import (
    asking,
    effects,
    environ,
    forks,
    journal,
    lazy,
    leaving,
    manifest,
    others,
    portion,
    proving,
    settings,
    shell,
    watch,
)
from fast_crewai.imports.feature import ACTIVE, NOTHING, WAITING, Feature
from fast_crewai.imports.lazy import FRAMEWORKS
from fast_crewai.imports.portion import PATIENCE, LeftOut, Part
from fast_crewai.imports.portions import PORTIONS

DEFERRED = Feature(
    "imports.deferred",
    "crewai.rag:set_rag_config",
    "chromadb and CrewAI's code for it are a quarter of what remains of the import",
)

_EMPTY = frozenset(  # what a module has before its first statement
    {"__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__"}
    | {"__package__", "__path__", "__spec__"}
)


@dataclass
class _State:
    planned: dict[str, Any] = field(default_factory=dict)  # module → file and code; until executed
    filtering: types.CodeType | None = None
    awaited: dict[str, ModuleSpec | None] = field(default_factory=dict)
    loggers: tuple[str, ...] = ()
    variables: frozenset[str] = frozenset()  # of the environment, read by the import
    usual: str = ""  # digest of chromadb's settings as they were in the first run
    mark: Path = field(default_factory=Path)  # where all that is stored
    inputs: settings.Inputs = field(default_factory=settings.Inputs)  # of chromadb's settings
    kept: settings.Kept | None = None  # while they are read
    parts: list[Part] = field(default_factory=list)
    portions: list[LeftOut] = field(default_factory=list)
    pending: bool = False  # something is left out, and not asked for yet
    at_once: dict[str, str] = field(default_factory=dict)  # portions that aren't left out, and why
    shell: type | None = None
    lock: Any = field(default_factory=threading.RLock)
    seen: set[str] = field(default_factory=set)  # modules imported, though they were left out
    forcing: int = 0  # the thread that imports what was left out
    recorder: effects.Recorder | None = None  # of a first run
    recorders: dict[str, effects.Recorder] = field(default_factory=dict)  # the same, of portions
    ending: Callable[[effects.Recorder], None] | None = None


_state = _State()


def awaited() -> Mapping[str, ModuleSpec | None]:
    """Modules that aren't CrewAI's whose import must be seen → where they are, if that is fixed."""
    portions = any(left_out.pending for left_out in _state.portions)
    needed = _state.pending or _state.planned or _state.recorders or portions
    return _state.awaited if needed else NOTHING


# ------------------------------------------------------------------------------ before the import


def plan(package: types.ModuleType) -> None:
    """Before ``crewai`` is executed: decide whether anything is left out. Never raises."""
    global _state
    if _state.parts or _state.portions:  # CrewAI's modules are made anew, or the first try failed
        force_quietly()
        for left_out in _state.portions:
            left_out.ended = True
        return DEFERRED.turn_off("CrewAI is imported a second time")
    _state = _State()
    try:
        problem = _prepare(Path(package.__path__[0]))
        if problem is not None:
            DEFERRED.turn_off(problem)
    except Exception as error:
        _state = _State()
        DEFERRED.turn_off(f"{type(error).__name__}: {error}")


def _prepare(folder: Path) -> str | None:
    """Why nothing is left out; None: it is."""
    found = proving.look(folder)
    if found.problem is None and found.stored is None:
        _state.recorder = effects.Recorder()
        recorders = _state.recorders = {name: effects.Recorder() for name in PORTIONS}
        _state.awaited.update(dict.fromkeys(_MEASURED))
        _state.ending = lambda recorder: proving.note(found, recorder, recorders, _state.inputs)
    if found.problem is None and (found.stored is None or lazy.is_first_run()):
        return "first run here: what is left out next time is imported once"
    if found.problem is None and found.stored is not None:
        _use(found.stored, found.specs)
        _state.mark = found.mark
    return found.problem


def _use(stored: Mapping[str, Any], specs: dict[str, ModuleSpec]) -> None:
    _state.planned = dict(stored["modules"])
    _state.filtering = stored["filtering"]
    _state.loggers = stored["loggers"]
    _state.variables = stored["variables"]
    _state.usual = stored["settings"]
    _state.awaited.update(dict.fromkeys((*FRAMEWORKS, *manifest.LIBRARIES)))
    _state.portions, _state.at_once = portion.of(stored["portions"], DEFERRED.name, tell)
    for left_out in _state.portions:
        _state.awaited.update(dict.fromkeys(left_out.what.libraries))
    _state.awaited.update(specs)
    _state.awaited[manifest.SHELL[0]] = None
    forks.expect((*manifest.DEFERRED, *manifest.PACKAGES))
    for left_out in _state.portions:
        forks.expect((*left_out.what.measured, *left_out.what.libraries))


# ------------------------------------------------------------------------------ during the import


def begin(name: str) -> None:
    """A module of CrewAI's is about to be executed. Never raises."""
    _measure(name, effects.Recorder.begin)
    for left_out in _state.portions:
        left_out.begin(name)
    if name in manifest.PACKAGES and _state.pending:
        _keep_settings()
    if _state.recorder is not None and name in manifest.LEFT:
        try:
            if name == manifest.EARLY:
                _import_all(manifest.BEFORE)
                _state.inputs = settings.read()
            _state.recorder.begin()
        except Exception as error:  # a package that isn't here; or no working directory
            _give_up(error)


def _keep_settings() -> None:
    """chromadb is about to be imported, and reads what it would have read without us."""
    if _state.kept is None:
        if settings.digest(settings.read(), _state.variables) == _state.usual:
            return
        _state.kept = settings.Kept(_state.inputs)
    _state.kept.begin()


def _measure(name: str, what: Callable[[effects.Recorder], None]) -> None:
    """On a first run: note what importing a portion's module changes."""
    if not _state.recorders or name not in _MEASURED:
        return
    try:
        for key, recorder in _state.recorders.items():
            if name in proving.measured(PORTIONS[key]):
                what(recorder)
    except Exception as error:  # no working directory
        _give_up(error)


def _give_up(error: Exception) -> None:
    _state.recorder, _state.recorders = None, {}
    DEFERRED.turn_off(f"{type(error).__name__}: {error}")


def prepare(name: str) -> None:
    """A module of CrewAI's is about to be created: if it was left out, chromadb comes first."""
    if _state.pending and name in manifest.DEFERRED:
        _import_packages()


def _import_packages() -> None:
    """Import the packages as such before any of their modules. Never raises.

    One thread that imports ``a`` and another that imports ``a.b`` first can lock each other out:
    Python raises a deadlock's error then. Without us this can't be, for both are imported.
    """
    for name in manifest.PACKAGES:
        try:
            importlib.import_module(name)
        except Exception:  # whoever imports it next is told
            return


def code_for(module: types.ModuleType, name: str, loader: object) -> types.CodeType | None:
    """The code to execute a module with, instead of what the loader would take."""
    for left_out in _state.portions:
        if name in left_out.planned and type(loader) is SourceFileLoader:
            if vars(module).keys() - _EMPTY:
                return None  # a reload
            shorter = left_out.code_for(module, name, loader.path)
            if shorter is not None:
                DEFERRED.used()
            return shorter
    file, *planned = _state.planned.get(name, (None,))
    if not planned or type(loader) is not SourceFileLoader or loader.path != file:
        return None
    namespace = vars(module)
    if namespace.keys() - _EMPTY:
        return None  # a reload
    code: types.CodeType = planned[0]
    if name == manifest.SHELL[0]:
        waiting = _state.shell
        if waiting is None or not shell.is_waiting(waiting):
            return None
        namespace[proving.ADOPT] = lambda real: shell.adopt(waiting, real)
    elif name == manifest.FILTERING:
        return code if _state.filtering is None else None  # the calls have been made
    elif name == manifest.EARLY:
        if _state.parts or not _has_usual_settings():
            return None
        namespace[leaving.EARLY] = _early
        _add_part(name, namespace, planned)
        _leave_out()
    elif not _state.pending:
        return None
    elif name == manifest.SHELL_USER:
        _state.shell = shell.make(*manifest.SHELL, _load_shell)
        namespace[manifest.SHELL[1]] = _state.shell
    else:
        _add_part(name, namespace, planned)
    return code


def _has_usual_settings() -> bool:
    """Whether chromadb would read what it has read in the first run: else it may refuse it."""
    _state.inputs = settings.read()
    if settings.digest(_state.inputs, _state.variables) == _state.usual:
        return True
    for left_out in _state.portions:
        left_out.force_quietly()
        left_out.ended = True
    DEFERRED.turn_off("chromadb's settings are others than in the first run")
    with contextlib.suppress(OSError):  # the next run is a first one
        _state.mark.unlink()
    return False


def _add_part(name: str, namespace: dict[str, Any], planned: list[Any]) -> None:
    part = Part(name, namespace, leaving.Left(*planned))
    namespace[leaving.HELPER] = lambda asked: portion.value(part, asked, force)
    _state.parts.append(part)


def _load_shell() -> None:
    _import_packages()
    importlib.import_module(manifest.SHELL[0])
    force()


def _leave_out() -> None:
    _state.pending = True
    DEFERRED.used()
    for name in _state.loggers:
        logging.getLogger(name)
    environ.add(_reads, _watcher.force_quietly)
    _watch_all()


def _import_all(names: Iterable[str]) -> None:
    for name in names:
        importlib.import_module(name)


def _early() -> None:
    """Where the first name would be imported: all that isn't left out."""
    later = {name for left_out in _state.portions for name in left_out.what.measured}
    for name in manifest.BEFORE:
        if name not in later:
            importlib.import_module(name)
        for left_out in _state.portions:
            if name in left_out.what.measured:
                left_out.filter()
    _import_all(manifest.EAGER)
    calls, _state.filtering = _state.filtering, None
    if calls is not None:
        exec(calls, {"__name__": manifest.FILTERING})


def executed(name: str) -> None:
    """A module has been executed."""
    if _state.recorder is not None and name in manifest.LEFT:
        try:
            _state.recorder.end()
        except Exception as error:
            _give_up(error)
    _measure(name, effects.Recorder.end)
    forcing = _state.forcing == threading.get_ident()  # then there is more to come
    if name in manifest.PACKAGES and _state.kept is not None and not forcing:
        _state.kept.end()
    for part in _state.parts:
        if part.name == name:
            asking.answer(part.namespace, part.left.annotations, _asker())
    for left_out in _state.portions:
        left_out.executed(name)
    if name == "crewai":
        _end()
    elif name in FRAMEWORKS:
        force_quietly()
    elif not _state.pending:
        return
    elif name in _WATCHED:
        _watch(name)
        if name in manifest.DEFERRED:
            _state.seen.add(name)
            if len(_state.seen) == len(manifest.DEFERRED):  # somebody has imported all of it
                _watcher.force_quietly()


def _end() -> None:
    ending, _state.ending = _state.ending, None
    if DEFERRED.state == WAITING:
        DEFERRED.turn_off("crewai.rag was not loaded from its file as usual")
    if not _state.pending:
        _state.planned.clear()
    _watch_all()
    for left_out in _state.portions:
        left_out.ended = True
        left_out.watch_all()
    tell()
    recorder, _state.recorder = _state.recorder, None
    _state.recorders = {}
    if ending is not None and recorder is not None:
        try:
            ending(recorder)
        except Exception as error:
            DEFERRED.turn_off(f"{type(error).__name__}: {error}")


# ------------------------------------------------------------------------------ afterwards


def force(wait: float = -1) -> None:
    """Import what was left out, if it hasn't been asked for yet. Raises what that raises.

    One thread does it, without any import lock of what is left out: another order among threads
    could show one of them a module that is half executed.
    """
    state, thread = _state, threading.get_ident()
    if not state.pending or state.forcing == thread or not state.lock.acquire(timeout=wait):
        return
    try:
        if state.pending:
            state.forcing = thread
            journal.note(DEFERRED.name)
            _keep_settings()
            with others.set_aside(manifest.PACKAGES):
                _import_rest(state)
    finally:
        if state.kept is not None:
            state.kept.end()
        state.forcing = 0
        state.lock.release()


def _import_rest(state: _State) -> None:
    _import_packages()
    for part in list(state.parts):
        part.execute()
    if state.shell is not None:
        importlib.import_module(manifest.SHELL[0])
    state.pending = False
    tell()
    environ.remove(_reads)
    base = _base()
    if base is not None and type(vars(base).get("__subclasses__")) is watch.Subclasses:
        del base.__subclasses__
    watch.remove(_watcher)
    for part in state.parts:
        asking.answer(part.namespace, part.left.annotations, None)


def tell() -> None:
    """What isn't left out, or not any more, is said by the feature's reason."""
    if DEFERRED.state != ACTIVE:
        return
    since = [part.name for part in _state.portions if part.parts and not part.pending]
    if _state.parts and not _state.pending:
        since.insert(0, manifest.PACKAGES[0])
    told = [f"imported since: {', '.join(since)}"] if since else []
    told += [f"{name} is imported at once: {why}" for name, why in _state.at_once.items()]
    DEFERRED.reason = "; ".join(told)


def force_quietly() -> None:
    """All of it, but whoever asks is told what is wrong; an import is never waited for long."""
    with contextlib.suppress(Exception):
        force(wait=PATIENCE)
    for left_out in _state.portions:
        left_out.force_quietly()


def forget_lock() -> None:
    """In a fork: a thread that held the lock doesn't exist here."""
    _state.lock, _state.forcing = threading.RLock(), 0
    for left_out in _state.portions:
        left_out.forget_lock()


def _asker() -> Callable[[], None] | None:
    return force if _state.pending else None


class _Watcher:
    def lacks(self, module: str, name: str) -> bool:
        if not _state.pending:
            return False
        if f"{module}.{name}" in manifest.DEFERRED or name == "__all__":
            return True
        if module == manifest.BASE[0]:  # pydantic keeps it there for what is left out
            return name.startswith(f"{manifest.BASE[1]}[")
        return any(part.name == module and name in part.left.names for part in _state.parts)

    def force(self) -> None:
        force()

    def force_quietly(self) -> None:
        with contextlib.suppress(Exception):
            force(wait=PATIENCE)


_watcher = _Watcher()
lazy.asked_for_all.append(force_quietly)
_MEASURED = frozenset(name for what in PORTIONS.values() for name in proving.measured(what))
_WATCHED = manifest.WATCHED | manifest.LIBRARIES | {*manifest.LEFT, *manifest.DEFERRED, watch.CLOCK}
_LACKING = frozenset(
    {*manifest.LEFT, *(name.rpartition(".")[0] for name in manifest.DEFERRED)}
    | {manifest.BASE[0], manifest.SHELL_USER}
)


def _watch(name: str) -> None:
    shown = manifest.SHELL[1] if name == manifest.SHELL_USER else ""
    watch.add(_watcher, name, name in _LACKING, shown)
    base = _base() if name == manifest.BASE[0] else None
    if base is not None and "__subclasses__" not in vars(base):
        base.__subclasses__ = watch.Subclasses(_watcher)  # type: ignore[method-assign, assignment]


def _base() -> type | None:
    """The class of CrewAI's that has more subclasses afterwards."""
    found = getattr(sys.modules.get(manifest.BASE[0]), manifest.BASE[1], None)
    return found if isinstance(found, type) else None


def _reads(key: object) -> bool:
    if not _state.pending or type(key) is not str:
        return False
    name = key.upper()
    return name in _state.variables | manifest.HOME or name.startswith(manifest.VARIABLES)


def _watch_all() -> None:
    if _state.pending:
        for name in _WATCHED | _LACKING:
            _watch(name)
