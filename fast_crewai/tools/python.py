"""The Python twin of ``_core.RustToolExecutor``: the same places, in the same order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fast_crewai.tools.check import MAX_NESTING, Checker, Place, too_deep


class PythonToolExecutor:
    """JSON schemas of tools by name, and what arguments break of them."""

    implementation = "python"

    def __init__(self) -> None:
        self._schemas: dict[str, Any] = {}

    def register_tool(self, name: str, schema: Any) -> None:
        """Keep a schema (dict or bool) under a name."""
        self._schemas[name] = schema

    def validate_args(self, name: str, arguments: Any) -> list[Place]:
        """(path in the arguments, path in the schema) of everything that they break."""
        schema = self._schemas[name]
        try:
            return _check(schema, arguments)
        except RecursionError:  # the caller's stack is deep already: a thread has one of its own
            with ThreadPoolExecutor(1) as thread:
                return thread.submit(_check, schema, arguments).result()

    def batch_validate(self, name: str, batch: list[Any]) -> list[list[Place]]:
        """``validate_args`` of each."""
        return [self.validate_args(name, arguments) for arguments in batch]


def _check(schema: Any, arguments: Any) -> list[Place]:
    if too_deep(arguments, MAX_NESTING):
        return [([], ["depth"])]
    checker = Checker(schema)
    checker.check(schema, arguments)
    return checker.found
