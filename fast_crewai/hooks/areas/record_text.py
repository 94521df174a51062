"""The JSON text of an event record, as ``json.dumps`` writes its dump.

CrewAI dumps and writes all events anew for each checkpoint. Here the plain part of an event is kept
as text for as long as it consists of the same values; its models are dumped each time.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timezone
from functools import lru_cache
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary

from fast_crewai import _core

_encode_any = json.JSONEncoder().encode  # as json.dumps with no options
_quoted = json.encoder.encode_basestring_ascii

_NONE = type(None)
_OF_A_DATACLASS = {
    *("__annotations__", "__annotations_cache__", "__annotate__", "__annotate_func__", "__dict__"),
    *("__dataclass_fields__", "__dataclass_params__", "__doc__", "__eq__", "__firstlineno__"),
    *("__hash__", "__init__", "__match_args__", "__module__", "__replace__", "__repr__"),
    *("__slotnames__", "__static_attributes__", "__weakref__", "result"),
}
_PLAIN_FIELD = {"type", "schema", "metadata"}
_WRAPPERS = ("function-before", "function-after", "definitions")


class OddEventError(Exception):
    """An event that isn't serialised field by field, or a record of another make."""


class Shape:
    """What is known of one class of events: of which fields its dump is made, and how.

    ``free`` are the fields of any type: pydantic asks the value itself how it is dumped. ``own``
    are those whose type says that a function does it, which may return something else each time.
    """

    __slots__ = ("free", "known", "own", "serializer")

    def __init__(self, kind: Any, model_dump: Any) -> None:
        from pydantic_core import SchemaSerializer

        self.serializer = kind.__pydantic_serializer__
        if kind.model_dump is not model_dump or type(self.serializer) is not SchemaSerializer:
            raise OddEventError("dumps itself in a way of its own")
        fields = self._fields(kind.__pydantic_core_schema__)
        self.known = fields.keys()
        self.free = {name for name, field in fields.items() if self._is_free(field["schema"])}
        self.own = {name for name, field in fields.items() if self._asks(field["schema"])}

    @staticmethod
    def _fields(schema: Any) -> dict[str, Any]:
        while "serialization" not in schema:
            if schema["type"] in _WRAPPERS:
                schema = schema["schema"]
            elif schema["type"] == "model":
                if schema.get("config", {}).keys() - {"title"} or schema.get("root_model"):
                    break
                schema = schema["schema"]
            elif schema["type"] == "model-fields" and not schema.get("computed_fields"):
                fields: dict[str, Any] = schema["fields"]
                if all(field.keys() <= _PLAIN_FIELD for field in fields.values()):
                    return fields
                break
            else:
                break
        raise OddEventError("is not serialised field by field")

    @classmethod
    def _asks(cls, schema: Any) -> bool:
        """Whether a function serializes a part of it. Its models are dumped each time anyway."""
        if isinstance(schema, (list, tuple)):
            return any(map(cls._asks, schema))
        if not isinstance(schema, dict) or schema.get("type") == "model":
            return False
        way = schema.get("serialization", {}).get("type", "")
        parts = (part for name, part in schema.items() if name not in ("default", "metadata"))
        return way.startswith("function") or any(map(cls._asks, parts))

    @staticmethod
    def _is_free(schema: Any) -> bool:
        while schema["type"] in ("default", "nullable") and "serialization" not in schema:
            schema = schema["schema"]
        return schema["type"] == "any" and "serialization" not in schema


class Answers:
    """CrewAI's dataclasses of what a model has answered. pydantic reads their fields."""

    def __init__(self) -> None:
        from crewai.agents.parser import AgentAction, AgentFinish

        own = [kind for kind in (AgentAction, AgentFinish) if self._is_own(kind)]
        self._known = [(kind, self._state(kind)) for kind in own]

    @staticmethod
    def _is_own(kind: Any) -> bool:
        """Nothing is read through somebody else's code: neither put there before us."""
        return (
            type(kind) is type
            and kind.__mro__ == (kind, object)
            and vars(kind).keys() <= _OF_A_DATACLASS
            and vars(kind).get("result") is None
        )

    def read(self, kind: Any) -> bool:
        """Whether it is one of them, as it was."""
        return any(kind is known and self._state(kind) == state for known, state in self._known)

    @staticmethod
    def _state(kind: Any) -> tuple[Any, ...]:
        fields, names = kind.__dataclass_fields__, dict(vars(kind))
        names.pop("__slotnames__", None)  # from a first copy on
        return (
            *(type(kind), kind.__mro__, names, dict(fields)),
            *((field.name, field._field_type) for field in fields.values()),
        )


class _Kept:
    """The text of an event's plain fields, and the values that it is the text of."""

    shape: Shape
    names: tuple[str, ...]
    values: list[Any]
    changeable: str | None
    odd: set[str]  # fields whose values can't be compared: dumped each time, as models are
    runs: list[tuple[str, str]]

    __slots__ = ("changeable", "names", "odd", "runs", "shape", "values")


