"""The function that stands where CrewAI's stood: fast or original, why, and how often.

A dispatcher is compiled for each route with the parameters of the original, so that a call costs
one Python frame and no argument packing. Its code object carries the original's file, line and
names: tracebacks, profilers and ``inspect`` show CrewAI's function, as without us.
"""

from __future__ import annotations

import ast
import functools
import inspect
import logging
import sys
import types
from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined, Guard
from fast_crewai.hooks import store
from fast_crewai.hooks.route import Route, Site, TargetError, locate, undecorated

logger = logging.getLogger("fast_crewai")

_OURS = "__fast_crewai_route__"
ACTIVE_MARK = "__fast_crewai_active__"
_STARS: dict[Any, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}

# Declined is raised before any side effect; after any other exception only a pure route may
# start again with the original. The original runs outside the handler, so that an exception of
# its own has no context of ours. What is ours comes in closure cells; globals are CrewAI's, so
# that comparing a collaborator costs one cached look-up.
# The dead statement makes every cell a free variable of both, so that their code can be swapped.
_FAST = """\
def make({cells}):
    {define} dispatcher({parameters}):
        if 0:
            {cells}
        _fc_tally.calls += 1
        try:
            {checks}
            return {wait}_fc_fast({arguments})
        except _fc_fallback as error:
            _fc_tally.fell_back(error)
        return {wait}_fc_original({call})
"""
_INERT = """\
def make({cells}):
    {define} dispatcher({parameters}):
        if 0:
            {cells}
        return {wait}_fc_original({call})
"""


class FallbackError(RuntimeError):
    """Raised instead of running the original under ``FAST_CREWAI_STRICT=1`` (for tests)."""


class Tally:
    """Calls of one route, and why some of them ran the original.

    ``calls += 1`` on a slot has no point at which CPython switches threads, so counts are exact
    under the GIL.
    """

    __slots__ = ("calls", "fallbacks", "reasons", "route", "strict")

    def __init__(self, route: str) -> None:
        self.route = route
        self.strict = False
        self.calls = 0
        self.fallbacks = 0
        self.reasons: dict[str, int] = {}

    def fell_back(self, error: Exception) -> None:
        """Count a fallback; log the first one that is a fault of ours."""
        self.fallbacks += 1
        declined = isinstance(error, Declined)
        reason = str(error) if declined else f"{type(error).__name__} in the fast path"
        seen = self.reasons.get(reason, 0)
        self.reasons[reason] = seen + 1
        if self.strict:
            raise FallbackError(f"{self.route}: {reason}") from error
        if not declined and not seen:
            logger.debug("%s: ran CrewAI's own code: %s", self.route, reason, exc_info=error)


class Dispatcher:
    """One route at its site: the function to put there, and its switch."""

    def __init__(self, route: Route, site: Site, tally: Tally) -> None:
        original = site.original
        kind = type(original) if isinstance(original, (staticmethod, classmethod)) else None
        plain = original.__func__ if kind else original
        if type(plain) is not types.FunctionType:  # wrapt's proxies pass for functions
            raise TargetError(f"already wrapped by a {_type_name(plain)}")
        self.route = route
        self.site = site
        self._names = self._watched_names()
        self._methods = self._watched_methods()
        self._cells = {
            "_fc_tally": types.CellType(tally),
            "_fc_fast": types.CellType(route.build(site)),
            "_fc_original": types.CellType(_inherited(site) if site.inherited else plain),
            "_fc_fallback": types.CellType(Exception if route.pure else Declined),
            "_fc_patched": types.CellType(self._patched),
            "_fc_guard": types.CellType(None),
            **{name: types.CellType(None) for name in self._names.values()},
        }
        spelled, checks = _parameters(plain), self._checks(plain)
        self._codes = {
            active: _compile(plain, spelled, template, list(self._cells), checks)
            for active, template in ((True, _FAST), (False, _INERT))
        }
        code = self._codes[False]
        closure = tuple(self._cells[name] for name in code.co_freevars)
        self.function = types.FunctionType(
            code, undecorated(plain).__globals__, plain.__name__, plain.__defaults__, closure
        )
        self.function.__kwdefaults__ = plain.__kwdefaults__
        functools.update_wrapper(self.function, plain)
        setattr(self.function, _OURS, route.name)
        self.attribute: Any = kind(self.function) if kind else self.function

    def _watched_names(self) -> dict[str, str]:
        """Globals of the target's module that are compared at each call → cell to compare with."""
        reads = [self.route.target] if self.route.recursive else []
        reads += [] if self.site.inherited else self.route.reads
        split = (read.partition(":") for read in reads)
        names = [path for module, _, path in split if module == self.route.module]
        return {name: f"_fc_expected_{name}" for name in names if "." not in name}

    def _watched_methods(self) -> list[str]:
        """Methods of the target's class that are compared, on the instance, at each call."""
        owner = self.route.target.rpartition(".")[0]
        if self.site.inherited or not isinstance(self.site.namespace, type):
            return []
        return [read for read in self.route.reads if read.rpartition(".")[0] == owner]

    def _checks(self, plain: types.FunctionType) -> str:
        tests = [f"{name} is not {cell}" for name, cell in self._names.items()]
        names = f"if {' or '.join(tests)}: _fc_patched()" if tests else "pass"
        methods = f"_fc_guard({plain.__code__.co_varnames[0]})" if self._methods else "pass"
        return f"{names}\n            {methods}"

    def _patched(self) -> None:
        for name, cell in self._names.items():
            if vars(self.site.module).get(name) is not self._cells[cell].cell_contents:
                raise Declined(f"patched: {name}")

    def watch(self) -> None:
        """Take the collaborators as they are now as the expected ones.

        Called before the route is switched on, when all routes of the module stand.
        """
        for name, cell in self._names.items():
            self._cells[cell].cell_contents = vars(self.site.module)[name]
        if self._methods:
            reads = [locate(read) for read in self._methods]
            guard = Guard([(read.name, read.original) for read in reads])
            self._cells["_fc_guard"].cell_contents = guard.intact

    def switch(self, active: bool) -> None:
        """Fast, or straight to the original: also for whoever still holds our function."""
        self.function.__code__ = self._codes[active]
        setattr(self.function, ACTIVE_MARK, active)
        if not active and self.route.let_go is not None:
            self.route.let_go()
        if self.site.inherited:  # nobody holds it, and without ours the look-up is direct
            if not active:
                self.take_away()
            elif self.site.name not in vars(self.site.namespace):
                self.put()

    def stands_behind(self) -> str | None:
        """None while our function is at the target; else what is there instead."""
        found = vars(self.site.namespace).get(self.site.name)
        return None if found is self.attribute else _type_name(found)

    def put(self) -> None:
        setattr(self.site.namespace, self.site.name, self.attribute)

    def take_away(self) -> None:
        """Put the original back, unless somebody has replaced or wrapped ours since."""
        if self.stands_behind() is not None:
            return
        if self.site.inherited:
            delattr(self.site.namespace, self.site.name)
        else:
            setattr(self.site.namespace, self.site.name, self.site.original)


