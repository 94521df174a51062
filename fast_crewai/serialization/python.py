"""The Python twin of ``_core.AgentMessage``: same results, same errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from fast_crewai.errors import SerializationError

TEXTS = ("id", "sender", "recipient", "content")
MAX_DEPTH = 200
_SURROGATE = re.compile("[\ud800-\udfff]")


class PythonAgentMessage:
    """A message between two agents; immutable."""

    __slots__ = ("content", "id", "recipient", "sender", "timestamp")
    id: str
    sender: str
    recipient: str
    content: str
    timestamp: int
    implementation = "python"

    def __init__(self, id: str, sender: str, recipient: str, content: str, timestamp: int) -> None:
        values = (id, sender, recipient, content)
        for name, value in zip(TEXTS, values, strict=True):
            object.__setattr__(self, name, _text(value, name))
        object.__setattr__(self, "timestamp", _number(timestamp))

    @staticmethod
    def from_json(text: str | bytes) -> PythonAgentMessage:
        """The message that a JSON text is."""
        return PythonAgentMessage(**read(text))

    def to_json(self) -> str:
        """The message as JSON: no spaces, no ASCII escapes but for lone surrogates."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in TEXTS}
        fields["timestamp"] = self.timestamp
        written = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", written)

    def _fields(self) -> tuple[Any, ...]:
        return (self.id, self.sender, self.recipient, self.content, self.timestamp)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"attribute {name!r} of an AgentMessage can't be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"attribute {name!r} of an AgentMessage can't be deleted")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PythonAgentMessage):
            return NotImplemented
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        texts = ", ".join(f"{name}={getattr(self, name)!r}" for name in TEXTS)
        return f"AgentMessage({texts}, timestamp={self.timestamp!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        from fast_crewai.serialization.message import AgentMessage

        return AgentMessage, self._fields()


def serialize_messages(messages: list[Any]) -> list[str]:
    """``to_json`` of each; messages may be dicts with the fields' names."""
    written = []
    for index, message in enumerate(messages):
        try:
            if isinstance(message, dict):
                message = PythonAgentMessage(**_known(message))
            elif not isinstance(message, PythonAgentMessage):
                name = type(message).__name__
                raise TypeError(f"not an AgentMessage or dict: {name}")
            written.append(message.to_json())
        except SerializationError as error:
            raise _at(error, index) from error
    return written


def deserialize_messages(texts: list[Any]) -> list[dict[str, Any]]:
    """The fields of each JSON text."""
    found = []
    for index, text in enumerate(texts):
        try:
            found.append(read(text))
        except SerializationError as error:
            raise _at(error, index) from error
    return found


def read(text: str | bytes) -> dict[str, Any]:
    """The five fields of a JSON text, checked."""
    if not isinstance(text, str | bytes):
        raise TypeError(f"JSON is str or bytes, not {type(text).__name__}")
    try:
        if isinstance(text, bytes):
            text = text.decode()
        elif not text.isascii():
            text.encode()
    except UnicodeError:
        raise SerializationError("not JSON: the text is not Unicode", "syntax") from None
    try:
        document = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise SerializationError(f"not JSON: {error}", "syntax") from None
    if text.count("[") + text.count("{") > MAX_DEPTH and _deeper(document, MAX_DEPTH):
        raise SerializationError(f"nested over {MAX_DEPTH} levels", "syntax")
    if not isinstance(document, dict):
        raise SerializationError("a message is a JSON object", "type")
    fields = _known(document)
    for name in TEXTS:
        fields[name] = _text(fields[name], name)
    fields["timestamp"] = _number(fields["timestamp"])
    return fields


def _known(fields: Mapping[Any, Any]) -> dict[str, Any]:
    known = {}
    for name in (*TEXTS, "timestamp"):
        if name not in fields:
            raise SerializationError(f"{name} is missing", "missing", name)
        check = _number if name == "timestamp" else _text
        known[name] = check(fields[name], name)
    return known


def _text(value: Any, field: str) -> str:
    if type(value) is str:
        return value
    if not isinstance(value, str):
        raise SerializationError(f"{field} is not a string", "type", field)
    return str.__str__(value)


def _number(value: Any, field: str = "timestamp") -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise SerializationError(f"{field} is not an integer", "type", field)
    number = int.__index__(value)
    if not 0 <= number < 1 << 64:
        raise SerializationError(f"{field} is not between 0 and 2**64-1", "range", field)
    return number


def _deeper(document: Any, limit: int) -> bool:
    level = [document]
    for _ in range(limit + 1):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value.values())
                below.append(None)
            elif isinstance(value, list):
                below.extend(value)
                below.append(None)
        level = below
        if not level:
            return False
    return True


def _at(error: SerializationError, index: int) -> SerializationError:
    return SerializationError(error.message, error.kind, error.field, index)


def _integer(digits: str) -> int:
    return int(digits) if len(digits) < 1000 else 1 << 999  # int() refuses very long ones


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_constant)
