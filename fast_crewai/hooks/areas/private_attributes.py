"""Reads of pydantic private attributes on CrewAI's own classes.

pydantic finds ``self._x`` in ``BaseModel.__getattr__``, after a miss; CrewAI reads hundreds of
them per step. The classes get a ``__getattr__`` of their own that knows just that case.
"""

from __future__ import annotations

from fast_crewai import _core
from fast_crewai.hooks.route import Route


def private_attributes(component: str, owner: str) -> Route:
    """The route of one class, given as "module:Class"."""
    return Route(
        name=f"{component}.private-attributes-{owner.partition(':')[2].lower()}",
        target=f"{owner}.__getattr__",
        why="hundreds of reads per agent step go through pydantic's __getattr__",
        build=lambda site: _core.PrivateAttributes(site.namespace, site.original).read,
        reads=(
            "pydantic.main:BaseModel.__getattr__",
            "pydantic.fields:ModelPrivateAttr.__getattr__",
        ),
    )