class RecordText:
    """Writes records; keeps the texts of their events."""

    def __init__(self) -> None:
        from pydantic import BaseModel

        self._model = BaseModel
        self._model_dump = BaseModel.model_dump
        self._answers = Answers()
        self._shapes: dict[Any, Shape] = {}
        self._kept: WeakKeyDictionary[Any, dict[int, _Kept]] = WeakKeyDictionary()

    def of(self, lock: Any, nodes: list[tuple[str, Any, dict[str, list[str]]]]) -> list[str]:
        """A record with these events and edges, in pieces; ``lock`` is the record's own."""
        before = self._kept.get(lock, {})
        after: dict[int, _Kept] = {}
        pieces = ['{"nodes": {']
        for number, (key, event, edges) in enumerate(nodes):
            kept = after[id(event)] = self._plain(event, before.get(id(event)))
            pieces += (", " if number else "", _quoted(key), ': {"event": {')
            self._event(event, kept, pieces)
            pieces += ('}, "edges": ', encode(edges), "}")
        pieces.append("}}")
        self._kept[lock] = after
        return pieces

    def _shape(self, kind: Any) -> Shape:
        shape = self._shapes.get(kind)
        if (
            shape is None
            or shape.serializer is not kind.__pydantic_serializer__
            or kind.model_dump is not self._model_dump
        ):
            shape = self._shapes[kind] = Shape(kind, self._model_dump)
        return shape

    def _plain(self, event: Any, kept: _Kept | None) -> _Kept:
        """The texts of the plain fields: of those before, between and after the others."""
        shape, values = self._shape(type(event)), event.__dict__
        names = tuple(values)
        known = kept is not None and kept.shape is shape and kept.names == names
        if event.__pydantic_extra__ or not (known or values.keys() <= shape.known):
            raise OddEventError("has other fields than its class")
        plain: list[Any] = []
        changeable: list[Any] = []
        changing: list[str] = []
        own = shape.own & values.keys()
        for name, value in values.items():
            if name in own:
                plain.append(None)
                continue
            kind = type(value)
            # By identity: a class may have a metaclass with a hash of its own.
            if kind is str or kind is _NONE or kind is int or kind is bool:
                plain.append(value)
            elif kind is list or kind is dict or kind is tuple:
                plain.append(None)
                changeable.append([value])
                changing.append(name)
            elif (
                kind is float
                or kind is uuid.UUID
                or (kind is datetime and value.tzinfo in (None, timezone.utc))
            ):
                plain.append(value)
            elif isinstance(value, self._model):
                plain.append(kind)
            elif self._answers.read(kind):
                plain.append(kind)
                changeable.append([kind.__name__, value.__dict__])
                changing.append(name)
            else:
                plain.append(None)
                changeable.append([value])
                changing.append(name)
        content, odd = _content(changeable), own
        if content is None:
            pairs = zip(changing, changeable, strict=True)
            odd = own | {name for name, value in pairs if _content([value]) is None}
            pairs = zip(changing, changeable, strict=True)
            changeable = [value for name, value in pairs if name not in odd]
            content = _content(changeable)
        if (
            known
            and kept is not None
            and content is not None
            and kept.changeable == content
            and kept.odd == odd
            and all(map(is_, kept.values, plain))
        ):
            return kept
        before = list(values.values())
        kept = _Kept()
        kept.runs = self._runs(event, values, odd)
        if not all(map(is_, before, values.values())) or _content(changeable) != content:
            content = None  # changed by another thread
        kept.shape, kept.names, kept.odd = shape, names, odd
        kept.values, kept.changeable = plain, content
        return kept

    def _runs(self, event: Any, values: dict[str, Any], odd: set[str]) -> list[tuple[str, str]]:
        """(text in front of a model or an odd value; the name of its field, or "" at the end)."""
        apart = odd | {name for name, value in values.items() if isinstance(value, self._model)}
        found = event.model_dump(mode="json", exclude=apart, warnings="error")
        if list(found) != [name for name in values if name not in apart]:
            raise OddEventError("has fields that aren't dumped")
        runs, run = [], ""
        for number, name in enumerate(values):
            run += f"{', ' if number else ''}{_quoted(name)}: "
            if name in apart:
                runs.append((run, name))
                run = ""
            else:
                run += encode(found[name])
        runs.append((run, ""))
        return runs

    def _event(self, event: Any, kept: _Kept, pieces: list[str]) -> None:
        for text, name in kept.runs:
            pieces.append(text)
            if name:
                pieces.append(self._model_text(event, kept, name))

    def _model_text(self, event: Any, kept: _Kept, name: str) -> str:
        """A model is dumped anew each time: it, or what hangs on it, may be of the user's class."""
        if name in kept.shape.free and name not in kept.odd:
            value = event.__dict__[name]
            serializer = type(value).__pydantic_serializer__
            found = serializer.to_python(value, mode="json", warnings="error")
        else:
            found = event.model_dump(mode="json", include={name}, warnings="error")[name]
        return encode(found)


@lru_cache(maxsize=1)
def _outer() -> Any:
    from pydantic_core import SchemaSerializer, core_schema

    return SchemaSerializer(core_schema.any_schema())


def dumped(value: Any) -> Any:
    """What pydantic makes of a serializer's return value: no NaN, no object, is left in it."""
    return _outer().to_python(value, mode="json")


def encode(value: Any) -> str:
    """The text of a serializer's return value."""
    try:
        text = _core.json_text(value)
    except (_core.Declined, _core.CoreError):
        text = ""
    if text and "NaN" not in text and "Infinity" not in text:
        return text
    return _encode_any(dumped(value))


def _content(values: list[Any]) -> str | None:
    """Text that only equal values of the same plain types have; None for others, and circles."""
    try:
        return _core.json_text(values)
    except (_core.Declined, _core.CoreError):
        return None
