"""Rust or Python: the choice that every public class offers as ``use_rust``."""

from __future__ import annotations

from typing import Any

from fast_crewai import __version__, config
from fast_crewai.errors import NativeUnavailableError


def find() -> tuple[Any, str]:
    """(the native module, "") or (None, why there is none)."""
    try:
        from fast_crewai import _core
    except Exception as error:
        return None, f"fast_crewai._core can't be loaded: {error}"
    if _core.__version__ != __version__:
        return None, f"fast_crewai._core is of version {_core.__version__}, not {__version__}"
    return _core, ""


def choose(use_rust: bool | None, name: str, component: str = "") -> Any:
    """``name`` of the native module, or None for the Python twin.

    ``use_rust``: False never takes Rust; None takes it if it is there and the user hasn't
    switched the component off (``FAST_CREWAI_DISABLE``, ``FAST_CREWAI_MEMORY=false`` …). Raises
    NativeUnavailableError for True if it isn't there.
    """
    if use_rust is False:
        return None
    if use_rust is None and component and config.load().why_disabled(component, name):
        return None
    module, reason = find()
    found = getattr(module, name, None)
    if found is None and use_rust:
        reason = reason or f"fast_crewai._core was built without {name}"
        raise NativeUnavailableError(f"use_rust=True: {reason}; reinstall fast-crewai")
    return found
