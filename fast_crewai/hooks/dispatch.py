"""The function that stands where CrewAI's stood: fast or original, why, and how often.

A dispatcher is compiled for each route with the parameters of the original, so that a call costs
one Python frame and no argument packing. Its code object carries the original's file, line and
names: tracebacks, profilers and ``inspect`` show CrewAI's function, as without us.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import logging
import sys
import types
from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined, Guard
from fast_crewai.hooks.route import Route, Site, TargetError, locate

logger = logging.getLogger("fast_crewai")

_OURS = "__fast_crewai_route__"
_PLACEHOLDER = "dispatcher"
_STARS: dict[Any, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}

# Declined is raised before any side effect; after any other exception only a pure route may
# start again with the original. The original runs outside the handler, so that an exception of
# its own has no context of ours.
_FAST = """\
def {name}({parameters}):
    _tally.calls += 1
    try:
        _intact({subject})
        return _fast({arguments})
    except _fallback as error:
        _tally.fell_back(error)
    return _original({call})
"""
_INERT = """\
def {name}({parameters}):
    return _original({call})
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
        self._namespace: dict[str, Any] = {
            "__builtins__": builtins,  # native code that imports something looks here
            "_tally": tally,
            "_fast": route.build(site),
            "_intact": _not_ready,
            "_original": _inherited(site) if site.inherited else plain,
            "_fallback": Exception if route.pure else Declined,
        }
        self._is_method = isinstance(site.namespace, type) and kind is not staticmethod
        self._codes = {
            active: _compile(plain, template, self._is_method)
            for active, template in ((True, _FAST), (False, _INERT))
        }
        self.function = types.FunctionType(
            self._codes[False], self._namespace, plain.__name__, plain.__defaults__
        )
        self.function.__kwdefaults__ = plain.__kwdefaults__
        functools.update_wrapper(self.function, plain)
        setattr(self.function, _OURS, route.name)
        self.attribute: Any = kind(self.function) if kind else self.function

    def watch(self) -> None:
        """Compare the collaborators from now on; called when all routes of a module stand."""
        names: list[tuple[dict[str, Any], str, object]] = []
        methods: list[tuple[str, object]] = []
        if self.route.recursive:
            names.append((vars(self.site.module), self.site.name, self.function))
        for target in self.route.reads:
            read = locate(target)
            if isinstance(read.namespace, types.ModuleType):
                names.append((vars(read.namespace), read.name, read.original))
            elif read.namespace is self.site.namespace:
                methods.append((read.name, read.original))
        guard = Guard(names, methods)
        self._namespace["_intact"] = guard.intact_for if self._is_method else guard.intact

    def switch(self, active: bool) -> None:
        """Fast, or straight to the original: also for whoever still holds our function."""
        self.function.__code__ = self._codes[active]

    def stands(self) -> bool:
        """Whether our function is what CrewAI finds at the target."""
        return vars(self.site.namespace).get(self.site.name) is self.attribute

    def put(self) -> None:
        setattr(self.site.namespace, self.site.name, self.attribute)

    def take_away(self) -> None:
        """Put the original back, unless somebody has replaced or wrapped ours since."""
        if not self.stands():
            return
        if self.site.inherited:
            delattr(self.site.namespace, self.site.name)
        else:
            setattr(self.site.namespace, self.site.name, self.site.original)


def original_of(value: Any) -> Any:
    """The function of CrewAI's that a dispatcher of ours stands for; anything else as it is."""
    return value.__wrapped__ if is_ours(value) else value


def is_ours(value: Any) -> bool:
    return isinstance(value, types.FunctionType) and _OURS in value.__dict__


def _not_ready(*_subject: object) -> None:
    raise Declined("CrewAI is still importing")


def _inherited(site: Site) -> Callable[..., Any]:
    owner, name = site.namespace, site.name

    def next_in_line(self: Any, *arguments: Any, **options: Any) -> Any:
        return getattr(super(owner, self), name)(*arguments, **options)

    return next_in_line


def _compile(plain: types.FunctionType, template: str, is_method: bool) -> types.CodeType:
    parameters, arguments, call = _parameters(plain)
    code = plain.__code__
    tree = ast.parse(
        template.format(
            name=_PLACEHOLDER,
            parameters=parameters,
            arguments=arguments,
            call=call,
            subject=code.co_varnames[0] if is_method else "",
        )
    )
    for node in ast.walk(tree):  # every line of ours is the line of the original's `def`
        if isinstance(node, (ast.stmt, ast.expr, ast.arg, ast.excepthandler, ast.keyword)):
            node.lineno = node.end_lineno = code.co_firstlineno
            node.col_offset = node.end_col_offset = 0
    scratch: dict[str, Any] = {}
    exec(compile(tree, code.co_filename, "exec"), {}, scratch)
    names = {"co_name": code.co_name}
    if sys.version_info >= (3, 11):
        names["co_qualname"] = code.co_qualname
    compiled: types.CodeType = scratch[_PLACEHOLDER].__code__
    return compiled.replace(**names)  # type: ignore[arg-type]


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
