"""One of the two processes that tests/property/test_memory_equality.py compares.

It answers what standard input asks, a JSON list a line: a store to be written first, if any, how
it is opened, and questions. Each answer is the text of everything that can be seen: the result or
the exception, events with all their fields, what was asked of the model, what was logged. The
clock of scores stands still; the time of a touch is the number of the question that touched.
"""

from __future__ import annotations

import json
import logging
import random
import re
import shutil
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parent / "property"))

OWN = {"timestamp", "event_id", "parent_event_id", "previous_event_id", "emission_sequence"}
OWN |= {"triggered_by_event_id", "started_event_id", "query_time_ms"}
ROUTES = ("search", "deep-recall", "recall-state", "list", "list-scopes", "list-categories")
ROUTES += ("scope-info", "forget")


def vector(text: str, dim: int) -> list[float]:
    chance = random.Random(text)
    return [chance.uniform(-1, 1) for _ in range(dim)]


def write(path: str, dim: int, count: int, seed: int, batches: int, writes: int) -> None:
    """A store, in several fragments, some rows touched or deleted."""
    from crewai.memory.storage.lancedb_storage import LanceDBStorage
    from strategies import memories

    chance = random.Random(seed)
    storage = LanceDBStorage(path=path, vector_dim=dim, compact_every=0)
    records = [memories.record(chance, number, dim) for number in range(count)]
    size = max(1, -(-count // batches))
    for first in range(0, count, size):
        storage.save(records[first : first + size])
    with patch("crewai.memory.storage.lancedb_storage.datetime", memories.Frozen):
        for number in range(min(writes, count)):
            ids = [record.id for record in chance.sample(records, min(3, count))]
            if number == 1:
                storage.delete(record_ids=ids[:1])
            else:
                storage.touch_records(ids)


class Asker:
    """A memory, and what is seen of it."""

    def __init__(self) -> None:
        from crewai.events.event_bus import crewai_event_bus
        from crewai.events.types import flow_events, memory_events

        self._bus = crewai_event_bus
        self._kinds = [
            kind
            for module in (flow_events, memory_events)
            for kind in vars(module).values()
            if isinstance(kind, type) and kind.__module__ == module.__name__
        ]
        self.events: list[Any] = []
        self.said: list[Any] = []
        handler = logging.Handler(logging.WARNING)
        handler.emit = self._log  # type: ignore[method-assign]
        logging.getLogger("crewai").addHandler(handler)

    def _log(self, record: logging.LogRecord) -> None:
        self.said.append((record.name, record.levelname, record.getMessage()))

    def open(self, path: str, dim: int, options: dict[str, Any]) -> Any:
        from crewai.llms.base_llm import BaseLLM
        from crewai.memory.storage.lancedb_storage import LanceDBStorage
        from crewai.memory.unified_memory import Memory

        analysis, said = options.pop("analysis"), self.said

        class Model(BaseLLM):
            def call(self, messages: Any, *_: Any, **__: Any) -> Any:
                said.append(messages)
                asks = len(messages) > 1
                return json.dumps(analysis) if asks and analysis else "One thing is missing."

        def embed(texts: list[str]) -> list[list[float]]:
            said.append(list(texts))
            return [vector(text, dim) for text in texts]

        storage = LanceDBStorage(path=path, compact_every=0)
        return Memory(llm=Model(model="local"), storage=storage, embedder=embed, **options)

    def answers(
        self, path: str, dim: int, options: dict[str, Any], listens: bool, questions: list[Any]
    ) -> list[str]:
        from strategies import memories

        answers = []
        begun = datetime.now() - timedelta(days=1)  # whatever the clock's zone
        touches: dict[str, int] = {}

        def touched(match: re.Match[str]) -> str:
            """The time of a touch as the number of the question that is the first to show it."""
            text = match.group()
            if time_of(text) < begun:
                return text
            return f"<touch {touches.setdefault(time_of(text).isoformat(), len(answers))}>"

        with (
            patch("crewai.memory.types.datetime", memories.Frozen),
            self._bus.scoped_handlers(),
        ):
            if listens:
                for kind in self._kinds:
                    self._bus.on(kind)(lambda source, event: self.events.append(event))
            memory = self.open(path, dim, dict(options))
            for what, given in questions:
                self.said.clear()
                self.events.clear()
                found = memories.outcome(ask, memory, dim, what, given)
                self._bus.flush()
                seen = sorted(self.events, key=lambda event: event.emission_sequence)
                answer = repr(in_order_of_text([found, list(map(described, seen)), self.said]))
                answers.append(TIME.sub(touched, answer))
            rows = memory._storage._table.search().limit(10_000).to_list()
            answers.append(TIME.sub(touched, repr(rows)))
            memory.close()
        return answers


TIME = re.compile(
    r"datetime\.datetime\(([\d, ]+)\)|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?=['\"])"
)


def time_of(text: str) -> datetime:
    if text.startswith("datetime"):
        return datetime(*map(int, text.partition("(")[2].rstrip(")").split(",")))
    return datetime.fromisoformat(text)


def in_order_of_text(value: Any) -> Any:
    """Sets as sorted lists: their order depends on how they were made."""
    if isinstance(value, set):
        return ["a set", *sorted(value, key=repr)]
    if isinstance(value, (list, tuple)):
        return [in_order_of_text(item) for item in value]
    return value


def described(event: Any) -> Any:
    fields = event.model_dump(exclude=OWN)
    if "state" in fields and isinstance(fields["state"], dict):
        fields["state"].pop("id", None)
    return type(event).__name__, list(fields.items())


def ask(memory: Any, dim: int, what: str, given: Any) -> Any:
    storage = memory._storage
    if what == "search":
        seed, *rest = given
        return storage.search(vector(f"q{seed}", dim if seed else dim + 1), *rest)
    if what in ("scope-recall", "slice-recall"):
        view, options = given
        view = memory.scope(view) if what == "scope-recall" else memory.slice(view)
        return shown(view.recall(**options))
    if what == "recall":
        return shown(memory.recall(**given))
    if what in ("delete", "count"):
        return getattr(storage, what)(**given)
    return getattr(memory, what)(**given)


def shown(matches: list[Any]) -> Any:
    return [
        (match.record, match.score, match.match_reasons, match.evidence_gaps) for match in matches
    ]


def in_order(futures: Any) -> Any:
    """Of the orders in which CrewAI's threads may end, that in which they were started."""
    futures = list(futures)
    for future in futures:
        future.exception()
    return futures


def prepare(on: bool) -> Callable[[], dict[str, int]]:
    """Import CrewAI, with us or without; what is returned counts the calls that were ours."""
    from crewai.events.event_listener import EventListener
    from crewai.memory import recall_flow
    from crewai.memory.storage import lancedb_storage  # noqa: F401

    EventListener().formatter.verbose = False
    recall_flow.as_completed = in_order
    if not on:
        return dict
    import fast_crewai
    from fast_crewai import engine

    fast_crewai.install()

    def counted() -> dict[str, int]:
        states = engine.registry().states
        tallies = {name: states[f"memory.{name}"].tally for name in ROUTES}
        return {name: tally.calls - tally.fallbacks for name, tally in tallies.items()}

    return counted


def main() -> None:
    counted, asker = prepare(sys.argv[1] == "on"), Asker()
    for line in sys.stdin:
        path, store, copies, *case = json.loads(line)
        if store:
            write(path, *store)
            for copy in copies:
                shutil.copytree(path, copy)
        answers = asker.answers(path, *case) if case else []
        print(json.dumps([answers, counted()]), flush=True)


if __name__ == "__main__":
    main()
