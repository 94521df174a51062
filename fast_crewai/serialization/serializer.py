"""Many messages at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fast_crewai import native
from fast_crewai.serialization import python
from fast_crewai.serialization.message import AgentMessage
from fast_crewai.serialization.python import PythonAgentMessage


class RustSerializer:
    """Writes and reads batches of messages; without state, so any number of threads may use it.

    ``use_rust``: None (Rust if there is a native module), True or False. Raises
    NativeUnavailableError for True without one.
    """

    def __init__(self, use_rust: bool | None = None) -> None:
        rust = native.choose(use_rust, "serialize_messages", "serialization")
        self._rust = native.find()[0] if rust is not None else None

    @property
    def implementation(self) -> str:
        """ "rust" or "python"."""
        return "python" if self._rust is None else "rust"

    def serialize_batch(self, messages: Iterable[Mapping[str, Any] | AgentMessage]) -> list[str]:
        """The JSON text of each message (dicts with the five fields, or AgentMessages), in order.

        Other keys of a dict are ignored. Raises SerializationError with the ``index`` of the
        first bad one, TypeError for anything else than a dict or AgentMessage.
        """
        if self._rust is None:
            return python.serialize_messages([_own(m, PythonAgentMessage) for m in messages])
        written: list[str] = self._rust.serialize_messages(
            [_own(m, self._rust.AgentMessage) for m in messages]
        )
        return written

    def deserialize_batch(self, texts: Iterable[str | bytes]) -> list[dict[str, Any]]:
        """The five fields of each JSON text, as dicts, in order.

        Raises SerializationError with the ``index`` of the first bad one.
        """
        if self._rust is None:
            return python.deserialize_messages(list(texts))
        found: list[dict[str, Any]] = self._rust.deserialize_messages(list(texts))
        return found


def _own(message: Any, class_: type) -> Any:
    """The message as the chosen implementation takes it."""
    if type(message) is dict or isinstance(message, class_):
        return message
    if isinstance(message, AgentMessage):
        return class_(
            message.id, message.sender, message.recipient, message.content, message.timestamp
        )
    return dict(message) if isinstance(message, Mapping) else message
