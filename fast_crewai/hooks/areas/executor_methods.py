"""The bound methods of an agent's executor, all at once.

``Flow._class_bound_methods`` binds 32 decorated methods for every agent. Each bound wrapper is the
same but for its instance, so it is copied from one that CrewAI's own code made, while all that this
was made from is still there: the same objects, compared one by one. Only CrewAI's own executor is
served, whose class lives as long as its module; so what is kept here keeps nothing else alive.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable
from itertools import chain
from operator import attrgetter, is_
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.flow_binding import BINDING, TELLING
from fast_crewai.hooks.dispatch import original_of
from fast_crewai.hooks.route import Route, Site

_RUNTIME = "crewai.flow.runtime"
_WRAPPERS = "crewai.flow.flow_wrappers"
_EXECUTOR = "crewai.agents.agent_executor"
_INSTANCE = ("_instance", "__self__")

_of_function = attrgetter(
    "__code__",
    "__defaults__",
    "__kwdefaults__",
    "__module__",
    "__name__",
    "__qualname__",
    "__doc__",
    "__annotations__",
    "__dict__",
    *(["__type_params__"] if sys.version_info >= (3, 12) else []),
)
_each = chain.from_iterable


def _sources(wrappers: list[Any]) -> tuple[list[Any], list[Any]]:
    """All names and all objects that binding these wrappers reads or copies."""
    own = [wrapper.__dict__ for wrapper in wrappers]
    read = [_of_function(namespace["_meth"]) for namespace in own]
    contents = [*own, *[one[7] for one in read], *[one[8] for one in read]]
    return [*_each(contents)], [*_each(map(dict.values, contents)), *_each(read)]


class _Plan:
    """The wrappers of the class, what they were made from, and one bound copy of each."""

    def __init__(self, owner: type, names: list[str], kinds: frozenset[type]) -> None:
        self._owner = owner
        self._names = names
        namespace = vars(owner)
        self._wrappers = [namespace[name] for name in names]
        if not all(type(wrapper) in kinds and _plain(wrapper) for wrapper in self._wrappers):
            raise Declined("not all methods are plain ones of CrewAI's")
        self._keys, self._were = _sources(self._wrappers)
        self._copies: list[tuple[type, dict[str, Any]]] = []

    def take(self, methods: dict[Any, Any]) -> bool:
        """Keep copies of what CrewAI's code has bound; False if they hold anything of their own."""
        if list(methods) != self._names:
            return False
        for wrapper, bound in zip(self._wrappers, methods.values(), strict=True):
            copy = dict(vars(bound))
            own = vars(wrapper)
            if type(bound) is not type(wrapper) or copy["__signature__"] != own["__signature__"]:
                return False
            copy["__signature__"] = own["__signature__"]
            copy.update(dict.fromkeys(_INSTANCE))
            if not all(own.get(name) is value for name, value in copy.items()):
                return False
            self._copies.append((type(wrapper), copy))
        return True

    def holds(self, owner: Any, names: list[str]) -> bool:
        if owner is not self._owner or names != self._names:
            return False
        if not all(map(is_, map(vars(owner).get, names), self._wrappers)):
            return False
        keys, now = _sources(self._wrappers)
        return keys == self._keys and len(now) == len(self._were) and all(map(is_, now, self._were))

    def bind(self, instance: Any, names: Any) -> dict[Any, Any]:
        methods = {}
        for name, (kind, copy) in zip(names, self._copies, strict=True):
            made = copy.copy()
            made["_instance"] = made["__self__"] = instance
            methods[name] = bound = _new(kind)
            bound.__dict__ = made
        return methods


_new: Any = object.__new__


def _plain(wrapper: Any) -> bool:
    function = vars(wrapper).get("_meth")
    return (
        type(function) is types.FunctionType
        and not function.__kwdefaults__
        and TELLING.isdisjoint(function.__dict__)
        and "__wrapped__" not in function.__dict__
    )


def _class_bound_methods(site: Site) -> Callable[..., Any]:
    original, runtime = site.original, vars(site.module)
    module: Any = sys.modules[_WRAPPERS]
    kinds = (module.StartMethod, module.ListenMethod, module.RouterMethod, module.FlowMethod)
    own_kinds = frozenset(kinds)
    base = vars(module.FlowMethod)
    binds, makes = original_of(base["__get__"]), base["__init__"]
    named = module.FlowMethodName
    signature_of, update = inspect.signature, module.functools.update_wrapper
    is_coroutine_function = inspect.iscoroutinefunction
    newest: list[_Plan] = []

    def as_it_was() -> bool:
        get, inspecting = base["__get__"], module.inspect
        return (
            original_of(get) is binds
            and all(
                kind.__get__ is get
                and kind.__init__ is makes
                and kind.__new__ is _new
                and kind.__setattr__ is object.__setattr__
                for kind in kinds
            )
            and inspecting.signature is signature_of
            and inspecting.iscoroutinefunction is is_coroutine_function
            and module.functools.update_wrapper is update
            and module.FlowMethodName is named
            and runtime["FlowMethodName"] is named
        )

    def fast(self: Any) -> Any:
        executor: Any = getattr(sys.modules.get(_EXECUTOR), "AgentExecutor", None)
        if type(self) is not executor or executor.__getattribute__ is not object.__getattribute__:
            raise Declined("not CrewAI's own agent executor")
        names = list(self._definition.methods)
        if not self.__dict__.keys().isdisjoint(names):
            raise Declined("methods of the instance")
        if not as_it_was():
            raise Declined("patched: what binds methods")
        for plan in newest:
            if plan.holds(executor, names):
                return plan.bind(self, names)
        if not vars(executor).keys() >= set(names):
            raise Declined("methods of other classes")
        plan = _Plan(executor, names, own_kinds)
        methods = original(self)
        newest[:] = [plan] if plan.take(methods) and plan.holds(executor, names) else []
        return methods

    return fast


METHODS = Route(
    name="agents.executor-methods",
    target=f"{_RUNTIME}:Flow._class_bound_methods",
    why="32 methods are bound for every agent, one by one",
    build=_class_bound_methods,
    pure=True,
    reads=(BINDING.target, *BINDING.reads),
)
