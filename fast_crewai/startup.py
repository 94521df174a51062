"""What turns the accelerator on: the ``.pth``/``.start`` files, ``sitecustomize``, ``install()``.

``start()`` is all that a Python start-up pays when CrewAI isn't imported, so it imports one small
module. Everything else is loaded by ``registry()`` when the first CrewAI module is.
"""

from __future__ import annotations

import sys
from _thread import RLock

from fast_crewai.hooks.finder import Finder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from fast_crewai.config import Settings
    from fast_crewai.hooks.registry import Registry

_lock = RLock()
_finder: Finder | None = None
_registry: Registry | None = None
_active = False  # the registry has been told what to apply
_hooked: set[str] = set()  # modules with a post-import hook of ours
_warned: list[str] = []
failure: str | None = None  # why the accelerator could not be started, for `status`


def start() -> None:
    """Put our finder in place. Idempotent; never raises."""
    global _finder, failure
    try:
        with _lock:
            if _finder is None:
                _finder = Finder(begin=_begin, end=_end)
            _finder.put_first()
    except BaseException as error:  # a start-up file must not stop the interpreter
        failure = f"{type(error).__name__}: {error}"


def registry() -> Registry:
    """The registry of this process, loaded at its first use; nothing is applied by that."""
    global _registry
    with _lock:
        if _registry is None:
            from fast_crewai import __version__
            from fast_crewai.hooks.registry import Registry

            _registry = Registry.load(__version__)
        return _registry


def activate(settings: Settings | None = None) -> None:
    """Apply the routes to the CrewAI modules that are loaded, and watch for the others."""
    global _active
    from fast_crewai import config

    with _lock:
        settings = settings or config.load()
        registry().configure(settings)
        _active = True
        if _finder is not None:
            _finder.enabled = settings.enabled
        if settings.enabled:
            _register_hooks()
        if not _warned:
            _warn(settings)


def loaded_registry() -> Registry | None:
    return _registry


def stop() -> None:
    """Put every original back and stop watching imports."""
    global _active
    with _lock:
        _active = False
        if _finder is not None:
            _finder.remove()
        if _registry is not None:
            _registry.uninstall()


def is_started() -> bool:
    return _finder is not None and _finder.enabled and _finder in sys.meta_path


def _begin() -> None:
    """Before the first CrewAI module is created: load the routes. Never raises."""
    global failure
    if _active or _finder is None:
        return
    try:
        activate()
    except Exception as error:
        _finder.enabled = False
        failure = f"{type(error).__name__}: {error}"


def _end(module: ModuleType, name: str) -> None:
    """A CrewAI module has been executed: fire wrapt's hooks (ours among them)."""
    wrapt = sys.modules.get("wrapt")
    if wrapt is not None:
        wrapt.notify_module_loaded(module)  # an exception of somebody's hook is theirs to raise
    if _registry is not None and _active:
        _registry.module_loaded(module, name)  # again: wrapt fires once, reloads come twice
        if name == "crewai":  # its last statements write into six other modules
            _registry.recheck()


def _register_hooks() -> None:
    import wrapt

    registry_ = registry()
    for name in registry_.modules():
        if name not in sys.modules and name not in _hooked:
            _hooked.add(name)
            wrapt.register_post_import_hook(registry_.module_loaded, name)
    if _finder is not None:
        _finder.put_first()  # wrapt may have just put its own finder before it


def _warn(settings: Settings) -> None:
    import warnings

    from fast_crewai.config import UnknownNameError

    _warned.extend(settings.warnings)
    known = registry().known_names()
    if unknown := settings.disabled - set(known):
        _warned.append(f"FAST_CREWAI_DISABLE: {UnknownNameError(unknown, known)}")
    for message in _warned:
        warnings.warn(f"fast_crewai: {message}", RuntimeWarning, stacklevel=2)
