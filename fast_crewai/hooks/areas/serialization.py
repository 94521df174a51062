"""Routes of ``crewai.utilities.serialization`` (component ``serialization``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fast_crewai import _core
from fast_crewai.hooks.areas import checkpoints
from fast_crewai.hooks.route import Route, Site


def _to_serializable(site: Site) -> Callable[..., Any]:
    original, walk = site.original, _core.to_serializable

    def fast(obj: Any, exclude: Any, max_depth: Any, current_depth: Any, ancestors: Any) -> Any:
        return walk(obj, exclude, max_depth, current_depth, ancestors, original)

    return fast


ROUTES = (
    Route(
        name="serialization.to-serializable",
        target="crewai.utilities.serialization:to_serializable",
        why="every model call copies the whole message history twice (6-19 % of a ReAct step)",
        build=_to_serializable,
        pure=True,
        reads=("crewai.utilities.serialization:_to_serializable_key",),
        recursive=True,
    ),
    *checkpoints.ROUTES,
)
