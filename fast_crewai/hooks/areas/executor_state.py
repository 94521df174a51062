"""The state an agent's executor gets from ``Flow`` and replaces before anybody sees it.

``Flow._create_initial_state`` makes a class for it, pydantic schema included, once per agent and
task; ``AgentExecutor`` then sets a state of its own. One such class, made by CrewAI's own code,
serves all executors while nothing it was made from changes. Other flows keep their states, and
those are of different classes: they get CrewAI's own code.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.route import Route, Site

_RUNTIME = "crewai.flow.runtime"
_EXECUTOR = "crewai.agents.agent_executor"
_SPARE = 4
_NOTHING: Any = (None, None, None)


class _Sources:
    """What making a class reads: the bases as they are now, compared by identity."""

    def __init__(self, bases: tuple[Any, ...]) -> None:
        from pydantic import BaseModel
        from pydantic._internal._model_construction import ModelMetaclass

        self._bases = bases
        self._live = [vars(owner) for owner in (*bases, BaseModel, ModelMetaclass)]
        self._were = [dict(namespace) for namespace in self._live]
        self._detail = self._details()

    def unchanged(self, bases: tuple[Any, ...]) -> bool:
        return (
            all(a is b for a, b in zip(bases, self._bases, strict=True))
            and all(now == were for now, were in zip(self._live, self._were, strict=True))
            and self._details() == self._detail
        )

    def _details(self) -> list[Any]:
        return [
            (
                dict(base.model_config),
                [
                    (name, id(f), id(f.default), id(f.default_factory), id(f.annotation))
                    for name, f in base.__pydantic_fields__.items()
                ],
            )
            for base in self._bases
        ]


def _same(sources: _Sources, bases: tuple[Any, ...]) -> bool:
    try:
        return sources.unchanged(bases)
    except Exception:  # it can't be told
        return False


def _create_initial_state(site: Site) -> Callable[..., Any]:
    from pydantic.plugin import _loader

    executor: Any = site.namespace
    original, plugins = site.original, vars(_loader)
    runtime = original.__globals__
    own_state = vars(site.module)["AgentExecutorState"]
    # Who takes an entry owns it until it is put back, so two threads never use one class.
    spare: list[Any] = []  # (class, _Sources, weak reference to its last state)

    def fast(self: Any) -> Any:
        if type(self) is not executor or self.initial_state is not None:
            raise Declined("not the plain executor")
        if self.suppress_flow_events is not True:
            raise Declined("its events show the state")
        inherited: Any = getattr(super(executor, self)._create_initial_state, "__func__", None)
        if inherited is not original:
            raise Declined("patched: Flow._create_initial_state")
        bases = (runtime["FlowState"], self._initial_state_t)
        if bases[1] is not own_state or plugins["_plugins"]:
            raise Declined("not the executor's own state")
        try:
            entry: Any = spare.pop()
        except IndexError:
            entry = _NOTHING
        kind, sources, last = entry
        # A state that still lives (of a model_construct()ed executor) keeps its class to itself.
        if kind is not None and last() is None and _same(sources, bases):
            extension = self._create_default_extension_state()
            if extension is not None:
                return extension
            state = kind()
            if not getattr(state, "id", None):
                object.__setattr__(state, "id", str(runtime["uuid4"]()))
        else:
            try:
                sources = _Sources(bases)
            except Exception as error:  # another thread rebuilds the model, say
                raise Declined(f"{type(error).__name__} when looking at the class") from error
            state = original(self)
            kind = type(state)
            if kind.__bases__ != bases or not _same(sources, bases):
                return state
        if len(spare) < _SPARE:
            spare.append((kind, sources, weakref.ref(state)))
        return state

    return fast


ROUTES = (
    Route(
        name="agents.executor-state",
        target=f"{_EXECUTOR}:AgentExecutor._create_initial_state",
        why="a pydantic class is made for every agent and thrown away (29 % of a small task)",
        build=_create_initial_state,
        reads=(
            f"{_RUNTIME}:Flow._create_initial_state",
            f"{_RUNTIME}:Flow._flow_post_init",
            f"{_EXECUTOR}:AgentExecutor._setup_executor",
        ),
    ),
)
