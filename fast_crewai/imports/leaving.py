"""A module compiled from its own source with some of its imports left out, to be made up for.

What is left out are statements of the module's body: ``from X import NAME`` and ``import NAME`` of
the names that the manifest says, and assignments and classes that need those. They are executed
later, as they are. Until then, functions that evaluate such a name call a helper for it, and
annotations that mention it are answered by a dictionary that asks first. All else, lines and
columns too, is what Python's compiler makes of the same source.
"""

from __future__ import annotations
import __future__

import ast
from collections.abc import Set
from types import CodeType
from typing import NamedTuple

HELPER = "__fast_crewai_value__"
EARLY = "__fast_crewai_early__"
STAND = "__fast_crewai_stand__"


class LeavingError(Exception):
    """The source isn't what was expected: nothing can be left out of it."""


class Left(NamedTuple):
    """A module without some names, and what makes up for them."""

    code: CodeType
    rest: tuple[CodeType, ...]  # the statements left out
    names: tuple[str, ...]  # what they bind
    # Functions and classes, by their path in the module, and "", the module → annotations that are
    # left out, as code. Those that are texts stay, and are asked for nevertheless.
    annotations: dict[str, dict[str, CodeType]]


def leave_out(
    source: bytes,
    filename: str,
    names: Set[str],
    early: bool = False,
    stands: Set[str] = frozenset(),
    relative: bool = False,
) -> Left:
    """``names`` must be bound at the top level: by imports, or by assignments and classes.

    With ``early``, the global EARLY is called where the first of them would be imported. Where
    attributes of a class are annotated with those of ``stands``, or a type variable is bound by
    them, the global STAND is called with the name for what to take instead. With ``relative``,
    imports may begin with a dot. Raises LeavingError where a name is needed otherwise while the
    module is executed, or bound a second time.
    """
    tree = ast.parse(source, filename)
    derived = _with_derived(tree.body, names, stands)
    leaving = _Leaving(derived, filename, _is_future(tree), stands, relative)
    body: list[ast.stmt] = []
    for statement in tree.body:
        kept = leaving.statement(statement)
        if early and leaving.rest and not any(_calls_early(s) for s in body):
            call = ast.Expr(ast.Call(ast.Name(EARLY, ast.Load()), [], []))
            body.append(ast.fix_missing_locations(ast.copy_location(call, statement)))
        body.append(kept)
    if missing := leaving.names - leaving.bound:
        raise LeavingError(f"not imported as expected: {', '.join(sorted(missing))}")
    tree.body = body
    flags = __future__.annotations.compiler_flag if leaving.future else 0
    return Left(
        compile(tree, filename, "exec", dont_inherit=True),
        tuple(
            compile(ast.Module([statement], []), filename, "exec", flags, dont_inherit=True)
            for statement in leaving.rest
        ),
        tuple(sorted(leaving.bound)),
        leaving.annotations,
    )


def without_calls(source: bytes, filename: str, function: str) -> tuple[CodeType, CodeType]:
    """The module without its top-level calls of ``function``, and a module of those alone.

    The latter has the module's plain imports, too.
    """
    tree = ast.parse(source, filename)
    calls = [s for s in tree.body if _is_call(s, function)]
    if not calls:
        raise LeavingError(f"{function} is not called")
    only = [s for s in tree.body if isinstance(s, ast.Import)] + calls
    tree.body = [
        ast.copy_location(ast.Pass(), s) if _is_call(s, function) else s for s in tree.body
    ]
    return (
        compile(tree, filename, "exec", dont_inherit=True),
        compile(ast.Module(only, []), filename, "exec", dont_inherit=True),
    )


def given(source: bytes, filename: str, imported: tuple[str, str]) -> CodeType:
    """The module without ``from MODULE import NAME``, a name that it is given before."""
    tree = ast.parse(source, filename)
    places = [
        i
        for i, s in enumerate(tree.body)
        if isinstance(s, ast.ImportFrom)
        and (s.module, s.level) == (imported[0], 0)
        and [(a.name, a.asname) for a in s.names] == [(imported[1], None)]
    ]
    if len(places) != 1:
        raise LeavingError(f"{imported[1]} is not imported as expected")
    tree.body[places[0]] = ast.copy_location(ast.Pass(), tree.body[places[0]])
    return compile(tree, filename, "exec", dont_inherit=True)


def with_adoption(source: bytes, filename: str, name: str, helper: str) -> CodeType:
    """The module, with ``NAME = helper(NAME)`` right after the class of that name."""
    tree = ast.parse(source, filename)
    places = [i for i, s in enumerate(tree.body) if isinstance(s, ast.ClassDef) and s.name == name]
    if len(places) != 1:
        raise LeavingError(f"{name} is not defined just once")
    call = ast.parse(f"{name} = {helper}({name})").body[0]
    for part in ast.walk(call):
        ast.copy_location(part, tree.body[places[0]])
    tree.body.insert(places[0] + 1, call)
    return compile(tree, filename, "exec", dont_inherit=True)


