"""``pytest -p oracle_wrong``, after the accelerator: one route gives wrong results on purpose.

Shows that the judge can find against us (``run --accel wrong``). The route is the one named by
``ORACLE_WRONG_ROUTE``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from fast_crewai import engine

DEFAULT = "tools.sanitize-tool-name"


def spoiled(result: Any) -> Any:
    """Like the right result, and wrong: upper case, one element less."""
    if isinstance(result, str):
        return result.upper()
    if isinstance(result, list):
        return result[:-1]
    return result


def spoil(name: str) -> None:
    """Replace the route by one whose function spoils its result. CrewAI isn't imported yet."""
    state = engine.registry().states[name]
    build = state.route.build

    def wrong(site: Any) -> Callable[..., Any]:
        right = build(site)
        return lambda *arguments: spoiled(right(*arguments))

    state.route = state.route._replace(build=wrong)


spoil(os.environ.get("ORACLE_WRONG_ROUTE", DEFAULT))
