"""A module of CrewAI's, compiled from its own source without one of its imports.

Lines, columns, file and everything else are what Python's compiler makes of the same source.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from types import CodeType


class RewritingError(Exception):
    """The source is not what was expected."""


def without_import(
    source: bytes, filename: str, imported: tuple[str, str], helper: str
) -> CodeType:
    """The module's code without ``from MODULE import NAME``, if that is ``imported``.

    Wherever a function evaluates NAME, it calls ``helper`` (a global) for the value. Raises
    RewritingError if NAME is also used in another way.
    """
    tree = ast.parse(source, filename)
    removing = _Removing(*imported, helper)
    tree.body = [removing.statement(statement) for statement in tree.body]
    if removing.removed != 1 or not removing.used:
        raise RewritingError(f"{imported[1]} is not imported and used as expected")
    return compile(tree, filename, "exec", dont_inherit=True)


def with_expressions(source: bytes, filename: str, replaced: Mapping[str, str]) -> CodeType:
    """The module's code with expressions ``replaced``: old → new, as ``ast.unparse`` writes them.

    Raises RewritingError unless each is found just once.
    """
    tree = ast.parse(source, filename)
    replacing = _Replacing(replaced)
    replacing.visit(tree)
    if sorted(replacing.found) != sorted(replaced):
        raise RewritingError(f"not found just once: {', '.join(replaced)}")
    return compile(tree, filename, "exec", dont_inherit=True)


class _Removing(ast.NodeTransformer):
    def __init__(self, module: str, name: str, helper: str) -> None:
        self._module = module
        self._name = name
        self._helper = helper
        self.removed = 0
        self.used = False

    def statement(self, node: ast.stmt) -> ast.stmt:
        """A statement of the module's body."""
        if isinstance(node, ast.ImportFrom) and (node.module, node.level) == (self._module, 0):
            if [(alias.name, alias.asname) for alias in node.names] != [(self._name, None)]:
                raise RewritingError(f"{self._module} is imported in another way")
            self.removed += 1
            return ast.copy_location(ast.Pass(), node)
        if _executes_now(node, self._name):
            raise RewritingError(f"{self._name} is used while the module is executed")
        changed = self.visit(node)
        assert isinstance(changed, ast.stmt)
        return changed

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id != self._name:
            return node
        if not isinstance(node.ctx, ast.Load):
            raise RewritingError(f"{self._name} is assigned to")
        self.used = True
        call = ast.Call(ast.Name(self._helper, ast.Load()), [], [])
        ast.copy_location(call, node)
        return ast.fix_missing_locations(call)

    def _binds(self, names: list[str]) -> None:
        if self._name in names:
            raise RewritingError(f"{self._name} is bound elsewhere")

    def visit_arg(self, node: ast.arg) -> ast.AST:
        self._binds([node.arg])
        return self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> ast.AST:
        self._binds([(node.asname or node.name).partition(".")[0]])
        return node

    def visit_Global(self, node: ast.Global) -> ast.AST:
        self._binds(node.names)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        self._binds(node.names)
        return node


def _executes_now(node: ast.AST, name: str) -> bool:
    """Whether executing the statement may evaluate the name, outside of function bodies."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        now: list[ast.AST] = [*node.decorator_list, node.args]
        if node.returns is not None:
            now.append(node.returns)
        return any(_executes_now(part, name) for part in now)
    if isinstance(node, ast.Name):
        return node.id == name
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.isprintable() and name in node.value  # an annotation in quotes
    return any(_executes_now(part, name) for part in ast.iter_child_nodes(node))


class _Replacing(ast.NodeTransformer):
    def __init__(self, replaced: Mapping[str, str]) -> None:
        self._replaced = replaced
        self.found: list[str] = []

    def visit_Call(self, node: ast.Call) -> ast.AST:
        text = ast.unparse(node)
        if text not in self._replaced:
            return self.generic_visit(node)
        self.found.append(text)
        new = ast.parse(self._replaced[text], mode="eval").body
        for part in ast.walk(new):
            if isinstance(part, ast.expr):
                ast.copy_location(part, node)
        return new
