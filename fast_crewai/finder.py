"""The ``sys.meta_path`` finder: sees each CrewAI module load, and calls back at its end.

``start()`` is all that the start-up files run when CrewAI isn't imported, so this is the one file
they load; the engine follows with the first CrewAI module.

The finder asks the other finders directly. wrapt's calls ``importlib.util.find_spec``, which
imports the parent package while CPython holds the global import lock: two threads that import a
package and one of its hooked submodules then wait for each other for ever. So wrapt's finder
never serves a CrewAI name; its hooks are fired by our loader instead.
"""

import sys
from _thread import get_ident

# No `from __future__ import annotations` in this file: it would cost start-up 0.2 ms.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

    from fast_crewai.config import Settings

PACKAGES = frozenset({"crewai", "crewai_cli", "crewai_core", "crewai_files", "crewai_tools"})
_LIGHT = frozenset({"crewai_cli", "crewai_core"})  # `crewai --help` needs no more than these

failure: "str | None" = None  # why the accelerator could not be started, for `status`


class Finder:
    """Wraps the loader of every module below PACKAGES."""

    def __init__(self) -> None:
        self.enabled = False
        self.awaited: Mapping[str, ModuleSpec | None] = {}  # modules of others, where they are
        self._searching: set[tuple[int, str]] = set()

    def find_spec(
        self,
        fullname: str,
        path: "Sequence[str] | None" = None,
        target: "ModuleType | None" = None,
    ) -> "ModuleSpec | None":
        ours = fullname.startswith("crewai") and fullname.partition(".")[0] in PACKAGES
        if not ours and fullname not in self.awaited:
            return None
        search = (get_ident(), fullname)
        if not self.enabled or search in self._searching:  # another finder asks everybody
            return None
        self._searching.add(search)
        try:
            spec = self._ask_others(fullname, path, target)
        finally:
            self._searching.discard(search)
        fixed = self.awaited.get(fullname)
        if fixed is not None and (spec is None or spec.origin != fixed.origin):
            spec = fixed
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
        return spec

    def _ask_others(
        self, fullname: str, path: "Sequence[str] | None", target: "ModuleType | None"
    ) -> "ModuleSpec | None":
        wrapt_finder = getattr(sys.modules.get("wrapt.importer"), "ImportHookFinder", ())
        for finder in list(sys.meta_path):
            find_spec = getattr(finder, "find_spec", None)
            if finder is self or find_spec is None or isinstance(finder, wrapt_finder):
                continue
            spec: ModuleSpec | None = find_spec(fullname, path, target)
            if spec is not None:
                return spec
        return None


class _Loader:
    """Stands in for a loader until its module starts to execute."""

    def __init__(self, loader: "Any") -> None:
        self._loader = loader

    def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
        if "crewai" in sys.modules or spec.name.partition(".")[0] not in _LIGHT:
            _begin()
        _prepare(spec.name)
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: "ModuleType") -> None:
        spec = module.__spec__
        name = spec.name if spec is not None else module.__name__
        if spec is not None:
            spec.loader = self._loader
        module.__loader__ = self._loader
        pause, code = _execute(module, name, self._loader)
        done = False
        try:
            if code is None:
                self._loader.exec_module(module)
            else:
                bootstrap = sys.modules["_frozen_importlib"]
                bootstrap._call_with_frames_removed(exec, code, module.__dict__)
            _end(module, name)
            done = True
        finally:
            if pause is not None:
                pause.end(done)

    def __getattr__(self, name: str) -> "Any":
        return getattr(self._loader, name)


# CPython takes frames of this file name out of the tracebacks of failed imports.
for _function in (_Loader.exec_module, _Loader.create_module, Finder.find_spec, Finder._ask_others):
    _function.__code__ = _function.__code__.replace(
        co_filename="<frozen importlib._bootstrap_external>"
    )

_finder = Finder()


def start() -> None:
    """Put our finder first. Idempotent; never raises: start-up files call it."""
    _finder.enabled = True
    # Never removed and inserted again: an import running in another thread would skip a finder.
    if not sys.meta_path or sys.meta_path[0] is not _finder:
        sys.meta_path.insert(0, _finder)


def activate(settings: "Settings | None" = None) -> None:
    """``start()``, and load the engine now instead of with the first CrewAI module."""
    _activate(settings)
    from fast_crewai import engine

    engine.warn()  # at the end: under `-W error` it raises


def _activate(settings: "Settings | None") -> None:
    from fast_crewai import engine

    if engine.activate(settings):
        start()  # again first: wrapt may have just put its own finder before ours
    else:
        _finder.enabled = False


def stop() -> None:
    """Take our finder away and put every original back."""
    from fast_crewai import engine

    _finder.enabled = False
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not _finder]
    engine.deactivate()


def is_started() -> bool:
    """Whether CrewAI's modules are watched."""
    return _finder.enabled and _finder in sys.meta_path


def _begin() -> None:
    """Before a CrewAI module is created (no import lock is held): have the routes ready."""
    global failure
    engine = sys.modules.get("fast_crewai.engine")
    if engine is not None and engine.is_active():
        return
    try:
        _activate(None)
    except Exception as error:  # CrewAI loads as without us
        _finder.enabled = False
        failure = f"{type(error).__name__}: {error}"
        return
    try:  # noqa: SIM105
        sys.modules["fast_crewai.engine"].warn()
    except Warning:  # under `-W error`; an import of CrewAI's is no place to raise it
        pass


def _prepare(name: str) -> None:
    """Before a module is created (no import lock but its own is held)."""
    prepare = getattr(sys.modules.get("fast_crewai.engine"), "prepare", None)
    if prepare is not None:
        prepare(name)


def _execute(module: "ModuleType", name: str, loader: "Any") -> "tuple[Any, CodeType | None]":
    """A module is going to be executed: what is to be ended afterwards, and code of ours."""
    engine = sys.modules.get("fast_crewai.engine")
    begin = getattr(engine, "begin", None)
    if begin is None:
        return None, None
    code = engine.code_for(module, name, loader)  # type: ignore[union-attr]
    pause = begin(module, name)
    _finder.awaited = engine.awaited()  # type: ignore[union-attr]
    return pause, code


def _end(module: "ModuleType", name: str) -> None:
    """A CrewAI module has been executed."""
    end = getattr(sys.modules.get("fast_crewai.engine"), "end", None)
    if end is not None:
        end(module, name)
        _finder.awaited = sys.modules["fast_crewai.engine"].awaited()
    else:  # the engine is loaded with CrewAI itself
        notify = getattr(sys.modules.get("wrapt"), "notify_module_loaded", None)
        if notify is not None:
            notify(module)
