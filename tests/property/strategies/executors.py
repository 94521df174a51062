"""Executors of agents, and what happens around the making of their first state."""

import functools
from typing import Any
from unittest import mock

from hypothesis import strategies as st

steps = st.lists(
    st.sampled_from(
        [
            *["plain"] * 8,
            "kept",
            "initial",
            "visible",
            "subclass",
            "hook",
            "field",
            "default",
            "title",
            "extension",
            "no id",
            "failing",
        ]
    ),
    min_size=1,
    max_size=4,
)


executor_of = functools.cache(lambda owner: owner.model_construct())


def program(function: Any, todo: list[str], owner: Any) -> Any:
    """What each state looks like, and whether its class is shared with a state that lives."""
    seen, alive = [], []
    executor = executor_of(owner)
    for step in todo:
        with mock.patch.object(executor, "initial_state", None):
            seen.append(one(function, executor, owner, step, alive))
    return seen


def one(function: Any, executor: Any, owner: Any, step: str, alive: list[Any]) -> Any:
    own, hooked = owner._initial_state_t, []
    runtime = function.__globals__
    if step == "subclass":
        executor = type("Mine", (owner,), {}).model_construct()
    elif step == "initial":
        executor.initial_state = {"a": 1}
    executor.suppress_flow_events = step != "visible"
    patches = {
        "hook": lambda: mock.patch.object(
            own, "__pydantic_init_subclass__", lambda **_: hooked.append(1)
        ),
        "default": lambda: mock.patch.object(own.model_fields["iterations"], "default", 7),
        "field": lambda: mock.patch.dict(
            own.__pydantic_fields__, plan_ready=own.model_fields["is_finished"]
        ),
        "title": lambda: mock.patch.dict(own.model_config, title="Other"),
        "extension": lambda: mock.patch.object(
            owner, "_create_default_extension_state", lambda self: {"mine": 1}
        ),
        "no id": lambda: mock.patch.dict(runtime, uuid4=lambda: ""),
        "failing": lambda: mock.patch.dict(runtime, uuid4=mock.Mock(side_effect=OSError("no"))),
    }
    with patches.get(step, lambda: mock.patch.object(executor, "tracing", None))():
        try:
            state = function(executor)
        except OSError as error:
            return str(error)
    if isinstance(state, dict):
        return sorted(state)
    kind = type(state)
    shared = any(type(other) is kind for other in alive)
    if step in ("kept", "visible", "subclass"):
        alive.append(state)
    fields = {
        name: (f.default, f.annotation, f.description) for name, f in kind.model_fields.items()
    }
    return (
        (kind.__name__, kind.__qualname__, kind.__module__, kind.__bases__, kind.__doc__),
        (kind.model_config, fields, hooked, shared, len(state.id)),
        state.model_dump(exclude={"id"}),
    )
