"""Binding a decorated method of a flow to an instance, at each attribute access.

CrewAI makes a wrapper by ``functools.update_wrapper`` and ``inspect.signature``, once per method of
every flow instance: 32 for one agent executor. The decorator made the same signature from the same
function before; if the function still has it, the new wrapper shares it. Nothing is kept here.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import types
from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.route import Route, Site

_WRAPPERS = "crewai.flow.flow_wrappers"
_KINDS = ("StartMethod", "ListenMethod", "RouterMethod", "FlowMethod")
_SIGNATURE: Any = inspect.Signature
_PARAMETER: Any = inspect.Parameter
_EMPTY = inspect.Parameter.empty
_POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY
_POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD
_STARS = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS

# What __get__ doesn't copy from the unbound wrapper, and what __init__ takes from the function.
_OWN = frozenset(
    [
        "_meth",
        "_instance",
        "__name__",
        "__doc__",
        "__signature__",
        "__self__",
        "_is_coroutine",
        "__module__",
        "__qualname__",
        "__annotations__",
        "__type_params__",
        "__wrapped__",
    ]
)
_FLOW = (
    "__human_feedback_config__",
    "__conversational_only__",
    "__flow_persistence_config__",
    "__flow_method_definition__",
)
# Attributes of a function by which it tells inspect another signature or kind than its code's.
_TELLING = frozenset(
    [
        "__signature__",
        "_partialmethod",
        "__partialmethod__",
        "__text_signature__",
        "_is_coroutine_mark",
        "_is_coroutine_marker",
    ]
)


def _innermost(function: Any) -> types.FunctionType:
    """The function whose signature ``inspect.signature`` gives. Raises Declined."""
    for _ in range(20):
        if type(function) is not types.FunctionType:
            break
        told = function.__dict__
        if not told:
            return function
        if not _TELLING.isdisjoint(told):
            break
        if "__wrapped__" not in told:
            return function
        function = told["__wrapped__"]
    raise Declined("not a plain function")


def _still_fits(signature: Any, function: types.FunctionType) -> bool:
    """Whether ``inspect.signature`` of the plain function would make an equal one."""
    if type(signature) is not _SIGNATURE:
        return False
    code = function.__code__
    plain = code.co_argcount
    names = code.co_varnames
    annotations = function.__annotations__
    if signature._return_annotation is not annotations.get("return", _EMPTY):
        return False
    parameters = signature._parameters
    if code.co_kwonlyargcount or code.co_flags & _STARS:
        names = _in_order(code)
    elif plain != len(names):
        names = names[:plain]
    if tuple(parameters) != names:
        return False
    defaults = function.__defaults__ or ()
    first_default = plain - len(defaults)
    for place, (name, parameter) in enumerate(parameters.items()):
        if place >= plain:
            kind, default = _beyond(function, place, name)
        else:
            kind = _POSITIONAL_ONLY if place < code.co_posonlyargcount else _POSITIONAL
            default = _EMPTY if place < first_default else defaults[place - first_default]
        if (
            type(parameter) is not _PARAMETER
            or parameter._name != name
            or parameter._kind is not kind
            or parameter._default is not default
            or parameter._annotation is not annotations.get(name, _EMPTY)
        ):
            return False
    return True


def _in_order(code: types.CodeType) -> tuple[str, ...]:
    """The names of all parameters; ``co_varnames`` has those with stars at the end."""
    plain, given = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    names = code.co_varnames
    if not code.co_flags & inspect.CO_VARARGS:
        return names[: given + bool(code.co_flags & inspect.CO_VARKEYWORDS)]
    end = given + 1 + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return (*names[:plain], names[given], *names[plain:given], *names[given + 1 : end])


def _beyond(function: types.FunctionType, place: int, name: str) -> tuple[Any, Any]:
    """Kind and default of a parameter behind the positional ones."""
    code = function.__code__
    keywords = code.co_argcount + bool(code.co_flags & inspect.CO_VARARGS)
    if place < keywords:
        return inspect.Parameter.VAR_POSITIONAL, _EMPTY
    if place < keywords + code.co_kwonlyargcount:
        return inspect.Parameter.KEYWORD_ONLY, (function.__kwdefaults__ or {}).get(name, _EMPTY)
    return inspect.Parameter.VAR_KEYWORD, _EMPTY


def _get(site: Site) -> Callable[..., Any]:
    module: Any = site.module
    classes = tuple(getattr(module, name) for name in _KINDS)
    taken: tuple[str, ...] = functools.WRAPPER_ASSIGNMENTS
    signature_of, update = inspect.signature, functools.update_wrapper
    is_coroutine_function = inspect.iscoroutinefunction

    def get(self: Any, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        kind: Any = type(self)
        if kind not in classes or kind.__setattr__ is not object.__setattr__:
            raise Declined("not one of CrewAI's own wrappers")
        inspecting = module.inspect
        if (
            inspecting.signature is not signature_of
            or inspecting.iscoroutinefunction is not is_coroutine_function
            or module.functools.update_wrapper is not update
        ):
            raise Declined("patched: inspect or functools")
        unbound = self.__dict__
        method = unbound.get("_meth")
        signature = unbound.get("__signature__")
        if not _still_fits(signature, _innermost(method)):
            raise Declined("not the signature that it was decorated with")
        bound = kind.__new__(kind)
        made = bound.__dict__
        made["_meth"] = method
        made["_instance"] = instance
        for name in taken:
            with_it = getattr(method, name, _EMPTY)
            if with_it is not _EMPTY:
                made[name] = with_it
        made["__wrapped__"] = method
        made["__name__"] = module.FlowMethodName(made["__name__"])
        made["__signature__"] = signature
        made["__self__"] = instance
        if method.__code__.co_flags & inspect.CO_COROUTINE:
            _mark_coroutine(bound)
        own = method.__dict__
        if own:
            for name in _FLOW:
                if name in own:
                    made[name] = own[name]
        for name, value in unbound.items():
            if name not in _OWN:
                setattr(bound, name, value)
        return bound

    return get


def signature_reader(runtime: Any) -> Callable[[Any], Any]:
    """``inspect.signature`` for methods of flows, whose wrappers tell it."""
    wrappers: Any = sys.modules[_WRAPPERS]
    kinds = frozenset(vars(wrappers)[name] for name in _KINDS)
    signature_of, globals_ = inspect.signature, vars(runtime)

    def signature(method: Any) -> Any:
        inspecting = globals_["inspect"]
        if type(method) in kinds and inspecting.signature is signature_of:
            told = getattr(method, "__signature__", None)
            if type(told) is _SIGNATURE:
                return told
        return inspecting.signature(method)

    return signature


def _mark_coroutine(bound: Any) -> None:
    mark = getattr(inspect, "markcoroutinefunction", None)
    if mark is not None:
        mark(bound)
    else:  # before Python 3.12
        bound._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]


BINDING = Route(
    name="flow.method-binding",
    target=f"{_WRAPPERS}:FlowMethod.__get__",
    why="32 signatures per agent executor, one per method of a user's flow",
    build=_get,
    pure=True,
    reads=(f"{_WRAPPERS}:FlowMethod.__init__",),
)
