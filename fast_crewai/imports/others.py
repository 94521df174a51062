"""Others who have a say in how modules are imported."""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Collection
from importlib.machinery import PathFinder

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
    return None
