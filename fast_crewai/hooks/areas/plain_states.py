"""States that are copied and dumped by no code of the user's."""

from __future__ import annotations

import datetime
import decimal
import uuid
import weakref
from typing import Any

ATOMS = frozenset(
    (
        str,
        int,
        float,
        bool,
        type(None),
        bytes,
        datetime.datetime,
        datetime.date,
        datetime.time,
        datetime.timedelta,
        decimal.Decimal,
        uuid.UUID,
    )
)
only_atoms = ATOMS.issuperset
_DEPTH = 20
_INHERITED = (
    "__deepcopy__",
    "__getattribute__",
    "__getattr__",
    "__new__",
    "model_copy",
    "model_dump",
)


class PlainStates:
    """Looks at states; of their classes, remembers what their schema says."""

    def __init__(self) -> None:
        from pydantic import BaseModel

        self._model: Any = BaseModel
        self._inherited = [(name, getattr(BaseModel, name, None)) for name in _INHERITED]
        self._classes: weakref.WeakKeyDictionary[Any, tuple[Any, bool]]
        self._classes = weakref.WeakKeyDictionary()

    def plain(self, value: Any, depth: int = 0) -> bool:
        kind = type(value)
        if kind in ATOMS:
            return True
        if depth > _DEPTH:
            return False
        if kind is dict:
            return only_atoms(map(type, value)) and self._all_plain(value.values(), depth)
        if kind in (list, tuple, set, frozenset):
            return self._all_plain(value, depth)
        return (
            isinstance(value, self._model)
            and self._plain_class(kind)
            and not value.__pydantic_extra__
            and not value.__pydantic_private__
            and self._all_plain(value.__dict__.values(), depth)
        )

    def _all_plain(self, values: Any, depth: int) -> bool:
        return only_atoms(map(type, values)) or all(
            self.plain(value, depth + 1) for value in values
        )

    def _plain_class(self, kind: Any) -> bool:
        if any(getattr(kind, name, None) is not found for name, found in self._inherited):
            return False
        schema = kind.__pydantic_core_schema__
        known = self._classes.get(kind)
        if known is None or known[0] is not schema:
            decorators = kind.__pydantic_decorators__
            plain = type(schema) is dict and not (
                decorators.field_serializers
                or decorators.model_serializers
                or decorators.computed_fields
                or _serializes(schema)
            )
            known = self._classes[kind] = (schema, plain)
        return known[1]


def _serializes(schema: Any) -> bool:
    """Whether a function serializes some part."""
    if isinstance(schema, (list, tuple)):
        return any(map(_serializes, schema))
    if not isinstance(schema, dict):
        return False
    own = schema.get("serialization")
    if isinstance(own, dict) and str(own.get("type", "")).startswith("function"):
        return True
    return any(map(_serializes, schema.values()))
