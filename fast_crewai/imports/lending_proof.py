"""Names that a module takes from others and only uses in functions: found in its source.

Such a name is left out of the module until a function evaluates it, or somebody asks the module
for it. Texts of annotations stay; what they mean is asked for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from fast_crewai.imports import leaving

_PLAIN_DECORATORS = frozenset({"classmethod", "property", "staticmethod"})


_NAMED = (
    *(ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.FunctionDef),
    *(ast.MatchAs, ast.MatchStar),
)


class User(NamedTuple):
    """A module without some names; ``marshal`` takes it as a tuple."""

    file: str
    code: CodeType
    names: dict[str, tuple[str, str]]  # name → module, and its name there ("": the module itself)
    annotations: dict[str, dict[str, CodeType]]  # as ``leaving.Left`` has them
    helped: bool  # whether functions evaluate some of the names
    closure: tuple[str, ...] = ()  # what the imports that are left out would have imported

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(module for module, _ in self.names.values()))


def look(name: str, path: Path, bound: Mapping[str, Set[str]]) -> User | None:
    """What the module can do without, of the names that other modules have ``bound``.

    None: nothing, or one of them is needed while the module is executed. Raises OSError,
    SyntaxError.
    """
    if not path.is_file():
        return None
    source = path.read_bytes()
    tree = ast.parse(source, str(path))
    names = dict(_taken(name, path.name == "__init__.py", tree, bound))
    for other in (*_exported(tree), *_bound_twice(tree)):
        names.pop(other, None)
    if not names or _is_noticed(tree, names.keys()):
        return None
    try:
        left = leaving.leave_out(source, str(path), names.keys(), relative=True)
    except leaving.LeavingError:
        return None
    if left.names != tuple(sorted(names)):  # something is made from them at once
        return None
    return User(str(path), left.code, names, left.annotations, _is_helped(left.code))


def _is_helped(code: CodeType) -> bool:
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    return leaving.HELPER in code.co_names or any(map(_is_helped, inner))


def _taken(
    module: str, is_package: bool, tree: ast.Module, bound: Mapping[str, Set[str]]
) -> Iterable[tuple[str, tuple[str, str]]]:
    """The names that the module imports from these, and where they are."""
    for node in tree.body:
        if not isinstance(node, ast.ImportFrom):
            continue
        source = node.module or ""
        if node.level:
            base = module.split(".")
            base = base[: len(base) - node.level + is_package]
            source = ".".join((*base, *filter(None, [source])))
        for alias in node.names:
            if source in bound and alias.name in bound[source]:
                yield alias.asname or alias.name, (source, alias.name)
            elif source in bound and f"{source}.{alias.name}" in bound:
                yield alias.asname or alias.name, (f"{source}.{alias.name}", "")


def _exported(tree: ast.Module) -> Iterable[str]:
    """What ``__all__`` lists: the module itself may walk through it."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            texts = (p.value for p in ast.walk(node) if isinstance(p, ast.Constant))
            yield from (text for text in texts if isinstance(text, str))


def _bound_twice(tree: ast.Module) -> Iterable[str]:
    """Names that mean something else somewhere in the module."""
    found: set[str] = set()
    for node in ast.walk(tree):
        for name in filter(None, _binds(node)):
            if name in found:
                yield name
            found.add(name)


def _binds(node: ast.AST) -> Iterable[str | None]:
    if isinstance(node, ast.alias):
        yield (node.asname or node.name).partition(".")[0]
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, _NAMED):
        yield node.name
    elif isinstance(node, ast.MatchMapping):
        yield node.rest
    elif isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names


def _is_noticed(tree: ast.Module, names: Set[str]) -> bool:
    """Whether an annotation with such a name is one that isn't asked for before it is evaluated.

    A class may be a model, which evaluates its annotations; a function within a function, and one
    that is decorated, isn't found later.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            told = [s.annotation for s in node.body if isinstance(s, ast.AnnAssign)]
            if any(_mentions(part, names) for part in told):
                return True
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            plain = {ast.unparse(part) for part in node.decorator_list} <= _PLAIN_DECORATORS
            inner = [p for s in node.body for p in ast.walk(s)]
            if not plain and _is_annotated(node, names):
                return True
            if any(_is_annotated(part, names) for part in inner):
                return True
    return False


def _is_annotated(node: ast.AST, names: Set[str]) -> bool:
    """Whether a function's head has an annotation with such a name."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    told = [node.returns, *(a.annotation for a in every if a is not None)]
    return any(_mentions(part, names) for part in told)


def _mentions(node: ast.AST | None, names: Set[str]) -> bool:
    """As a name, or in a text."""
    for part in ast.walk(node) if node is not None else ():
        if isinstance(part, ast.Name) and part.id in names:
            return True
        text = part.value if isinstance(part, ast.Constant) else None
        if isinstance(text, str) and any(name in text for name in names):
            return True
    return False
