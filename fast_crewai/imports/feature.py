"""Feature: one way in which CrewAI's import is made cheaper, and its state in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import MappingProxyType
from typing import Any

# No modules of others whose import must be seen: the same object each time.
NOTHING: Mapping[str, ModuleSpec | None] = MappingProxyType({})

WAITING = "waiting"
ACTIVE = "active"
OFF = "off"


@dataclass
class Feature:
    """Reported and switched off by its name like a route; ``calls`` counts how often it was used.

    ``state`` is "waiting" until CrewAI is imported.
    """

    name: str
    target: str
    why: str
    state: str = WAITING
    reason: str = ""
    calls: int = 0

    @property
    def component(self) -> str:
        return self.name.partition(".")[0]

    def choose(self, disabled: str | None, late: bool) -> None:
        """Take new settings: why the user wants it off, and whether CrewAI is imported already."""
        if disabled:
            self.turn_off(disabled)
        elif self.calls:
            self.state, self.reason = ACTIVE, ""
        elif late:
            self.turn_off("CrewAI was imported before us")
        else:
            self.state, self.reason = WAITING, ""

    def used(self) -> None:
        self.calls += 1
        self.state, self.reason = ACTIVE, ""

    def turn_off(self, reason: str) -> None:
        self.state, self.reason = OFF, reason

    def report(self) -> dict[str, Any]:
        """As a route is reported."""
        return {
            "name": self.name,
            "target": self.target,
            "state": self.state,
            "reason": self.reason,
            "calls": self.calls,
            "fallbacks": 0,
        }
