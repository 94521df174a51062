"""The record of all events: one node per event, linked to those it belongs to.

pydantic takes an event as it is, so a node of CrewAI's own class needs no validation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas import rw_lock
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
    names, owner, kind, event_kind = (
        vars(module),
        site.namespace,
        module.EventNode,
        module.BaseEvent,
    )
    _check_schemas(kind, event_kind, module._resolve_event)
    validator, init, add_edge = kind.__pydantic_validator__, BaseModel.__init__, kind.add_edge
    if type(validator) is not SchemaValidator or kind.__init__ is not init:
        raise TargetError("EventNode is validated by a plugin")
    unaltered = rw_lock.Unaltered(module.RWLock)
    new, slots = object.__new__, vars(BaseModel)
    set_dict = slots["__dict__"].__set__
    set_fields = slots["__pydantic_fields_set__"].__set__
    set_extra = slots["__pydantic_extra__"].__set__
    set_private = slots["__pydantic_private__"].__set__

    def link(one: Any, edge: str, back: str, one_id: Any, nodes: Any, other_id: Any) -> None:
        other = nodes[other_id]
        one.setdefault(edge, []).append(other_id)
        if type(other) is kind:
            other.edges.setdefault(back, []).append(one_id)
        else:
            other.add_edge(back, one_id)

    def fast(self: Any, event: Any) -> Any:
        if (
            type(self) is not owner
            or event_kind not in type(event).__mro__
            or names["EventNode"] is not kind
            or kind.__pydantic_validator__ is not validator
            or kind.__init__ is not init
            or kind.add_edge is not add_edge
        ):
            raise Declined("not a plain record or event")
        record: Any = self
        private = getattr(record, "__pydantic_private__", None)
        lock: Any = private.get("_lock") if type(private) is dict else None
        condition = unaltered.condition_of(lock)
        if condition is None:
            raise Declined("a lock of another kind")
        with condition._lock:
            while lock._writer or lock._readers > 0:
                condition.wait()
            node = new(kind)
            edges: dict[str, list[str]] = {}
            set_dict(node, {"event": event, "edges": edges})
            set_fields(node, {"event"})
            set_extra(node, None)
            set_private(node, None)
            nodes, event_id = record.nodes, event.event_id
            nodes[event_id] = node
            other = event.parent_event_id
            if other and other in nodes:
                link(edges, "parent", "child", event_id, nodes, other)
            other = event.triggered_by_event_id
            if other and other in nodes:
                link(edges, "triggered_by", "trigger", event_id, nodes, other)
            other = event.previous_event_id
            if other and other in nodes:
                link(edges, "previous", "next", event_id, nodes, other)
            other = event.started_event_id
            if other and other in nodes:
                link(edges, "started", "completed_by", event_id, nodes, other)
        return node

    return fast


ADD = Route(
    name="events.record",
    target=f"{_MODULE}:EventRecord.add",
    why="a validated model and a lock taken by two context managers per event",
    build=_add,
    reads=(
        f"{_MODULE}:_resolve_event",
        f"{_MODULE}:EventNode.add_edge",
        *rw_lock.READS,
        "pydantic.main:BaseModel.__init__",
    ),
)
