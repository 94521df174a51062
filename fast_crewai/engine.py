"""The one registry of this process: loaded with the first CrewAI module, told what to apply."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

from fast_crewai import __version__, config
from fast_crewai.hooks import store
from fast_crewai.hooks.registry import Registry
from fast_crewai.imports import (
    collector,
    deferred,
    lance,
    lazy,
    pending,
    reexports,
    schemas,
    set_aside,
    texts,
)

_lock = threading.RLock()
_registry: Registry | None = None
_active = False  # the registry has been told what to apply
_hooked: set[str] = set()  # modules with a post-import hook of ours
_warned: set[str] = set()
_awaited: tuple[object, Mapping[str, ModuleSpec | None]] = (None, {})


def _after_fork() -> None:
    """In a forked child: a thread that held a lock of ours doesn't exist here."""
    global _lock
    _lock = threading.RLock()
    if _registry is not None:
        _registry.forget_lock()
    collector.resume()
    texts.end()
    lance.end()
    deferred.forget_lock()
    pending.forget_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def registry() -> Registry:
    """The registry, loaded at its first use; nothing is applied by that."""
    global _registry
    with _lock:
        if _registry is None:
            _registry = Registry.load(__version__)
        return _registry


def activate(settings: config.Settings | None = None) -> bool:
    """Apply the routes to the CrewAI modules that are loaded, and have the others' ready.

    Returns False when the user has switched everything off.
    """
    global _active
    with _lock:
        settings = settings or config.load()
        registry().configure(settings)
        _active = True
        if settings.enabled:
            _register_hooks()
        return settings.enabled


def deactivate() -> None:
    """Put every original back."""
    global _active
    with _lock:
        _active = False
        lazy.force_quietly()
        deferred.force_quietly()
        reexports.settle_quietly()
        schemas.build_all()
        set_aside.end()
        texts.end()
        lance.end()
        if _registry is not None:
            _registry.uninstall()


def prepare(name: str) -> None:
    """A CrewAI module is about to be created: what must be imported before it."""
    if _active:
        deferred.prepare(name)


class _Ends:
    """What must be ended when ``crewai``, or its provider, has been executed."""

    def __init__(self, *ends: Callable[[bool], None] | None) -> None:
        self._ends = ends

    def end(self, done: bool) -> None:
        with contextlib.ExitStack() as stack:  # each of them, also after an interrupt in one
            for end in reversed(self._ends):
                if end is not None:
                    stack.callback(end, done)


def begin(module: ModuleType, name: str) -> _Ends | None:
    """A CrewAI module is about to be executed: what must be ended when it has been."""
    deferred.begin(name)
    schemas.begin()
    if name == lance.PACKAGE and _registry is not None and _active:
        window = lance.begin() if _registry.wants(lance.LANCE) else None
        return _Ends(window.end) if window is not None else None
    if name not in ("crewai", lazy.SOURCE) or _registry is None or not _active:
        return None
    if name == "crewai" and _registry.wants(lazy.LAZY):
        lazy.plan(module)
    if name == "crewai" and _registry.wants(deferred.DEFERRED):
        deferred.plan(module)
    compiled = texts.begin() if _registry.wants(texts.TEXTS) else None
    pause = collector.pause() if _registry.wants(collector.GC) else None
    planned = name == "crewai" and _registry.wants(schemas.SCHEMAS)
    if planned:
        schemas.plan(module)
    return _Ends(
        schemas.ended if planned else None,
        compiled.end if compiled is not None else None,
        pause.end if pause is not None else None,
    )


def code_for(module: ModuleType, name: str, loader: object) -> CodeType | None:
    """The code to execute a CrewAI module with, if it isn't what its loader has."""
    if not _active:
        return None
    if name in reexports.USERS and _registry is not None and _registry.wants(reexports.REEXPORTS):
        reexports.plan(module.__spec__ if name == "openai" else lazy.awaited().get("openai"))
    return (
        lazy.code_for(module, name, loader)
        or deferred.code_for(module, name, loader)
        or reexports.code_for(module, name, loader)
    )


def awaited() -> Mapping[str, ModuleSpec | None]:
    """Modules of others whose end we must see, too → where they are, if that is fixed."""
    global _awaited
    every = lazy.awaited(), reexports.awaited(), deferred.awaited(), lance.awaited()
    key = tuple(number for names in every for number in (id(names), len(names)))
    if _awaited[0] != key:
        _awaited = key, {n: spec for names in every for n, spec in names.items()}
    return _awaited[1]


def end(module: ModuleType, name: str) -> None:
    """A CrewAI module has been executed: fire wrapt's hooks (ours among them)."""
    notify = getattr(sys.modules.get("wrapt"), "notify_module_loaded", None)  # may be half loaded
    if notify is not None:
        notify(module)  # an exception of somebody's hook is theirs to raise
    if _registry is not None and _active:
        _registry.module_loaded(module, name)  # again: wrapt fires once, reloads come twice
        if name == "crewai":  # its last statements write into other modules
            _registry.recheck()
    lazy.executed(name)
    deferred.executed(name)
    reexports.executed(name)
    lance.executed(name)
    if name in ("crewai", lazy.SOURCE):
        store.save()


def is_active() -> bool:
    """Whether ``activate`` has been called (and ``deactivate`` not since)."""
    return _active


def is_wanted() -> bool:
    """Whether the user hasn't switched everything off, for good or for a while."""
    settings = _registry.settings if _registry is not None and _active else config.load()
    return settings.enabled and not (_registry is not None and _registry.paused)


def _register_hooks() -> None:
    import wrapt

    for name in registry().modules():
        if name not in sys.modules and name not in _hooked:
            _hooked.add(name)
            wrapt.register_post_import_hook(registry().module_loaded, name)


def warn() -> None:
    """Say what in the user's settings is not understood, once."""
    settings = registry().settings
    messages = list(settings.warnings)
    known = registry().known_names()
    if unknown := settings.disabled - set(known):
        messages.append(f"FAST_CREWAI_DISABLE: {config.UnknownNameError(unknown, known)}")
    if unknown := settings.fixes - set(registry().bugs):
        error = config.UnknownNameError(unknown, registry().bugs, "fix")
        messages.append(f"FAST_CREWAI_FIX: {error}")
    for message in messages:
        if message not in _warned:
            _warned.add(message)
            warnings.warn(f"fast_crewai: {message}", RuntimeWarning, stacklevel=2)
