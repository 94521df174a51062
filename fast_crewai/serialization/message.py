"""``AgentMessage``: the one class that users name; its objects are Rust's or Python's."""

from __future__ import annotations

from abc import ABCMeta
from typing import TYPE_CHECKING, Any, NoReturn

from fast_crewai import native
from fast_crewai.serialization.python import PythonAgentMessage

_RUST: Any = native.choose(None, "AgentMessage", "serialization")


class AgentMessage(metaclass=ABCMeta):  # noqa: B024 - so that isinstance works
    """A message between two agents; immutable, hashable, picklable.

    ``id``, ``sender``, ``recipient``, ``content``: str (lone surrogates allowed). ``timestamp``:
    int from 0 to 2**64-1; its unit is the sender's business. ``use_rust``: None (Rust if there is
    a native module), True or False.

    ``implementation``: "rust" or "python"; both write and read the same.

    Raises SerializationError (kind "type" or "range"), NativeUnavailableError for
    ``use_rust=True`` without a native module.
    """

    if TYPE_CHECKING:
        id: str
        sender: str
        recipient: str
        content: str
        timestamp: int
        implementation: str

        def __init__(
            self,
            id: str,
            sender: str,
            recipient: str,
            content: str,
            timestamp: int,
            use_rust: bool | None = None,
        ) -> None: ...

        def to_json(self) -> str:
            """The message as JSON text: the five fields in this order, without spaces."""

        @staticmethod
        def from_json(text: str | bytes, use_rust: bool | None = None) -> AgentMessage:
            """See below."""

    else:

        def __new__(cls, id, sender, recipient, content, timestamp, use_rust=None):
            if use_rust is None and _RUST is not None:
                return _RUST(id, sender, recipient, content, timestamp)
            return _class(use_rust)(id, sender, recipient, content, timestamp)

        @staticmethod
        def from_json(text, use_rust=None):
            """The message that a JSON text (str, or bytes in UTF-8) is.

            Unknown fields are ignored; of a repeated field the last one counts. Raises
            SerializationError: kind "syntax" (also NaN, and nesting over 200 levels), "missing",
            "type" or "range", with the ``field``; TypeError if ``text`` is neither str nor bytes.
            """
            if use_rust is None and _RUST is not None:
                return _RUST.from_json(text)
            return _class(use_rust).from_json(text)

        def to_json(self):
            """The message as JSON text: the five fields in this order, without spaces."""
            raise NotImplementedError  # objects are of the classes registered below

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("AgentMessage can't be subclassed: its objects are of other classes")


def _class(use_rust: bool | None) -> Any:
    if use_rust is None:
        return _RUST or PythonAgentMessage
    return native.choose(use_rust, "AgentMessage") or PythonAgentMessage


AgentMessage.register(PythonAgentMessage)
if (_core := native.find()[0]) is not None:
    AgentMessage.register(_core.AgentMessage)
AcceleratedMessage = AgentMessage
