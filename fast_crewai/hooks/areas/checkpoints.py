"""Checkpoints: a record of events that grows while it is written, and how much of it is new.

CrewAI dumps the record without its lock, while other threads add events and edges. pydantic
panics when a dictionary changes under it, and the checkpoint is lost.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas import rw_lock
from fast_crewai.hooks.areas.own_json import writes_as_usual
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.areas.record_text import RecordText, dumped, encode
from fast_crewai.hooks.dispatch import original_of
from fast_crewai.hooks.route import Route, Site, locate

_RECORD = "crewai.state.event_record"
_RUNTIME = "crewai.state.runtime"
_LISTENER = "crewai.state.checkpoint_listener"

_ATTEMPTS = 20


class _Snapshots:
    """Records as they are at one moment: no event or edge can be added meanwhile."""

    def __init__(self, module: Any) -> None:
        self._kind, self._node = module.EventRecord, module.EventNode
        self._unaltered = rw_lock.Unaltered(module.RWLock)

    def lock_of(self, record: Any) -> Any:
        if type(record) is not self._kind or record.__dict__.keys() != {"nodes"}:
            raise Declined("a record of another kind")
        return (record.__pydantic_private__ or {}).get("_lock")

    def nodes(self, record: Any) -> list[tuple[str, Any, dict[str, list[str]]]]:
        """(key, event, edges) of every node. Raises Declined."""
        lock = self.lock_of(record)
        condition = self._unaltered.condition_of(lock)
        if condition is None:
            raise Declined("a lock of another kind")
        kind = self._node
        with rw_lock.ShortRead(lock, condition):
            nodes = record.__dict__["nodes"]
            if type(nodes) is not dict:
                raise Declined("nodes that are not a dict")
            found = []
            for key, node in nodes.items():
                if type(node) is not kind or type(key) is not str:
                    raise Declined("a node of another kind")
                content = node.__dict__
                if list(content) != ["event", "edges"] or node.__pydantic_extra__:
                    raise Declined("a node with other fields")
                edges = content["edges"]
                if type(edges) is not dict:
                    raise Declined("edges that are not a dict")
                found.append((key, content["event"], edges.copy()))
            for _, _, edges in found:
                for name, targets in edges.items():
                    if type(targets) is not list:
                        raise Declined("targets that are not a list")
                    edges[name] = targets.copy()
        return found

    def copy(self, record: Any) -> Any:
        """The record's own class with nodes that nobody else has."""
        nodes = {
            key: self._node.model_construct(event=event, edges=edges)
            for key, event, edges in self.nodes(record)
        }
        return self._kind.model_construct(nodes=nodes)


def _model_dump(site: Site) -> Callable[..., Any]:
    snapshots, original = _Snapshots(site.module), site.original
    code = original.__code__
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]

    def fast(record: Any, *given: Any) -> Any:
        options = dict(zip(names, given, strict=True))
        copy = snapshots.copy(record)
        try:
            return original(copy, **options)
        except Exception as error:
            raise Declined("its dump fails") from error

    return fast


class _Written:
    """What a payload has in the place of its record: the record's text, in pieces."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces


def _is_a_change(error: BaseException) -> bool:
    """Whether something was changed by another thread while it was read."""
    if type(error) is not RuntimeError and type(error).__name__ != "PanicException":
        return False
    text = str(error)
    return "changed size during iteration" in text or "keys changed during iteration" in text


def _do_checkpoint(site: Site) -> Callable[..., Any]:
    from pydantic import BaseModel

    record_module: Any = locate(f"{_RECORD}:EventRecord").module
    runtime: Any = locate(f"{_RUNTIME}:RuntimeState").module
    snapshots, texts = _Snapshots(record_module), RecordText()
    names, kind = vars(site.module), runtime.RuntimeState
    serializer, model_dump, dumps = kind.__pydantic_serializer__, BaseModel.model_dump, json.dumps
    node_parts = [(record_module.EventNode, "__pydantic_serializer__")]
    node_parts.append((record_module.EventRecord, "__pydantic_serializer__"))
    expected = [getattr(*part) for part in node_parts]

    def record_of(record: Any) -> Any:
        ours = original_of(type(record).model_dump) is model_dump
        if ours and [getattr(*part) for part in node_parts] == expected:
            try:
                return _Written(texts.of(snapshots.lock_of(record), snapshots.nodes(record)))
            except Exception:  # anything that is not as expected, or fails for CrewAI, too
                pass
        return record.model_dump(mode="json")

    serialize = recompiled(
        vars(kind)["_serialize"],
        {"self._event_record.model_dump(mode='json')": "_fc_record(self._event_record)"},
        {"_fc_record": record_of},
    )

    def once(state: Any) -> Any:
        if (
            type(state) is not kind
            or original_of(kind.model_dump) is not model_dump
            or kind.__pydantic_serializer__ is not serializer
            or BaseModel.model_dump is not model_dump
        ):
            return state.model_dump(mode="json")
        made = serialize(state)
        return made if type(made["event_record"]) is _Written else dumped(made)

    def payload(state: Any) -> Any:
        for attempt in range(_ATTEMPTS):
            try:
                return once(state)
            except BaseException as error:
                if not _is_a_change(error) or attempt + 1 == _ATTEMPTS:
                    raise
            time.sleep(0.001 * attempt)
        return None

    def text(made: Any) -> Any:
        module = names["json"]
        record = made.get("event_record") if type(made) is dict else None
        if type(record) is not _Written:
            return module.dumps(made)
        if not writes_as_usual(module):
            nodes = json.loads("".join(record.pieces))
            return module.dumps(dumped({**made, "event_record": nodes}))
        pieces = []
        for number, (key, value) in enumerate(made.items()):
            pieces.append(f"{', ' if number else '{'}{dumps(key)}: ")
            if value is record:
                pieces += record.pieces
            else:
                pieces.append(encode(value))
        pieces.append("}")
        return "".join(pieces)

    return recompiled(
        site.original,
        {
            "state.model_dump(mode='json')": "_fc_payload(state)",
            "json.dumps(payload)": "_fc_text(payload)",
        },
        {"_fc_payload": payload, "_fc_text": text},
    )


ROUTES = (
    Route(
        name="serialization.event-record",
        target=f"{_RECORD}:EventRecord.model_dump",
        why="a record that grows while it is dumped makes pydantic panic (11 of 25 checkpoints)",
        build=_model_dump,
        pure=True,
        reads=("pydantic.main:BaseModel.model_dump", *rw_lock.READS),
    ),
    Route(
        name="serialization.checkpoint",
        target=f"{_LISTENER}:_do_checkpoint",
        why="each checkpoint dumps and writes every agent and task once per event (20 to 40 ms)",
        build=_do_checkpoint,
        reads=(
            f"{_RUNTIME}:RuntimeState._serialize",
            f"{_RECORD}:_resolve_event",
            "pydantic.main:BaseModel.model_dump",
            *rw_lock.READS,
        ),
    ),
)