def _with_derived(body: list[ast.stmt], names: Set[str], stands: Set[str]) -> set[str]:
    """With what assignments and classes of the module make from them."""
    every = set(names)
    for statement in body:
        targets, needed = _made_by(statement)
        if _is_bound(statement, every - stands):
            continue
        if any(_mentions(value, every, quoted=False) for value in needed):
            every.update(targets)
    return every


def _made_by(node: ast.stmt) -> tuple[list[str], list[ast.expr]]:
    """What a plain assignment or a class binds, and what it needs for that."""
    if isinstance(node, ast.ClassDef):
        return [node.name], node.bases
    if isinstance(node, ast.Assign):
        found = [t.id for t in node.targets if isinstance(t, ast.Name)]
        return (found, [node.value]) if len(found) == len(node.targets) else ([], [])
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        return [node.target.id], [node.value]
    return [], []


def _is_bound(node: ast.stmt, names: Set[str]) -> bool:
    """Whether it makes a type variable without any of these names."""
    call = node.value if isinstance(node, ast.Assign) else None
    return (
        isinstance(call, ast.Call)
        and ast.unparse(call.func) == "TypeVar"
        and not _mentions(call, names, quoted=False)
    )


def _mentions(node: ast.AST | None, names: Set[str], quoted: bool = True) -> bool:
    if node is None:
        return False
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id in names:
            return True
        text = part.value if quoted and isinstance(part, ast.Constant) else None
        if isinstance(text, str) and any(name in text for name in names):
            return True  # an annotation in quotes
    return False


def _is_call(node: ast.stmt, function: str) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == function
    )


def _calls_early(node: ast.stmt) -> bool:
    return _is_call(node, EARLY)


def _is_future(tree: ast.Module) -> bool:
    """Whether annotations are not evaluated."""
    return any(
        isinstance(s, ast.ImportFrom)
        and s.module == "__future__"
        and any(alias.name == "annotations" for alias in s.names)
        for s in tree.body
    )


