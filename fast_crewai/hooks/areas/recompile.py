"""CrewAI's own function, compiled again from its source with some expressions replaced.

What stays is CrewAI's code word by word, with its file, lines and globals.
"""

from __future__ import annotations
import __future__

import ast
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any

from fast_crewai.hooks import fingerprint, store
from fast_crewai.hooks.route import TargetError


def recompiled(
    original: types.FunctionType,
    replaced: Mapping[str, str],
    functions: Mapping[str, Callable[..., Any]],
    private: Collection[str] = (),
) -> types.FunctionType:
    """The function with its expressions ``replaced``: old → new, as ``ast.unparse`` writes them.

    New expressions call ``functions``, by name. A "method" is replaced in all its calls, which
    are then given ``self`` first: "self.step" → "step". Each must be found. The ``private``
    attributes of ``self`` are read and set where pydantic keeps them; ``keeps_plainly`` tells for
    which objects that is the same. Raises TargetError.
    """
    code = original.__code__
    if code.co_freevars:
        raise TargetError(f"{original.__qualname__} is not what it was")
    names = original.__name__, code.co_name, getattr(code, "co_qualname", "")
    given = tuple(replaced.items()), tuple(functions), tuple(sorted(private))
    made = store.remembered(
        "recompiled",
        (*_place(original), *names, *given),
        lambda: _compiled(original, replaced, functions, private),
    )
    copy = types.FunctionType(
        made,
        original.__globals__,
        original.__name__,
        original.__defaults__,
        tuple(types.CellType(functions[name]) for name in made.co_freevars),
    )
    copy.__kwdefaults__ = original.__kwdefaults__
    return copy


def evaluating(original: types.FunctionType, expression: str) -> types.FunctionType:
    """A function that evaluates one of the function's expressions, of globals only: what it warns
    of and raises comes from CrewAI's line and function. Raises TargetError."""
    code = original.__code__
    place = (*_place(original), code.co_name, getattr(code, "co_qualname", ""), expression)
    made = store.remembered("evaluating", place, lambda: _alone(original, expression))
    return types.FunctionType(made, original.__globals__, original.__name__)


def _alone(original: types.FunctionType, expression: str) -> types.CodeType:
    parts = ast.walk(_definition(original))
    found = [n for n in parts if isinstance(n, ast.expr) and ast.unparse(n) == expression]
    if not found:
        raise TargetError(f"{original.__qualname__} is not what it was")
    code = original.__code__
    return _named(compile(ast.Expression(found[0]), code.co_filename, "eval"), code)


def _place(original: types.FunctionType) -> tuple[str, str, int]:
    code = original.__code__
    return fingerprint.source_digest(original), code.co_filename, code.co_firstlineno


def _definition(original: types.FunctionType) -> ast.AST:
    """Its definition, with the lines of its file."""
    definition = fingerprint.definition_of(original)
    first = original.__code__.co_firstlineno
    ast.increment_lineno(definition, first - fingerprint.start_line(definition))
    return definition


def _compiled(
    original: types.FunctionType,
    replaced: Mapping[str, str],
    functions: Collection[str],
    private: Collection[str],
) -> types.CodeType:
    code = original.__code__
    definition = _definition(original)
    replacing = _Replacing(replaced, private)
    replacing.generic_visit(definition)
    if replacing.found != set(replaced):
        raise TargetError(f"{original.__qualname__} is not what it was")
    wrapper = ast.parse(f"def make({', '.join(functions)}): pass")
    wrapper.body[0].body = [definition]  # type: ignore[attr-defined]
    flags = __future__.annotations.compiler_flag
    outer = compile(wrapper, code.co_filename, "exec", flags=flags, dont_inherit=True)
    return _named(_code_in(_code_in(outer, "make"), original.__name__), code)


def _named(made: types.CodeType, code: types.CodeType) -> types.CodeType:
    made = made.replace(co_name=code.co_name)
    if hasattr(code, "co_qualname"):
        made = made.replace(co_qualname=code.co_qualname)  # type: ignore[call-arg]
    return made


def _code_in(outer: types.CodeType, name: str) -> types.CodeType:
    codes = (value for value in outer.co_consts if isinstance(value, types.CodeType))
    return next(code for code in codes if code.co_name == name)


def keeps_plainly(model: Any, private: Collection[str]) -> bool:
    """Whether attribute access finds ``private`` where pydantic keeps it: nothing covers it."""
    kept = model.__pydantic_private__
    if type(kept) is not dict or not all(name in kept for name in private):
        return False
    covering = [vars(model), *map(vars, type(model).__mro__)]
    return not any(name in namespace for namespace in covering for name in private)


class _Replacing(ast.NodeTransformer):
    def __init__(self, replaced: Mapping[str, str], private: Collection[str]) -> None:
        self._replaced = replaced
        self._private = private
        self.found: set[str] = set()

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if node.attr not in self._private or ast.unparse(node.value) != "self":
            return node
        kept = self._new("self.__pydantic_private__", node)
        place = ast.Subscript(kept, ast.Constant(node.attr), node.ctx)
        return ast.fix_missing_locations(ast.copy_location(place, node))

    def visit_Await(self, node: ast.Await) -> ast.AST:
        return self._replace(node) or self.generic_visit(node)

    def visit_For(self, node: ast.For) -> ast.AST:
        new = self._replace(node.iter)
        if new is None:
            return self.generic_visit(node)
        node.iter = ast.Constant(None)  # what is new isn't looked into, as elsewhere
        self.generic_visit(node)
        node.iter = new
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        new = self._replace(node)
        if new is not None:
            return new
        self.generic_visit(node)
        method = ast.unparse(node.func)
        if method in self._replaced:
            self.found.add(method)
            node.func = self._new(self._replaced[method], node.func)
            node.args.insert(0, self._new("self", node.func))
        return node

    def _replace(self, node: ast.expr) -> ast.expr | None:
        old = ast.unparse(node)
        if old not in self._replaced:
            return None
        self.found.add(old)
        return self._new(self._replaced[old], node)

    def _new(self, text: str, place: ast.expr) -> ast.expr:
        new = ast.parse(text, mode="eval").body
        for part in ast.walk(new):
            if isinstance(part, (ast.expr, ast.keyword)):
                ast.copy_location(part, place)
        return new
