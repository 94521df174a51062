"""The record of all events: one node per event, linked to those it belongs to.

The rest of ``EventRecord.add`` is CrewAI's own code: the lock and the node are ours. pydantic
takes an event as it is, so a node needs no validation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fast_crewai.hooks.areas import rw_lock
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Route, Site, TargetError

_MODULE = "crewai.state.event_record"


def _check_schemas(node: Any, event: Any, resolve: Any) -> None:
    """Raises TargetError unless ``node(event=event)`` only wraps the event."""
    schema = node.__pydantic_core_schema__
    fields = schema["schema"].get("fields", {})
    if schema["type"] != "model" or list(fields) != ["event", "edges"]:
        raise TargetError("EventNode has other fields")
    wrapped, edges = fields["event"]["schema"], fields["edges"]["schema"]
    inner = wrapped["schema"] if wrapped["type"] == "function-before" else {}
    plain = (
        schema["config"].keys() <= {"title"}
        and not schema["custom_init"]
        and wrapped.get("function", {}).get("function") is resolve
        and inner.get("type") == "model"
        and inner["cls"] is event
        and inner["config"].keys() <= {"title"}
        and edges["type"] == "default"
        and edges.get("default_factory") is dict
        and not edges.get("validate_default")
        and node.__pydantic_post_init__ is None
        and not node.__private_attributes__
        and node.__new__ is object.__new__
    )
    if not plain:
        raise TargetError("EventNode validates its events")


def _add(site: Site) -> Callable[..., Any]:
    from pydantic import BaseModel
    from pydantic_core import SchemaValidator

    module: Any = site.module
    kind, event_kind, lock_kind = module.EventNode, module.BaseEvent, module.RWLock
    _check_schemas(kind, event_kind, module._resolve_event)
    validator, init = kind.__pydantic_validator__, BaseModel.__init__
    if type(validator) is not SchemaValidator or kind.__init__ is not init:
        raise TargetError("EventNode is validated by a plugin")
    unaltered = rw_lock.Unaltered(lock_kind)
    new, slots = object.__new__, vars(BaseModel)
    set_dict = slots["__dict__"].__set__
    set_fields = slots["__pydantic_fields_set__"].__set__
    set_extra = slots["__pydantic_extra__"].__set__
    set_private = slots["__pydantic_private__"].__set__

    def writing(record: Any) -> Any:
        lock = record._lock
        condition = unaltered.condition_of(lock)
        if condition is None:
            return lock.w_locked()
        return rw_lock.ShortHold(lock, condition, True)

    def node_of(event: Any) -> Any:
        wanted = module.EventNode
        if (
            wanted is not kind
            or event_kind not in type(event).__mro__
            or kind.__pydantic_validator__ is not validator
            or kind.__init__ is not init
        ):
            return wanted(event=event)
        node = new(kind)
        set_dict(node, {"event": event, "edges": {}})
        set_fields(node, {"event"})
        set_extra(node, None)
        set_private(node, None)
        return node

    return recompiled(
        site.original,
        {"self._lock.w_locked()": "_fc_writing(self)", "EventNode(event=event)": "_fc_node(event)"},
        {"_fc_writing": writing, "_fc_node": node_of},
    )


ADD = Route(
    name="events.record",
    target=f"{_MODULE}:EventRecord.add",
    why="a validated model and a lock taken by two context managers per event",
    build=_add,
    reads=(
        f"{_MODULE}:_resolve_event",
        *rw_lock.READS,
        "pydantic.main:BaseModel.__init__",
    ),
)
