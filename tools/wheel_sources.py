"""The Python sources in a wheel, and the digests of what they define."""

from __future__ import annotations

import ast
import re
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from fast_crewai.hooks import fingerprint
from fast_crewai.hooks.route import is_standard


class Wheel:
    """The Python sources in one wheel."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        self._names = set(self._zip.namelist())

    @lru_cache(maxsize=8)  # noqa: B019  (one short-lived object per version)
    def tree(self, module: str) -> ast.Module | None:
        name = self._file(module)
        return ast.parse(self._zip.read(name)) if name else None

    def package_of(self, module: str) -> str:
        """What the relative imports of a module start from."""
        name = self._file(module) or ""
        return module if name.endswith("/__init__.py") else module.rpartition(".")[0]

    def digest(self, target: str) -> str | None:
        """Digest of "module:Qual.name", or None if the wheel has no such thing."""
        module, _, path = target.partition(":")
        node: ast.AST | None = self.tree(module)
        for part in path.split("."):
            node = next((n for n in statements(node) if _defines(n, part)), None)
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            return fingerprint.digest_of_constant(_constant(node.value))
        if isinstance(node, ast.ImportFrom):
            return _imported(node, path)
        return fingerprint.digest_of_node(node) if node is not None else None

    def _file(self, module: str) -> str | None:
        base = module.replace(".", "/")
        names = (f"{base}/__init__.py", f"{base}.py")
        return next((name for name in names if name in self._names), None)


def statements(node: ast.AST | None, unseen: str = "") -> Iterator[ast.stmt]:
    """Statements of a body, those under if/try/with included.

    Of a class those for type checkers are not: they say what comes from elsewhere. Of a module they
    are, since pydantic's says so what its ``__getattr__`` finds.
    """
    if isinstance(node, ast.ClassDef):
        unseen = "TYPE_CHECKING"
    never = isinstance(node, ast.If) and ast.unparse(node.test) in (unseen, f"typing.{unseen}")
    for field in ("body", "orelse", "handlers", "finalbody"):
        for child in () if never and field == "body" else getattr(node, field, ()):
            yield child
            if isinstance(child, (ast.If, ast.Try, ast.With, ast.ExceptHandler)):
                yield from statements(child, unseen)


def _defines(node: ast.stmt, name: str) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return node.name == name
    if isinstance(node, ast.ImportFrom):
        return _imported(node, name) is not None
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(isinstance(t, ast.Name) and t.id == name for t in targets)


def _imported(node: ast.ImportFrom, name: str) -> str | None:
    home = node.module or ""
    if node.level or not is_standard(home):
        return None
    names = [alias.name for alias in node.names if (alias.asname or alias.name) == name]
    return fingerprint.digest_of_import(f"{home}:{names[0]}") if names else None


def _constant(value: ast.expr) -> Any:
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "re.compile":
        return re.compile(*(_constant(argument) for argument in value.args))
    if isinstance(value, ast.Attribute) and ast.unparse(value.value) == "re":
        return re.RegexFlag[value.attr]
    return ast.literal_eval(value)
