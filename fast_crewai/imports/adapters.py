"""CrewAI's type adapters for events, which nothing of CrewAI's uses, are built at their first use.

An adapter builds its schema when it is made, and the schemas of the nine events that it chooses
from. Here it waits like the models (``schemas``): until somebody asks for anything of that.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from typing import Any

MODULES = frozenset({"crewai.events.types.env_events", "crewai.events.types.system_events"})
_BUILT = frozenset({"core_schema", "pydantic_complete", "serializer", "validator"})

# id → an adapter, its attributes, and what makes one that is built.
_waiting: dict[int, tuple[Any, dict[str, Any], Callable[[], Any]]] = {}


def put_off(adapter: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    """``TypeAdapter._init_core_attrs``, for this thread's import of CrewAI."""
    thread, waiting = threading.get_ident(), _class(adapter)

    @functools.wraps(original)
    def _init_core_attrs(self: Any, *arguments: Any, **options: Any) -> Any:
        if (
            type(self) is not adapter
            or threading.get_ident() != thread
            or self._module_name not in MODULES
            or arguments
            or options.keys() != {"ns_resolver", "force"}
            or options["force"]
            or self._config is not None
        ):
            return original(self, *arguments, **options)
        del self.pydantic_complete
        names = vars(self)

        def build() -> Any:
            built = object.__new__(adapter)
            vars(built).update(names)
            original(built, **options)
            return built

        _waiting[id(self)] = self, names, build
        self.__class__ = waiting
        return False

    return _init_core_attrs


def complete_all() -> None:
    """All of them are built."""
    for adapter, *_ in list(_waiting.values()):
        with contextlib.suppress(Exception):  # whoever uses it is told
            _complete(adapter)


def _complete(adapter: Any) -> None:
    found = _waiting.get(id(adapter))
    if found is None:  # another thread has done it meanwhile
        return
    _, names, build = found
    built = build()
    for name, value in vars(built).items():  # what somebody has set stays
        names.setdefault(name, value)
    adapter.__class__ = type(built)
    _waiting.pop(id(adapter), None)


def _class(adapter: Any) -> Any:
    class Waiting(adapter):  # type: ignore[misc]
        """An adapter that has not been built."""

        def __getattr__(self, name: str) -> Any:
            if name in _BUILT:
                _complete(self)
            return object.__getattribute__(self, name)

        def __delattr__(self, name: str) -> None:
            _complete(self)
            object.__delattr__(self, name)

        @property
        def __dict__(self) -> Any:  # type: ignore[override]
            _complete(self)
            return vars(self)

        def __reduce_ex__(self, protocol: Any) -> Any:
            _complete(self)
            return object.__reduce_ex__(self, protocol)

    Waiting.__name__, Waiting.__qualname__ = adapter.__name__, adapter.__qualname__
    Waiting.__module__, Waiting.__doc__ = adapter.__module__, adapter.__doc__
    return Waiting
