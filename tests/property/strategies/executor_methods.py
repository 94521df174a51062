"""Programs that change what an executor's methods are bound from, and bind them."""

import asyncio
import contextlib
import functools
import inspect
from types import SimpleNamespace
from typing import Any
from unittest import mock

from crewai.agents.agent_executor import AgentExecutor
from crewai.flow import flow_wrappers, runtime
from hypothesis import strategies as st

VALUES = ["text", None, ("a", 1), 1, "finalize"]


def _other(self, state=None):
    """Another function."""


async def _coroutine(self):
    """A coroutine function."""


def _inner(value: int, other: str = "x") -> None:
    """What a function says it wraps."""


class Mine(AgentExecutor):
    pass


class Own(flow_wrappers.ListenMethod):
    pass


@functools.cache
def executor(kind: Any) -> Any:
    return kind.model_construct()


@functools.cache
def definition() -> Any:
    return AgentExecutor.flow_definition()


def names() -> list[str]:
    return list(definition().methods)


def wrapper(number: int) -> Any:
    return vars(AgentExecutor)[names()[number]]


plain = st.just(("plain", 0, 0))
changes = st.tuples(
    st.sampled_from(
        [
            "wrapper",
            "signature",
            "method",
            "coroutine",
            "marked",
            "doc",
            "name",
            "code",
            "defaults",
            "keyword defaults",
            "annotation",
            "attribute",
            "known attribute",
            "wraps",
            "class",
            "own kind",
            "removed",
            "instance",
            "subclass",
            "fewer",
            "order",
            "missing",
            "get",
            "get of a kind",
            "init",
            "setattr",
            "inspect",
            "named",
        ]
    ),
    st.integers(0, 31),
    st.integers(0, len(VALUES) - 1),
)
programs = st.lists(plain | plain | changes, min_size=2, max_size=5)


def changed(what: str, number: int, value: Any) -> Any:
    """A context in which something is changed."""
    unbound = wrapper(number)
    function, kind = unbound._meth, type(unbound)
    patch = mock.patch.object
    method = {
        "wrapper": lambda: patch(unbound, "extra", value, create=True),
        "signature": lambda: patch(unbound, "__signature__", inspect.signature(_other)),
        "method": lambda: patch(unbound, "_meth", _other),
        "coroutine": lambda: patch(unbound, "_meth", _coroutine),
        "marked": lambda: patch(
            unbound, "_is_coroutine", getattr(asyncio.coroutines, "_is_coroutine", 1), create=True
        ),
        "doc": lambda: _set(function, "__doc__", value),
        "name": lambda: _set(function, "__name__", str(value)),
        "code": lambda: _set(function, "__code__", _other.__code__),
        "defaults": lambda: _set(function, "__defaults__", (value,)),
        "keyword defaults": lambda: _set(function, "__kwdefaults__", {"state": value}),
        "annotation": lambda: mock.patch.dict(function.__annotations__, {"self": value}),
        "attribute": lambda: mock.patch.dict(function.__dict__, {"extra": value}),
        "known attribute": lambda: mock.patch.dict(
            function.__dict__, {"__human_feedback_config__": value}
        ),
        "wraps": lambda: mock.patch.dict(function.__dict__, {"__wrapped__": _inner}),
        "class": lambda: patch(AgentExecutor, names()[number], kind(_other)),
        "own kind": lambda: patch(AgentExecutor, names()[number], Own(_other)),
        "instance": lambda: mock.patch.dict(
            executor(AgentExecutor).__dict__, {names()[number]: value}
        ),
        "get": lambda: patch(
            flow_wrappers.FlowMethod, "__get__", lambda self, *_: SimpleNamespace(of=self._meth)
        ),
        "get of a kind": lambda: patch(
            kind, "__get__", lambda self, *_: SimpleNamespace(of=self._meth), create=True
        ),
        "init": lambda: patch(
            kind, "__init__", lambda self, *given: self.__dict__.update(given=given), create=True
        ),
        "setattr": lambda: patch(
            kind,
            "__setattr__",
            lambda self, name, value: self.__dict__.update({name.upper(): value}),
            create=True,
        ),
        "inspect": lambda: patch(
            flow_wrappers,
            "inspect",
            SimpleNamespace(**{**vars(inspect), "signature": lambda _: "text"}),
        ),
        "named": lambda: patch(runtime, "FlowMethodName", str.upper),
    }.get(what)
    if what == "removed":
        return _removed(names()[number])
    return method() if method else contextlib.nullcontext()


@contextlib.contextmanager
def _set(owner: Any, name: str, value: Any) -> Any:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextlib.contextmanager
def _removed(name: str) -> Any:
    kept = vars(AgentExecutor)[name]
    delattr(AgentExecutor, name)
    try:
        yield
    finally:
        setattr(AgentExecutor, name, kept)


def defined(what: str, number: int) -> Any:
    order = names()
    if what == "fewer":
        order = order[number:]
    elif what == "order":
        order = [*order[number:], *order[:number]]
    elif what == "missing":
        order = [*order, "nowhere"]
    methods = definition().methods
    return SimpleNamespace(name="Mine", methods={name: methods.get(name) for name in order})


def described(value: Any, instance: Any) -> Any:
    if value is instance:
        return "the executor"
    return value if isinstance(value, (str, inspect.Signature)) else id(value)


def one(function: Any, what: str, number: int, value: Any) -> Any:
    instance = executor(Mine if what == "subclass" else AgentExecutor)
    instance.__pydantic_private__["_definition"] = defined(what, number)
    with changed(what, number, value):
        try:
            methods = function(instance)
        except Exception as error:
            return type(error), str(error)
        seen = [
            (
                str(name),
                type(bound),
                # A value of the instance's own has no parts to look at.
                [
                    (key, described(part, instance) if key != "of" else part)
                    for key, part in getattr(bound, "__dict__", {}).items()
                ],
            )
            for name, bound in methods.items()
        ]
        bound = list(methods.values())
        if what in ("plain", "doc"):  # what one of them is given stays its own
            bound[0].own = 1
            seen.append(
                [hasattr(other, "own") for other in (bound[1], *function(instance).values())]
            )
        return seen


def observe(function: Any, program: Any) -> Any:
    return [one(function, what, number, VALUES[value]) for what, number, value in program]
