"""What every program of this folder shares: an offline environment, the model, and a recorder.

Programs import it before CrewAI. Started by `python tools/compat run`, the environment says where
to write what happened; started by hand, nothing is written and no file stays behind::

    PROGRAM_EVENTS    every event of CrewAI's bus, in the order of the calls of `emit`
    PROGRAM_REQUESTS  every request for a completion, in the order of arrival

The recorder is an attribute `emit` of the bus itself, as a test's mock would be: the class and
the handlers stay as they are. It sees an event when `emit` is called, so an event that a handler
emits comes after the one that it handles, whatever threads do; and it copies the event's fields
in the emitting thread, before anybody can change what they refer to.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

sys.path.insert(1, str(Path(__file__).resolve().parents[2] / "examples"))

from model_server import ModelServer, Reply, Request, Rule, ToolCall

if TYPE_CHECKING:
    from crewai import LLM

__all__ = ["ModelServer", "Reply", "Request", "Rule", "ToolCall", "embed", "play"]

_DIMENSIONS = 32


def _go_offline() -> None:
    """No connection leaves this machine, and no file stays behind outside of `tools/compat`."""
    os.environ.update(
        CREWAI_DISABLE_TELEMETRY="true",
        CREWAI_DISABLE_VERSION_CHECK="true",
        CREWAI_TRACING_ENABLED="false",
        OTEL_SDK_DISABLED="true",
        ANONYMIZED_TELEMETRY="False",  # chromadb's
        NO_PROXY="127.0.0.1,api.openai.com",
        no_proxy="127.0.0.1,api.openai.com",
    )
    if "CREWAI_STORAGE_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="crewai-program-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        tempfile.tempdir = folder
        os.environ.update(CREWAI_STORAGE_DIR=folder, HOME=folder)
        os.chdir(folder)
    # A user who doesn't want traces; others CrewAI asks at the first execution, and waits.
    user = Path(os.environ["CREWAI_STORAGE_DIR"], ".crewai_user.json")
    if not user.exists():
        user.write_text('{"first_execution_done": true, "trace_consent": false}')
    # On compatible servers CrewAI warns before each call that it estimates the tokens.
    logging.getLogger("crewai.llms.base_llm").setLevel(logging.ERROR)


_go_offline()


@contextmanager
def play(
    *rules: Rule, alias: str | None = None, model: str = "openai/gpt-4o-mini", **options: Any
) -> Iterator[LLM]:
    """The language model of a program: it answers by `rules`; meanwhile events are recorded.

    With `alias="api.openai.com"` CrewAI does what it does for OpenAI alone.
    """
    from crewai import LLM
    from crewai.events.event_bus import crewai_event_bus

    events = _target("PROGRAM_EVENTS")
    recorder = Recorder(crewai_event_bus) if events else None
    with ModelServer(rules, record=True, alias=alias) as server:
        try:
            yield LLM(model=model, base_url=server.base_url, api_key="not-needed", **options)
        finally:
            crewai_event_bus.flush()
            if events and recorder:
                events.write_text(json.dumps(recorder.close()), encoding="utf-8")
            if requests := _target("PROGRAM_REQUESTS"):
                bodies = [body for path, body in server.recorded if path.endswith("/completions")]
                requests.write_text(json.dumps(bodies), encoding="utf-8")


def _target(name: str) -> Path | None:
    return Path(os.environ[name]) if os.environ.get(name) else None


def embed(texts: Sequence[str]) -> list[list[float]]:
    """An embedding of words by their hashes: equal words, near vectors; no model, no download."""
    vectors = []
    for text in texts:
        vector = [0.0] * _DIMENSIONS
        for word in text.lower().split():
            digest = hashlib.sha256(word.strip(".,:;!?()").encode()).digest()
            vector[digest[0] % _DIMENSIONS] += 1.0
            vector[digest[1] % _DIMENSIONS] += 0.5
        norm = sum(x * x for x in vector) ** 0.5 or 1.0
        vectors.append([x / norm for x in vector])
    return vectors


class Recorder:
    """Every event of the bus: type, source's class, thread, and all fields."""

    def __init__(self, bus: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self._bus = bus
        self._emit, self._aemit = bus.emit, bus.aemit
        bus.emit, bus.aemit = self._emitted, self._aemitted

    def _emitted(self, source: Any, event: Any) -> Any:
        seen = self._open(source, event)
        try:
            return self._emit(source, event)
        finally:
            seen["fields"] = _fields(event)

    async def _aemitted(self, source: Any, event: Any) -> Any:
        seen = self._open(source, event)
        try:
            return await self._aemit(source, event)
        finally:
            seen["fields"] = _fields(event)

    def _open(self, source: Any, event: Any) -> dict[str, Any]:
        seen = {
            "type": event.type,
            "class": type(event).__name__,
            "source": type(source).__name__,
            "thread": threading.current_thread().name,
        }
        self.events.append(seen)
        return seen

    def close(self) -> list[dict[str, Any]]:
        """Stop recording and give what was seen."""
        del self._bus.emit, self._bus.aemit
        return self.events


def _fields(event: Any) -> dict[str, Any]:
    """An event's fields, extra ones and those set later included."""
    return {name: plain(value) for name, value in vars(event).items()}


# Too large, and full of back-references: their class has to do.
_ENTITIES = ("Agent", "Crew", "Task", "Flow", "LLM", "Tool", "Memory", "Executor", "Knowledge")


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON; written here, as CrewAI's own serialiser is one of the suspects."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, (datetime, date, UUID, Path)):
        return str(value)
    if isinstance(value, Enum):
        return plain(value.value, depth)
    name = type(value).__name__
    if depth > 8:
        return f"<{name}>"
    if isinstance(value, dict):
        return {str(key): plain(part, depth + 1) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part, depth + 1) for part in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(part, depth + 1) for part in value), key=repr)
    if isinstance(value, BaseException):
        return f"<{name}: {value}>"
    entity = any(part.__name__.endswith(_ENTITIES) for part in type(value).__mro__)
    if hasattr(type(value), "model_fields") and not entity:
        return {"<class>": name, **_fields(value)}
    if is_dataclass(value) and not isinstance(value, type) and not entity:
        parts = {part.name: getattr(value, part.name, None) for part in fields(value)}
        return {"<class>": name, **plain(parts, depth)}
    if callable(value) and hasattr(value, "__name__"):
        return f"<{name} {value.__name__}>"
    return f"<{name}>"
