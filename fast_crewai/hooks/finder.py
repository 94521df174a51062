"""The ``sys.meta_path`` finder: sees each CrewAI module load, and calls back at its end.

It asks the other finders directly. wrapt's finder calls ``importlib.util.find_spec``, which
imports the parent package while CPython holds the global import lock: two threads that import a
package and one of its hooked submodules then wait for each other for ever. So wrapt's finder
never serves a CrewAI name; its hooks are fired by our loader instead.
"""

from __future__ import annotations

import sys
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would cost more than this whole module
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from typing import Any

PACKAGES = frozenset({"crewai", "crewai_cli", "crewai_core", "crewai_files", "crewai_tools"})


class Finder:
    """Wraps the loader of every module below PACKAGES.

    ``begin()`` is called before the first such module is created, ``end(module, name)`` when one
    has been executed; neither may raise.
    """

    def __init__(self, begin: Callable[[], None], end: Callable[[ModuleType, str], None]) -> None:
        self.begin = begin
        self.end = end
        self.enabled = True
        self._searching: set[tuple[int, str]] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith("crewai") or fullname.partition(".")[0] not in PACKAGES:
            return None
        if not self.enabled:
            return None
        search = (get_ident(), fullname)
        if search in self._searching:  # another finder asks everybody, us included
            return None
        self._searching.add(search)
        try:
            spec = self._ask_others(fullname, path, target)
        finally:
            self._searching.discard(search)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader, self)  # type: ignore[assignment]
        return spec

    def _ask_others(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        wrapt_finder = getattr(sys.modules.get("wrapt.importer"), "ImportHookFinder", ())
        for finder in list(sys.meta_path):
            find_spec = getattr(finder, "find_spec", None)
            if finder is self or find_spec is None or isinstance(finder, wrapt_finder):
                continue
            spec: ModuleSpec | None = find_spec(fullname, path, target)
            if spec is not None:
                return spec
        return None

    def put_first(self) -> None:
        self.enabled = True
        # Never removed and inserted again: an import running in another thread would skip a finder.
        if not sys.meta_path or sys.meta_path[0] is not self:
            sys.meta_path.insert(0, self)

    def remove(self) -> None:
        self.enabled = False
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]


class _Loader:
    """Stands in for a loader until its module starts to execute."""

    def __init__(self, loader: Any, finder: Finder) -> None:
        self._loader = loader
        self._finder = finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        # Here no import lock is held and the module is not in sys.modules yet.
        self._finder.begin()
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        name = spec.name if spec is not None else module.__name__
        if spec is not None:
            spec.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._finder.end(module, name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def _as_import_machinery(code: CodeType) -> CodeType:
    # CPython removes frames of this file name from the tracebacks of failed imports.
    return code.replace(co_filename="<frozen importlib._bootstrap_external>")


for _function in (_Loader.exec_module, _Loader.create_module, Finder.find_spec, Finder._ask_others):
    _function.__code__ = _as_import_machinery(_function.__code__)
