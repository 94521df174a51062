"""The errors of the public classes: one hierarchy, raised by Rust and by the Python twins alike.

    FastCrewAIError
    ├── NativeError              a failure inside the native module (``_core.CoreError``)
    ├── NativeUnavailableError   ``use_rust=True`` without a native module
    ├── SerializationError       a message that can't be written or read
    ├── StorageError             a memory store that can't be read or written
    ├── DatabaseError            what SQLite refuses
    ├── ToolError
    │   ├── ToolValidationError      arguments that don't fit their JSON schema
    │   ├── ToolRecursionError       tools that call tools too deeply
    │   └── ToolTimeoutError
    └── TaskError
        ├── CycleError           tasks that wait for each other
        ├── UnknownTaskError
        ├── TaskStateError       a task marked in an order that can't be
        ├── TaskTimeoutError
        └── TaskCancelledError

Each is also the built-in exception that fits (``ValueError``, ``TimeoutError`` …).
"""

from __future__ import annotations

from typing import Any


class FastCrewAIError(Exception):
    """Base of all errors that Fast-CrewAI's public classes raise on purpose."""


class NativeError(FastCrewAIError):
    """The core failed internally: a caught panic, or a state that cannot occur."""


class NativeUnavailableError(FastCrewAIError, RuntimeError):
    """``use_rust=True``, but there is no native module that can be loaded."""


class SerializationError(FastCrewAIError, ValueError):
    """A message that can't be written or read.

    ``kind``: "syntax" (not JSON, or nested over 200 levels), "missing" (a field), "type", "range"
    (a timestamp outside 0 to 2**64-1). ``field``: the field's name, or None. ``index``: the
    position in a batch, or None.
    """

    def __init__(
        self, message: str, kind: str, field: str | None = None, index: int | None = None
    ) -> None:
        super().__init__(message, kind, field, index)
        self.message = message
        self.kind = kind
        self.field = field
        self.index = index

    def __str__(self) -> str:
        where = "" if self.index is None else f"message {self.index}: "
        return where + self.message


class StorageError(FastCrewAIError):
    """A memory store whose file can't be read or written, or that must not be reset."""


class DatabaseError(FastCrewAIError):
    """What SQLite, or the connection pool, refuses."""


class ToolError(FastCrewAIError):
    """A tool that could not be executed; exceptions of the tool itself pass unchanged."""


class ToolValidationError(ToolError, ValueError):
    """Arguments that don't fit their JSON schema.

    ``violations``: tuple of ``fast_crewai.tools.Violation``, in the schema's order.
    """

    def __init__(self, message: str, violations: tuple[Any, ...] = ()) -> None:
        super().__init__(message, violations)
        self.message = message
        self.violations = violations

    def __str__(self) -> str:
        return self.message


class ToolRecursionError(ToolError, RecursionError):
    """Tools that call tools, deeper than ``max_recursion_depth``."""


class ToolTimeoutError(ToolError, TimeoutError):
    """A tool that took longer than it may; its thread can't be stopped and runs on."""


class TaskError(FastCrewAIError):
    """A graph of tasks that can't be run; exceptions of the tasks themselves pass unchanged."""


class CycleError(TaskError, ValueError):
    """Tasks that wait for each other. ``cycle``: their ids, the first one again at the end."""

    def __init__(self, cycle: list[str]) -> None:
        super().__init__(cycle)
        self.cycle = cycle

    def __str__(self) -> str:
        return "tasks wait for each other: " + " → ".join(self.cycle)


class UnknownTaskError(TaskError, KeyError):
    """A task id that nobody registered. ``task_id``: that id."""

    def __init__(self, task_id: str) -> None:
        super().__init__(task_id)
        self.task_id = task_id

    def __str__(self) -> str:
        return f"unknown task {self.task_id!r}"


class TaskStateError(TaskError, ValueError):
    """A task that can't be marked so in the state it has."""


class TaskTimeoutError(TaskError, TimeoutError):
    """A task that took longer than it may; its thread can't be stopped and runs on."""


class TaskCancelledError(TaskError):
    """A task that was not started, because another failed or the whole was cancelled."""
