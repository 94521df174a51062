"""The end of every flow method: saving its completion where nothing is to be saved.

After each method the flow engine sends ``_persist_method_completion`` to a worker thread, also in
flows without persistence, where it returns at once. The rest of ``_execute_method`` is CrewAI's
own code: it is compiled again from its source with that one expression replaced.
"""

from __future__ import annotations
import __future__

import ast
import asyncio
import types
from collections.abc import Callable, Generator
from typing import Any

from fast_crewai.hooks import fingerprint
from fast_crewai.hooks.route import Route, Site, TargetError

_RUNTIME = "crewai.flow.runtime"
_HOP = "asyncio.to_thread(self._persist_method_completion, method_name)"

_to_thread = asyncio.to_thread


@types.coroutine
def _two_turns() -> Generator[None, None, None]:
    """What a thread that is done at once takes: one turn of the loop to report, one to resume.

    Other tasks run and cancellation arrives here, as they do in the hand-off.
    """
    yield
    yield


def saves_nothing(flow: Any, method_name: Any, expected: Callable[..., Any]) -> bool:
    """Whether ``flow._persist_method_completion(method_name)`` returns at once.

    ``expected`` is CrewAI's function; False if the flow has another one.
    """
    try:
        if flow._persist_method_completion.__func__ is not expected:
            return False
        definition = flow._definition
        saves = definition.methods[str(method_name)].persist
        if saves is None:
            saves = definition.persist
        return saves is None or saves.enabled is False
    except Exception:  # the original raises it, where it did
        return False


def _execute_method(site: Site) -> Callable[..., Any]:
    module, expected = site.module, site.namespace.__dict__["_persist_method_completion"]

    async def complete(flow: Any, method_name: Any) -> None:
        to_thread = module.asyncio.to_thread
        if to_thread is _to_thread and saves_nothing(flow, method_name, expected):
            await _two_turns()
        else:
            await to_thread(flow._persist_method_completion, method_name)

    return recompiled(site.original, _HOP, "_fc_complete(self, method_name)", complete)


def recompiled(
    original: types.FunctionType, old: str, new: str, function: Callable[..., Any]
) -> Callable[..., Any]:
    """The function with its one expression ``old`` replaced; ``new`` calls ``function``.

    It shares the globals of the original and keeps its file and line numbers.
    """
    code = original.__code__
    definition = fingerprint.definition_of(original)
    ast.increment_lineno(definition, code.co_firstlineno - fingerprint.start_line(definition))
    replacement = ast.parse(new, mode="eval").body
    replacing = _Replacing(old, replacement)
    definition = replacing.visit(definition)
    if replacing.found != 1 or code.co_freevars:
        raise TargetError(f"{original.__qualname__} is not what it was")
    name = replacement.func.id  # type: ignore[attr-defined]
    wrapper = ast.parse(f"def make({name}): pass")
    wrapper.body[0].body = [definition]  # type: ignore[attr-defined]
    flags = __future__.annotations.compiler_flag
    outer = compile(wrapper, code.co_filename, "exec", flags=flags, dont_inherit=True)
    making = _code_in(outer.co_consts, "make")
    made = _code_in(making.co_consts, original.__name__).replace(co_name=code.co_name)
    if hasattr(code, "co_qualname"):
        made = made.replace(co_qualname=code.co_qualname)  # type: ignore[call-arg]
    cell = (types.CellType(function),)
    copy = types.FunctionType(
        made, original.__globals__, original.__name__, original.__defaults__, cell
    )
    copy.__kwdefaults__ = original.__kwdefaults__
    return copy


def _code_in(constants: tuple[Any, ...], name: str) -> types.CodeType:
    codes = (value for value in constants if isinstance(value, types.CodeType))
    return next(code for code in codes if code.co_name == name)


class _Replacing(ast.NodeTransformer):
    def __init__(self, old: str, new: ast.expr) -> None:
        self._old = old
        self._new = new
        self.found = 0

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if ast.unparse(node) != self._old:
            return self.generic_visit(node)
        self.found += 1
        for part in ast.walk(self._new):
            if isinstance(part, ast.expr):
                ast.copy_location(part, node)
        return self._new


EXECUTE_METHOD = Route(
    name="flow.method-completion",
    target=f"{_RUNTIME}:Flow._execute_method",
    why="half of the hand-offs to worker threads save nothing (6 of 12 per agent step)",
    build=_execute_method,
    reads=(f"{_RUNTIME}:Flow._persist_method_completion",),
)