class _Leaving(ast.NodeTransformer):
    def __init__(
        self, names: set[str], filename: str, future: bool, stands: Set[str], relative: bool
    ) -> None:
        self.names = names
        self._relative = relative
        self._stands = stands
        self.bound: set[str] = set()
        self.rest: list[ast.stmt] = []
        self.annotations: dict[str, dict[str, CodeType]] = {}
        self._filename = filename
        self.future = future
        self._path: list[str] = []
        self._in_function = False

    # ------------------------------------------------------------------- statements of the module

    def statement(self, node: ast.stmt) -> ast.stmt:
        if isinstance(node, ast.ImportFrom) and (self._relative or not node.level):
            return self._import(node)
        if isinstance(node, ast.Import):
            return self._import_modules(node)
        made, _ = _made_by(node)
        if self.names.intersection(made):
            return self._leave(node, made)
        if _is_bound(node, self.names - self._stands):
            node = _Standing(self._stands).visit(node)
        changed = self.visit(node)
        assert isinstance(changed, ast.stmt)
        return changed

    def _import(self, node: ast.ImportFrom) -> ast.stmt:
        left = [a for a in node.names if (a.asname or a.name) in self.names]
        if not left:
            return node
        names = {a.asname or a.name for a in left}
        if self.bound & names:
            raise LeavingError(f"imported twice: {', '.join(sorted(names))}")
        self.bound |= names
        out = ast.ImportFrom(node.module, left, node.level)
        self.rest.append(ast.copy_location(out, node))
        kept = [a for a in node.names if a not in left]
        rest = ast.ImportFrom(node.module, kept, node.level) if kept else ast.Pass()
        return ast.copy_location(rest, node)

    def _import_modules(self, node: ast.Import) -> ast.stmt:
        names = {a.asname or a.name for a in node.names}
        if not self.names & names:
            return node
        if len(names) != 1 or "." in names.copy().pop() or self.bound & names:
            raise LeavingError(f"imported in another way: {', '.join(sorted(names))}")
        self.bound |= names
        self.rest.append(node)
        return ast.copy_location(ast.Pass(), node)

    def _leave(self, node: ast.stmt, made: list[str]) -> ast.stmt:
        if self.bound.intersection(made):
            raise LeavingError(f"bound twice: {', '.join(made)}")
        self.bound.update(made)
        if isinstance(node, ast.ClassDef) and (node.decorator_list or node.keywords):
            raise LeavingError(f"{node.name} is another kind of class")
        if isinstance(node, ast.AnnAssign):  # the annotation stays where it is
            assert node.value is not None
            self.rest.append(ast.copy_location(ast.Assign([node.target], node.value), node))
            node.value = None
            self._annotates(node)
            return node
        self.rest.append(node)
        return ast.copy_location(ast.Pass(), node)

    def _mentions(self, node: ast.AST | None) -> bool:
        return _mentions(node, self.names)

    # ------------------------------------------------------------------------------ in the module

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id not in self.names:
            return node
        if not self._in_function:
            raise LeavingError(f"{node.id} is used while the module is executed")
        if not isinstance(node.ctx, ast.Load):
            raise LeavingError(f"{node.id} is assigned to")
        call = ast.Call(ast.Name(HELPER, ast.Load()), [ast.Constant(node.id)], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._binds([node.name])
        self._path.append(node.name)
        self.generic_visit(node)
        self._path.pop()
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self._annotates(node)
        node.target = self.visit(node.target)
        node.value = node.value and self.visit(node.value)
        return node

    def _annotates(self, node: ast.AnnAssign) -> None:
        if self._in_function or not self._mentions(node.annotation):
            return
        if self.future:  # a text; whoever wants to know what it means finds the names
            self.annotations.setdefault(".".join(self._path), {})
            return
        standing = not _mentions(node.annotation, self.names - self._stands)
        if (self._path and not standing) or not isinstance(node.target, ast.Name):
            raise LeavingError(f"line {node.lineno} is annotated with it")
        found = self.annotations.setdefault(".".join(self._path), {})
        code, nothing = self._left(node.annotation)
        found[node.target.id] = code
        node.annotation = _Standing(self._stands).visit(node.annotation) if self._path else nothing

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self._binds([node.name])
        node.decorator_list = [self.visit(part) for part in node.decorator_list]
        arguments = node.args
        arguments.defaults = [self.visit(part) for part in arguments.defaults]
        arguments.kw_defaults = [part and self.visit(part) for part in arguments.kw_defaults]
        self._annotated(node)
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        self._binds([a.arg for a in (*every, arguments.vararg, arguments.kwarg) if a])
        outer, self._in_function = self._in_function, True
        self._path += [node.name, "<locals>"]
        node.body = [self.visit(statement) for statement in node.body]
        del self._path[-2:]
        self._in_function = outer
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def _annotated(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Take annotations that mention a name out of a function's head."""
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        owners = [(a.arg, a) for a in (*every, arguments.vararg, arguments.kwarg) if a]
        path = ".".join([*self._path, node.name])
        if self.future:
            told = [node.returns, *(owner.annotation for _, owner in owners)]
            if not self._in_function and any(map(self._mentions, told)):
                self.annotations[path] = {}
            return
        if self._in_function:  # whoever defines the function needs them
            node.returns = node.returns and self.visit(node.returns)
            for _, owner in owners:
                owner.annotation = owner.annotation and self.visit(owner.annotation)
            return
        found: dict[str, CodeType] = {}
        for name, owner in owners:
            if self._mentions(owner.annotation):
                assert owner.annotation is not None
                found[name], owner.annotation = self._left(owner.annotation)
        if self._mentions(node.returns):
            assert node.returns is not None
            found["return"], node.returns = self._left(node.returns)
        if not found:
            return
        if node.decorator_list:
            raise LeavingError(f"{node.name}, decorated, is annotated with it")
        self.annotations[path] = found

    def _left(self, node: ast.expr) -> tuple[CodeType, ast.expr]:
        expression = ast.fix_missing_locations(ast.Expression(node))
        code = compile(expression, self._filename, "eval", dont_inherit=True)
        return code, ast.copy_location(ast.Constant(None), node)

    # -------------------------------------------------------------------- names bound another time

    def _binds(self, names: list[str]) -> None:
        if found := self.names.intersection(names):
            raise LeavingError(f"bound elsewhere: {', '.join(sorted(found))}")

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        node.args = self.visit(node.args)
        outer, self._in_function = self._in_function, True
        node.body = self.visit(node.body)
        self._in_function = outer
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        self._binds([node.arg])
        return self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> ast.AST:
        self._binds([(node.asname or node.name).partition(".")[0]])
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        self._binds([node.name or ""])
        return self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> ast.AST:
        self._binds(node.names)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        self._binds(node.names)
        return node


class _Standing(ast.NodeTransformer):
    """In an annotation: other names for those that are left out."""

    def __init__(self, names: Set[str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id not in self._names:
            return node
        call = ast.Call(ast.Name(STAND, ast.Load()), [ast.Constant(node.id)], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))
