"""Additions to a record of events: what is added, and what the record is made of."""

import contextlib
import re
from unittest import mock

from crewai.state import event_record
from crewai.state.event_record import EventNode, EventRecord
from crewai.utilities.rw_lock import RWLock
from hypothesis import strategies as st

from strategies.events import IDS, THEN, Assigned, Mine, Other, contents, ids

links = st.tuples(ids, ids, ids, ids)
additions = st.fixed_dictionaries(
    {
        "what": st.sampled_from(
            [*["event"] * 8, "again", "bare", "dict", "number", "mock", "other", "assigned"]
        ),
        "id": st.sampled_from(IDS),
        "links": links,
    }
)
records = st.fixed_dictionaries(
    {
        "adds": st.lists(additions, min_size=1, max_size=8),
        "kind": st.sampled_from(
            [
                *["plain"] * 10,
                "subclass",
                "own lock",
                "lock's method",
                "lock's class",
                "own node",
                "own edges",
                "own init",
                "a mapping",
            ]
        ),
    }
)


def addition(spec, former):
    fields = ("parent_event_id", "triggered_by_event_id", "previous_event_id", "started_event_id")
    values = dict(zip(fields, spec["links"], strict=True))
    values |= {"event_id": spec["id"], "timestamp": THEN}
    kinds = {"event": Mine, "other": Other, "assigned": Assigned}
    what = spec["what"]
    if what in kinds:
        return kinds[what](**values)
    if what == "again" and former:
        return former[-1]
    if what == "bare":
        made = Mine.model_construct(**values)
        del made.__dict__["previous_event_id"]
        return made
    if what == "dict":
        return {"type": "mine", "event_id": spec["id"]}
    return mock.Mock(spec=Mine) if what == "mock" else 7


def recorded(function, example):
    """``EventRecord.add`` of each event: nodes, edges, errors, and what the lock is after it."""
    log, seen, former = [], [], []
    kind = example["kind"]
    record = EventRecord()

    class OwnLock(RWLock):
        def w_acquire(self):
            log.append("acquired")
            super().w_acquire()

    class OwnNode(EventNode):
        def add_edge(self, edge_type, target_id):
            log.append((edge_type, target_id))
            super().add_edge(edge_type, target_id)

    def noting(method):
        def noted(self, *arguments, **options):
            log.append(method.__name__)
            return method(self, *arguments, **options)

        return noted

    class Own(EventRecord):
        def __getattribute__(self, name):
            if name in ("_lock", "nodes"):
                log.append(f"read {name}")
            return super().__getattribute__(name)

    if kind == "subclass":
        record = Own()
    if kind == "own lock":
        record._lock = OwnLock()
    elif kind == "lock's method":
        record._lock.w_locked = lambda: noting(RWLock.w_locked)(record._lock)
    elif kind == "a mapping":
        record.nodes = Logged(log)
    patches = {
        "lock's class": lambda: mock.patch.object(RWLock, "w_locked", noting(RWLock.w_locked)),
        "own node": lambda: mock.patch.object(event_record, "EventNode", OwnNode),
        "own edges": lambda: mock.patch.object(EventNode, "add_edge", noting(EventNode.add_edge)),
        "own init": lambda: mock.patch.object(EventNode, "__init__", noting(EventNode.__init__)),
    }
    with patches.get(kind, contextlib.nullcontext)():
        for spec in example["adds"]:
            event = addition(spec, former)
            former.append(event)
            try:
                node = function(record, event)
                seen.append((node.event is event, node is record.nodes[event.event_id]))
            except Exception as error:
                text = re.sub(r"id='\d+'|0x[0-9a-f]+", "", str(error))
                seen.append((type(error), text))
            seen.append((record._lock._readers, record._lock._writer))
    if any(isinstance(event, mock.Mock) for event in former):
        return seen, log, len(record.nodes)
    return seen, log, contents(record)


class Logged(dict):
    """Nodes that note what is asked of them."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def __setitem__(self, key, value):
        self.log.append(("set", key))
        super().__setitem__(key, value)

    def __getitem__(self, key):
        self.log.append(("get", key))
        return super().__getitem__(key)

    def __contains__(self, key):
        self.log.append(("has", key))
        return super().__contains__(key)
