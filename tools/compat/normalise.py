"""What differs between any two runs (ids, times, addresses, places), made the same.

Ids become their order of first appearance in the document, so that which id stands where is
still compared. Everything else of this kind becomes a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

_DURATIONS = re.compile(r"duration|elapsed|latency|_ms$|_seconds$|_time$|^time_|^timestamp$")
_CLOCKS = re.compile(r"^(created|updated|timestamp)$|_at$")

_PATTERNS = (
    (re.compile(r"(?<!\d)\d{8}T\d{6}_[0-9a-f]{8}(?![0-9a-f])"), "<checkpoint>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b(?= is today)"), "<date>"),
    (re.compile(r"\b1[6-9]\d{8}\.\d{3,9}\b"), "<time>"),  # seconds since 1970, as a text
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "<address>"),
    (re.compile(r"\b(127\.0\.0\.1|localhost|api\.openai\.com):\d{4,5}\b"), r"\1:<port>"),
    (re.compile(r"\b\d+(?:\.\d+)?(?:e-\d+)? ?(?:ms|s|seconds?|milliseconds?)\b"), "<duration>"),
)
_UUID = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b[0-9a-f]{32}\b"
    r"|\b(?:chatcmpl-|call_)[0-9a-f]{8,32}\b"  # ModelServer's are digests of the request
)
_FRAME = re.compile(r"File (.+), line \d+, in (\S+)$")
_PADDING = re.compile(r"(?<=\S)[ ]{2,}|[─═━]{2,}")


class Normaliser:
    """The ids of one document, and the folders of the run it comes from."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._ids: dict[str, int] = {}
        # Deepest first: a working folder may lie in the temporary one.
        ordered = sorted(places.items(), key=lambda place: -len(place[1]))
        self._places = [(path, f"<{name}>") for name, path in ordered]

    def text(self, text: str, *, number: bool = True) -> str:
        """A text; with `number=False` all ids are alike (for names, and for sorting)."""
        for path, name in self._places:
            text = text.replace(path, name)
        for pattern, word in _PATTERNS:
            text = pattern.sub(word, text)
        return _UUID.sub(lambda found: self._id(found[0]) if number else "<id>", text)

    def _id(self, value: str) -> str:
        return f"<id {self._ids.setdefault(value.replace('-', ''), len(self._ids))}>"

    def value(self, value: Any, *, number: bool = True) -> Any:
        """A JSON value."""
        if isinstance(value, str):
            return self.text(value, number=number)
        if isinstance(value, list):
            return [self.value(part, number=number) for part in value]
        if isinstance(value, dict):
            return {
                self.text(key, number=number): (
                    "<time>" if _is_time(key, part) else self.value(part, number=number)
                )
                for key, part in value.items()
            }
        return value

    def terminal(self, text: str, *, number: bool = True) -> list[str]:
        """Lines as they were printed, without the padding that depends on what was replaced."""
        lines = [self.text(line, number=number) for line in text.splitlines()]
        return _without_dispatchers([_PADDING.sub(" ", line).strip() for line in lines])


def _without_dispatchers(lines: list[str]) -> list[str]:
    """Without the frame of a function of ours that called CrewAI's, which follows it at once.

    Its line is that of the ``def``, where no frame of CrewAI's ever stands (docs/architecture.md).
    """
    kept: list[str] = []
    rest = iter(range(len(lines)))
    for at in rest:
        here, after = _FRAME.match(lines[at]), [line for line in lines[at + 1 : at + 4] if line]
        there = _FRAME.match(after[1]) if here and len(after) > 1 else None
        defined = here and re.match(rf"(async )?def {re.escape(here[2])}\(", after[0])
        if defined and there and here and here.groups() == there.groups():
            for _ in range(lines.index(after[1], at + 1) - at - 1):
                next(rest)
            continue
        kept.append(lines[at])
    return kept


def _is_time(key: str, value: Any) -> bool:
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, (int, float)):
        return bool(_DURATIONS.search(key) or _CLOCKS.search(key))
    return isinstance(value, str) and bool(_CLOCKS.search(key))


def events(
    recorded: list[dict[str, Any]],
    places: Mapping[str, str],
    *,
    races: Iterable[str] = (),
    per: str | None = None,
    varies: Iterable[str] = (),
    sets: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """The events in an order that doesn't depend on races, one flat object each.

    With `per`, events below different events of that type (or different roots) interleave freely.
    """
    alike = Normaliser(places)
    free, dropped = frozenset(races), frozenset(varies)
    seen = [_flat(event, not (per or event["type"] in free), dropped) for event in recorded]

    def content(event: Any) -> str:
        return json.dumps(alike.value(event, number=False), sort_keys=True)

    for name in sets:
        seen = [_sorted(event, name, content) for event in seen]
    if per:
        by_id = {event["event_id"]: event for event in seen}
        groups: dict[str, list[dict[str, Any]]] = {}
        for event in seen:
            groups.setdefault(_branch(event, by_id, per), []).append(event)
        ordered = [_settle(group, free, content) for group in groups.values()]
        ordered.sort(key=lambda group: [content(event) for event in group])
        seen = [event for group in ordered for event in group]
    else:
        seen = _settle(seen, free, content)
    numbering = Normaliser(places)
    for event in seen:  # ids of events first: 0, 1, 2… in order
        numbering.text(event["event_id"])
    return [numbering.value(event) for event in seen]


def _settle(seen: list[dict[str, Any]], free: frozenset[str], content: Any) -> list[dict[str, Any]]:
    """Events in order; where only racing types stand side by side, by their content."""
    settled: list[dict[str, Any]] = []
    for racing, run in groupby(seen, key=lambda event: event["type"] in free):
        together = list(run)
        settled.extend(sorted(together, key=content) if racing else together)
    return settled


def _sorted(value: Any, name: str, content: Any) -> Any:
    """The value with the lists under this name in the order of their contents."""
    if isinstance(value, list):
        return [_sorted(part, name, content) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        key: sorted(part, key=content)
        if key == name and isinstance(part, list)
        else _sorted(part, name, content)
        for key, part in value.items()
    }


def _flat(event: dict[str, Any], in_turn: bool, dropped: frozenset[str]) -> dict[str, Any]:
    fields = dict(event.get("fields", {}))
    for name in dropped | {"timestamp", *(() if in_turn else ("emission_sequence",))}:
        fields.pop(name, None)
    thread = re.sub(r"\d+", "#", event["thread"])
    return {
        "event_id": "",
        "parent_event_id": None,
        **fields,
        "type": event["type"],
        "class": event["class"],
        "source": event["source"],
        "thread": thread,
    }


def _branch(event: dict[str, Any], by_id: Mapping[str, dict[str, Any]], per: str) -> str:
    """The id of the nearest event above that starts a branch of its own."""
    event = by_id.get(event.get("started_event_id") or "", event)  # an end belongs to its start
    while event["type"] != per and (above := by_id.get(event["parent_event_id"] or "")):
        event = above
    return str(event["event_id"])
