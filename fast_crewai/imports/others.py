"""Others who have a say in how modules are imported."""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

# They serve no module that is installed as files, or ask the finders that follow.
_USUAL = frozenset(
    {
        "_distutils_hack.DistutilsMetaFinder",
        "_frozen_importlib.BuiltinImporter",
        "_frozen_importlib.FrozenImporter",
        "fast_crewai.finder.Finder",
        "six._SixMetaPathImporter",
        "wrapt.importer.ImportHookFinder",
    }
)

_real: dict[str, Any] = {}  # modules that CrewAI has, though others stand in their place


def importer(packages: Collection[str]) -> str | None:
    """Who may do something else, or more, when one of these packages is imported; or None."""
    if type(builtins.__import__) is not types.BuiltinFunctionType:
        return "__import__ was replaced"
    for found in sys.meta_path:
        if found is PathFinder:
            break
        kind = found if isinstance(found, type) else type(found)
        if f"{kind.__module__}.{kind.__qualname__}" not in _USUAL:
            return f"imports are made by a {kind.__module__}.{kind.__qualname__}"
    else:
        return "Python's own finder is missing"
    hooks = getattr(sys.modules.get("wrapt.importer"), "_post_import_hooks", {})
    for name in sorted(map(str, hooks)):
        if hooks.get(name) and name.partition(".")[0] in packages:
            return f"somebody waits for the import of {name}"
    for name in _replaced(packages):
        return f"{name} was replaced in sys.modules"
    return None


@contextmanager
def set_aside(packages: Collection[str]) -> Iterator[None]:
    """Without modules that somebody has put in the place of these since CrewAI was imported.

    CrewAI would have had the real ones by then.
    """
    replaced = _replaced(packages)
    for name in replaced:
        sys.modules.pop(name, None)
        if name in _real:
            sys.modules[name] = _real[name]
    try:
        yield
    finally:
        _real.update((name, sys.modules[name]) for name in replaced if name in sys.modules)
        sys.modules.update(replaced)


def _replaced(packages: Collection[str]) -> dict[str, Any]:
    """With modules of such a package's that are no real ones either."""
    loaded = sys.modules.copy()
    tops = {name for name in packages if name in loaded and not _is_loaded_as(loaded[name], name)}
    return {
        name: module
        for name, module in (loaded.items() if tops else ())
        if name.partition(".")[0] in tops and not _is_loaded_as(module, name)
    }


def _is_loaded_as(module: Any, name: str) -> bool:
    spec = getattr(module, "__dict__", {}).get("__spec__")
    return type(spec) is ModuleSpec and spec.name == name
