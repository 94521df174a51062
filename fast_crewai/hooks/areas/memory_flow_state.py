"""The state that a recall or a save shows in its last event, dumped without copying it first.

CrewAI copies the state deeply, vectors included, and dumps the copy. The copy of a state that
holds nothing but plain data is dumped to the same text; no code of anybody's runs in between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined, are_plain_hits
from fast_crewai.hooks.areas.plain_states import ATOMS, PlainStates, only_atoms
from fast_crewai.hooks.route import Site

_STATES = {"RecallFlow": "RecallState", "EncodingFlow": "EncodingState"}


class _Memories(PlainStates):
    """A record's vector is excluded from every dump: what is in the list doesn't matter."""

    def __init__(self) -> None:
        super().__init__()
        from crewai.memory.types import MemoryRecord

        self._record: Any = MemoryRecord
        self._embedding = MemoryRecord.model_fields["embedding"]

    def plain(self, value: Any, depth: int = 0) -> bool:
        may_be_hits = type(value) is list and value and type(value[0]) in (tuple, dict)
        if may_be_hits and are_plain_hits(value, self._record, ATOMS):
            return True
        if type(value) is not self._record:
            return super().plain(value, depth)
        values = dict(vars(value))
        embedding = values.pop("embedding", None)
        labels, details = values.pop("categories", None), values.pop("metadata", None)
        return (
            only_atoms(map(type, values.values()))
            and type(labels) is list
            and only_atoms(map(type, labels))
            and super().plain(details, depth + 1)
            and type(embedding) in (list, type(None))
            and not value.__pydantic_extra__
            and not value.__pydantic_private__
        )

    def are_excluded(self) -> bool:
        """Whether records are dumped as we know it: without their vectors."""
        return self._embedding.exclude is True and self._plain_class(self._record)


def copy_and_serialize_state(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``Flow._copy_and_serialize_state`` in one of memory's flows."""
    kind: Any = site.namespace
    original = site.original
    copy_state = kind._copy_state
    own_state = vars(site.module)[_STATES[kind.__name__]]
    memories = _Memories()

    def fast(self: Any) -> Any:
        found = getattr(super(kind, self)._copy_and_serialize_state, "__func__", None)
        if type(self) is not kind or found is not original or "_copy_state" in vars(self):
            raise Declined("another flow")
        if kind._copy_state is not copy_state:
            raise Declined("patched: Flow._copy_state")
        state = self._state
        if type(state) is not own_state or not (memories.are_excluded() and memories.plain(state)):
            raise Declined("a state with more than plain data")
        try:
            return state.model_dump(mode="json")
        except Exception as error:
            raise Declined("a state that can't be dumped") from error

    return fast
