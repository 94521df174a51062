"""What chromadb's settings are made from when it is imported: they may be such that it refuses.

Without us that is when CrewAI is imported. A ``.env`` that has changed since, or is another
folder's, is read as it was then.
"""

from __future__ import annotations

import hashlib
import io
import sys
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fast_crewai import config
from fast_crewai.imports import manifest

_FILE = Path(".env")  # of the working directory
_SOURCE = ("pydantic_settings.sources.providers.dotenv", "DotEnvSettingsSource")


@dataclass
class Inputs:
    variables: dict[str, str] = field(default_factory=dict)
    text: str | None = None  # of the file
    problem: str = ""  # it can't be read


def read() -> Inputs:
    """As it is now. Never raises."""
    try:
        text = _FILE.read_bytes().decode() if _FILE.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        return Inputs(config.environment(), problem=type(error).__name__)
    return Inputs(config.environment(), text)


def digest(inputs: Inputs, names: Collection[str]) -> str:
    """Of what may concern these settings; it tells nobody what they are."""

    def concerns(text: str) -> bool:
        return any(word in text.upper() for word in (*names, *manifest.VARIABLES))

    variables = sorted(item for item in inputs.variables.items() if concerns(item[0]))
    lines = (inputs.text or "").splitlines()
    known = repr((variables, list(filter(concerns, lines)), inputs.problem))
    return hashlib.sha256(known.encode("utf-8", "surrogatepass")).hexdigest()


class Kept:
    """Between ``begin`` and ``end`` the file is as it was, in this thread."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._threads: set[int] = set()
        self._replaced: tuple[Any, Any] | None = None  # pydantic's class, and its method

    def begin(self) -> None:
        self._threads.add(threading.get_ident())
        source = getattr(sys.modules.get(_SOURCE[0]), _SOURCE[1], None)
        if self._replaced is not None or source is None:
            return
        original = source._read_env_files
        self._replaced = source, original
        source._read_env_files = lambda asking: (
            self._values(asking) if self._is_for(asking) else original(asking)
        )

    def end(self) -> None:
        self._threads.discard(threading.get_ident())
        if not self._threads and self._replaced is not None:
            source, original = self._replaced
            source._read_env_files = original
            self._replaced = None

    def _is_for(self, asking: Any) -> bool:
        ours = threading.get_ident() in self._threads and asking.env_file == str(_FILE)
        return ours and asking.settings_cls.__module__ == manifest.SETTINGS[0]

    def _values(self, asking: Any) -> Any:
        if self._inputs.text is None:
            return {}
        module = sys.modules[_SOURCE[0]]
        read = module.dotenv_values(stream=io.StringIO(self._inputs.text))
        how = asking.case_sensitive, asking.env_ignore_empty, asking.env_parse_none_str
        return module.parse_env_vars(read, *how)


def can_be_kept() -> bool:
    """Whether pydantic's class is such that ``Kept`` can do what it says."""
    module = sys.modules.get(_SOURCE[0])
    source = getattr(module, _SOURCE[1], None)
    names = ("dotenv_values", "parse_env_vars")
    return hasattr(source, "_read_env_files") and all(hasattr(module, name) for name in names)
