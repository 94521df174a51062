"""Signatures that the wrappers of flows' methods tell, compared with ``inspect.signature``."""

import inspect
from functools import partial

import pytest
from crewai.flow import runtime
from crewai.flow.flow import Flow, listen, router, start
from crewai.flow.flow_wrappers import FlowMethod

from fast_crewai.hooks.areas.flow_binding import signature_reader

pytestmark = pytest.mark.filterwarnings("ignore")


class Own(FlowMethod):
    """A user's own wrapper."""


class Methods(Flow):
    @start()
    def first(self): ...

    @listen(first)
    def second(self, result: int = 3): ...

    @router(second)
    async def third(self, *given, **named): ...


def asked(signature, method):
    try:
        return signature(method)
    except Exception as error:
        return type(error), str(error)


def changed(how):
    method = Methods().second
    if how == "none":
        method.__signature__ = None
    elif how == "text":
        method.__signature__ = "(a, b)"
    elif how == "gone":
        del method.__signature__
    elif how == "another":
        method.__signature__ = inspect.signature(lambda a, b: None)
    elif how == "own":
        method = Own(lambda x: x)
    elif how == "own, told otherwise":
        method = Own(lambda x: x)
        method.__signature__ = property()
    return method


METHODS = {
    "first": lambda: Methods().first,
    "second": lambda: Methods().second,
    "third": lambda: Methods().third,
    "unbound": lambda: Methods.second,
    "function": lambda: changed,
    "method": lambda: Methods().kickoff,
    "partial": lambda: partial(changed, "none"),
    "nothing": lambda: 3,
    "builtin": lambda: print,
    **{
        how: partial(changed, how)
        for how in ("none", "text", "gone", "another", "own", "own, told otherwise")
    },
}


@pytest.mark.parametrize("name", METHODS)
def test_the_same_signature(name):
    method = METHODS[name]()
    assert asked(signature_reader(runtime), method) == asked(inspect.signature, method)


def test_asks_inspect_when_it_is_patched(monkeypatch):
    signature = signature_reader(runtime)
    monkeypatch.setattr(inspect, "signature", lambda method: "patched")
    assert signature(Methods().first) == "patched"
