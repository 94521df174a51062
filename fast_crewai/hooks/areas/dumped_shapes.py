"""What is known of the classes whose instances events and outputs are made of.

Only CrewAI's own classes, found in its modules, and Python's: they live as long as the process.
"""

from __future__ import annotations

import datetime
import re
import sys
import uuid
from enum import Enum, EnumMeta
from typing import Any

from fast_crewai.hooks.areas.record_text import OddEventError, Shape

_module_of = vars(type)["__module__"].__get__
_PYTHONS = {
    uuid.UUID: "text",
    datetime.date: "time",
    datetime.datetime: "time",
    datetime.timezone: "zone",
}


class Shapes(dict[Any, Any]):
    """Class → what ``_core.to_serializable`` does with its instances; False: nothing."""

    def __init__(self) -> None:
        from pydantic import BaseModel, main

        super().__init__(_PYTHONS)
        self._model, self._model_dump = BaseModel, BaseModel.model_dump
        self.kinds = type(BaseModel), EnumMeta
        self._is_own = getattr(self._model_dump, "__globals__", None) is vars(main)

    def learn(self, kind: Any) -> Any:
        if not self._is_own or not _is_crewais(kind):
            return False
        found = self[kind] = self._shape(kind)
        return found

    def _shape(self, kind: Any) -> Any:
        if issubclass(kind, Enum):
            own = (vars(base) for base in kind.__mro__ if base is not Enum)
            return "value" if not any("value" in names for names in own) else False
        if (
            not issubclass(kind, self._model)
            or kind.__getattribute__ is not object.__getattribute__
            or hasattr(kind, "__dataclass_fields__")
            or issubclass(kind, (dict, list, tuple, set, str, int, float))
        ):
            return False
        try:
            shape = Shape(kind, self._model_dump)
        except OddEventError:
            return False
        if _serializes(kind.__pydantic_core_schema__) or not _is_for(shape.serializer, kind):
            return False
        return shape.serializer, self._model_dump, frozenset(shape.known)


def _is_crewais(kind: Any) -> bool:
    """Not one that was made meanwhile, and could come and go."""
    name = _module_of(kind)
    if type(name) is not str or not name.startswith("crewai."):
        return False
    module = sys.modules.get(name)
    return module is not None and vars(module).get(type.__dict__["__name__"].__get__(kind)) is kind


def _is_for(serializer: Any, kind: Any) -> bool:
    """Whether the serializer was made for this class: pydantic's says so in its text only."""
    found = re.search(r"class: Py\(\s*0x([0-9a-fA-F]+)", repr(serializer))
    return found is not None and int(found[1], 16) == id(kind)


def _serializes(schema: Any) -> bool:
    """Whether a serializer of anybody's own is somewhere in it."""
    if isinstance(schema, dict):
        return "serialization" in schema or any(map(_serializes, schema.values()))
    return isinstance(schema, (list, tuple)) and any(map(_serializes, schema))
