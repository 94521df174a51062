"""What the decorators of flows make of a method, without the schema of all actions there could be.

``@start``, ``@listen`` and ``@router`` make a ``FlowMethodDefinition`` whose action is the
method's own code. CrewAI's import does that for its own flows, and would have the schemas of crews,
agents and tools built for it, which a flow's definition may contain as well. While that class
waits, such values are taken as pydantic takes them; all others are left to pydantic.
"""

from __future__ import annotations

import sys
from typing import Any

from fast_crewai.imports import pending

CLASS = "crewai.flow.flow_definition", "FlowMethodDefinition"

_DEFAULTS: dict[str, Any] = {  # in the order of the fields
    "description": None,
    "do": None,
    "start": None,
    "listen": None,
    "router": False,
    "emit": None,
    "human_feedback": None,
    "persist": None,
}
_OTHER = object()  # not as simple as that


class Validator:
    """Stands for a ``SchemaValidator`` in ``BaseModel.__init__``, which needs this method only."""

    def __init__(self, waiting: pending.Pending, action: type) -> None:
        self._waiting = waiting
        self._action = action  # whose instances are valid as they are

    def validate_python(self, data: dict[str, Any], *, self_instance: Any) -> Any:
        if type(self_instance) is self._waiting.cls:
            taken = self._take(data)
            if taken is not None:
                values = {**_DEFAULTS, **taken}
                object.__setattr__(self_instance, "__dict__", values)
                object.__setattr__(self_instance, "__pydantic_extra__", None)
                fields_set = {name for name in _DEFAULTS if name in taken}
                object.__setattr__(self_instance, "__pydantic_fields_set__", fields_set)
                object.__setattr__(self_instance, "__pydantic_private__", None)
                return self_instance
        validator = self._waiting.value(pending.VALIDATOR)
        return validator.validate_python(data, self_instance=self_instance)

    def _take(self, data: dict[str, Any]) -> dict[str, Any] | None:
        if type(data.get("do")) is not self._action:
            return None
        taken = {name: _taken(name, value) for name, value in data.items() if name != "do"}
        taken["do"] = data["do"]
        return None if any(value is _OTHER for value in taken.values()) else taken


def _taken(name: str, value: Any) -> Any:
    """What the field is for such a value."""
    kind = type(value)
    if kind is bool and name in ("start", "router"):
        return value
    if name in ("start", "listen"):
        if kind is str:
            return value
        if kind is dict and all(type(key) is str for key in value):
            return dict(value)
    elif name == "emit" and kind is list and all(type(item) is str for item in value):
        return list(value)
    return _OTHER


def validator(cls: type, waiting: pending.Pending) -> Validator | None:
    """For the one class that has it."""
    if (cls.__module__, cls.__qualname__) != CLASS or [*waiting.fields] != [*_DEFAULTS]:
        return None
    return Validator(waiting, sys.modules[CLASS[0]].FlowCodeActionDefinition)