def original_of(value: Any) -> Any:
    """The function of CrewAI's that a dispatcher of ours stands for; anything else as it is."""
    return value.__wrapped__ if is_ours(value) else value


def is_ours(value: Any) -> bool:
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    # functools.wraps copies our mark into the wrappers of others, but not our code.
    if not isinstance(value, types.FunctionType) or _OURS not in value.__dict__:
        return False
    return "_fc_original" in value.__code__.co_freevars


def is_active(value: Any) -> bool:
    """Whether it is one of ours, and takes the fast way."""
    return is_ours(value) and bool(getattr(value, ACTIVE_MARK, False))


def _inherited(site: Site) -> Callable[..., Any]:
    owner, name = site.namespace, site.name

    def next_in_line(self: Any, *arguments: Any, **options: Any) -> Any:
        return getattr(super(owner, self), name)(*arguments, **options)

    return next_in_line


def _compile(
    plain: types.FunctionType,
    spelled: tuple[str, str, str],
    template: str,
    cells: list[str],
    checks: str,
) -> types.CodeType:
    parameters, arguments, call = spelled
    code = plain.__code__
    waits = inspect.iscoroutinefunction(plain)
    text = template.format(
        define="async def" if waits else "def",
        wait="await " if waits else "",
        cells=", ".join(cells),
        checks=checks,
        parameters=parameters,
        arguments=arguments,
        call=call,
    )
    names = {"co_name": code.co_name}
    if sys.version_info >= (3, 11):
        names["co_qualname"] = code.co_qualname
    parts = text, code.co_filename, code.co_firstlineno, *names.values()
    return store.remembered("dispatcher", parts, lambda: _compile_text(text, code, names))


def _compile_text(text: str, code: types.CodeType, names: dict[str, str]) -> types.CodeType:
    tree = ast.parse(text)
    for node in ast.walk(tree):  # every line of ours is the line of the original's `def`
        if isinstance(node, (ast.stmt, ast.expr, ast.arg, ast.excepthandler, ast.keyword)):
            node.lineno = node.end_lineno = code.co_firstlineno
            node.col_offset = node.end_col_offset = 0
    outer = compile(tree, code.co_filename, "exec").co_consts[0]
    dispatcher: types.CodeType = next(c for c in outer.co_consts if isinstance(c, types.CodeType))
    return dispatcher.replace(**names)  # type: ignore[arg-type]


def _parameters(plain: types.FunctionType) -> tuple[str, str, str]:
    """Declaration; arguments all by position, for the fast function; the call of the original."""
    signature = inspect.signature(plain, follow_wrapped=False)
    bare = [
        p.replace(annotation=p.empty, default=p.default if p.default is p.empty else None)
        for p in signature.parameters.values()
    ]
    by_position, call = [], []
    for parameter in bare:
        name = parameter.name
        star = _STARS.get(parameter.kind, "")
        by_position.append(star + name)
        keyword = parameter.kind is inspect.Parameter.KEYWORD_ONLY
        call.append(f"{name}={name}" if keyword else star + name)
    declaration = str(signature.replace(parameters=bare, return_annotation=signature.empty))
    return declaration[1:-1], ", ".join(by_position), ", ".join(call)


def _type_name(value: object) -> str:
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"
