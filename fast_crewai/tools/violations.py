"""What arguments break of their schema, as people read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Violation:
    """One broken rule.

    ``path``: keys and indexes to the offending value. ``schema_path``: those to the keyword.
    ``message``: both in words, e.g. ``$.count: minimum 3``.
    """

    path: tuple[str | int, ...]
    schema_path: tuple[str | int, ...]
    message: str


def described(place: tuple[Any, Any], schema: Any) -> Violation:
    """The violation at (path, schema path)."""
    path, schema_path = tuple(place[0]), tuple(place[1])
    where = "$" + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path)
    if schema_path == ("depth",):
        return Violation(path, schema_path, f"{where}: nested too deeply")
    names = [step for step in schema_path if isinstance(step, str)]
    keyword = names[-1] if names else "false"
    found = _at(schema, schema_path)
    text = "" if found is None else f" {json.dumps(found, default=str)[:200]}"
    if keyword in ("additionalProperties", "propertyNames") and found is False:
        return Violation(path, schema_path, f"{where}: not allowed")
    return Violation(path, schema_path, f"{where}: {keyword}{text}")


def _at(schema: Any, path: tuple[str | int, ...]) -> Any:
    """What a schema path leads to, through references; None if nothing."""
    root = here = schema
    for step in path:
        if isinstance(here, str) and here.startswith("#"):
            here = _pointed(root, here)
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            return None
    return here


def _pointed(root: Any, pointer: str) -> Any:
    here = root
    for step in pointer[1:].split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        try:
            here = here[int(step) if isinstance(here, list) else step]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return here
