"""Routes of ``crewai.utilities.serialization`` (component ``serialization``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fast_crewai import _core
from fast_crewai.hooks.areas import checkpoints
from fast_crewai.hooks.areas.dumped_shapes import Shapes
from fast_crewai.hooks.route import Route, Site

_MODULE = "crewai.utilities.serialization"


def _to_serializable(site: Site) -> Callable[..., Any]:
    original, walk, shapes = site.original, _core.to_serializable, Shapes()
    names, known = vars(site.module), (shapes, shapes.learn, shapes.kinds)
    model, date, moment, ids = (names[name] for name in ("BaseModel", "date", "datetime", "uuid"))
    kind = ids.UUID

    def fast(obj: Any, exclude: Any, max_depth: Any, current_depth: Any, ancestors: Any) -> Any:
        own = names["BaseModel"] is model and names["uuid"] is ids and ids.UUID is kind
        own = own and names["date"] is date and names["datetime"] is moment
        given = known if own else None
        return walk(obj, exclude, max_depth, current_depth, ancestors, original, given)

    return fast


ROUTES = (
    Route(
        name="serialization.to-serializable",
        target=f"{_MODULE}:to_serializable",
        why="every model call copies the whole message history twice (6-19 % of a ReAct step)",
        build=_to_serializable,
        pure=True,
        reads=(f"{_MODULE}:_to_serializable_key",),
        recursive=True,
    ),
    *checkpoints.ROUTES,
)
