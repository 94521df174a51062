"""Records of rows in RAM, made in Rust: what can be seen of them, and whose lists they have."""

import copy
import datetime
import gc
import itertools
import pickle
import random
import shutil
import sys
import time
import warnings
import weakref
from unittest.mock import patch

import pytest
from crewai.llms.base_llm import BaseLLM
from crewai.memory import recall_flow
from crewai.memory.recall_flow import RecallFlow
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from crewai.memory.types import MemoryConfig, MemoryMatch, MemoryRecord
from crewai.memory.unified_memory import Memory
from pydantic import BaseModel
from strategies import memories

import fast_crewai
from fast_crewai._core import are_plain_hits
from fast_crewai.hooks.areas.memory_flow_state import _Memories
from fast_crewai.hooks.areas.memory_records import Records
from fast_crewai.hooks.areas.memory_storage import TABLES
from fast_crewai.hooks.areas.plain_states import ATOMS

pytestmark = pytest.mark.usefixtures("routes")


@pytest.fixture
def storage(template, tmp_path):
    shutil.copytree(template, tmp_path / "s")
    return LanceDBStorage(path=tmp_path / "s", compact_every=0)


def found(storage, function=None):
    query = memories.vector(2, 0)
    if function is not None:
        return function(storage, query, None, None, None, 40, 0.0)
    return storage.search(query, limit=40)


def findings(storage, queries=(0, 1), function=None, **state):
    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.query_embeddings = [("q", memories.vector(2, n)) for n in queries]
    flow.state.candidate_scopes = ["/a", "/", "/a/b"]
    flow.state.limit, flow.state.include_private = 20, True
    for name, value in state.items():
        setattr(flow.state, name, value)
    return (function or RecallFlow._do_search)(flow)


def parts(record):
    """All that may be changed in place."""
    inner = [value for value in record.metadata.values() if type(value) in (list, dict)]
    own = [vars(record), record.embedding, record.categories, record.metadata]
    return [record, record.model_fields_set, *own, *inner]


def test_everything_that_can_be_seen(storage, routes):
    plain = LanceDBStorage.search.__wrapped__
    assert any(type(v) is list for r, _ in found(storage) for v in r.metadata.values())
    before = routes["memory.search"].tally.fallbacks
    for (ours, one), (theirs, other) in zip(found(storage), found(storage, plain), strict=True):
        assert type(ours) is type(theirs) is MemoryRecord
        assert memories.shown(ours) == memories.shown(theirs)
        assert (one, type(one)) == (other, type(other))
        assert ours == theirs
        assert pickle.loads(pickle.dumps(ours)) == theirs
        assert copy.deepcopy(ours) == theirs
        assert ours.model_dump() == theirs.model_dump()
        assert ours.model_dump_json(exclude_unset=True) == theirs.model_dump_json(
            exclude_unset=True
        )
        for mine, its in zip(parts(ours), parts(theirs), strict=True):
            assert type(mine) is type(its)
            assert gc.is_tracked(mine) == gc.is_tracked(its)
    assert routes["memory.search"].tally.fallbacks == before


@pytest.mark.parametrize("names", [{}, {"categories": ["x"]}, {"time_cutoff": memories.NOW}])
def test_each_hit_has_a_record_of_its_own(storage, routes, names):
    calls = routes["memory.deep-recall"].tally.calls
    fallbacks = routes["memory.deep-recall"].tally.fallbacks
    names = {**names, "time_cutoff": names.get("time_cutoff") and memories.NOW.replace(year=2025)}
    ours = findings(storage, **names)
    theirs = findings(storage, function=RecallFlow._do_search.__wrapped__, **names)
    for answer in (theirs, ours):
        records = [record for finding in answer for record, _ in finding["results"]]
        assert len({record.id for record in records}) < len(records)
        ids = [id(part) for record in records for part in parts(record)]
        assert len(set(ids)) == len(ids)
    shown = [sorted(repr(memories.shown(f["results"])) for f in a) for a in (ours, theirs)]
    assert shown[0] == shown[1]
    assert routes["memory.deep-recall"].tally.calls == calls + 1
    assert routes["memory.deep-recall"].tally.fallbacks == fallbacks


def test_what_is_done_to_one_record_is_not_seen_in_another(storage):
    expected = memories.shown(found(storage))
    for record, _ in found(storage) + found(storage):
        record.model_fields_set.clear()
        record.embedding.clear()
        record.categories.append("mine")
        for value in record.metadata.values():
            if type(value) is list:
                value.append("mine")
        record.metadata["mine"] = vars(record)["mine"] = 1
    assert memories.shown(found(storage)) == expected


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "no time"])
def test_the_collector_is_left_as_it_was(storage, on, text):
    storage._table.update(where="id = 'id3'", values={"last_accessed": text})
    found_plainly = memories.outcome(found, storage, LanceDBStorage.search.__wrapped__)
    records = Records(vars(sys.modules[LanceDBStorage.__module__]))
    (gc.enable if on else gc.disable)()
    try:
        assert memories.outcome(found, storage) == found_plainly
        assert gc.isenabled() == on
        native = TABLES.of(storage)._native
        made = memories.outcome(
            native.recall, [memories.vector(2, 0)], [None], 40, records.native, True, None, False
        )
        assert made == ([found_plainly] if text != "no time" else found_plainly)
        assert gc.isenabled() == on
    finally:
        gc.enable()


@pytest.mark.parametrize("column", ["created_at", "last_accessed"])
@pytest.mark.parametrize("text", ["no time", "2026-01-01T00:00:00Z", "2026-01-01", "2026-13-01"])
def test_times_of_other_forms(storage, column, text):
    storage._table.update(where="id = 'id3'", values={column: text})
    with patch("crewai.memory.types.datetime", memories.Frozen):
        shown = [
            sorted(repr(memories.shown(f)) for f in findings(storage, function=function))
            for function in (None, RecallFlow._do_search.__wrapped__)
        ]
    assert shown[0] == shown[1]
    for enabled in (1, 2):  # the second one is in RAM
        one = memories.outcome(found, storage)
        assert one == memories.outcome(found, storage, LanceDBStorage.search.__wrapped__), enabled
    assert gc.isenabled()


def test_a_recall_makes_no_more_matches_than_it_answers(storage, routes):
    made = []

    class Mine(MemoryMatch):
        def __init__(self, **values):
            made.append(values)
            super().__init__(**values)

    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.chunk_findings = findings(storage)
    flow.state.limit = 3
    expected = [m.record.id for m in flow.synthesize_results()]
    counted = []
    init = MemoryMatch.__init__
    with patch.object(recall_flow, "MemoryMatch", Mine):  # all of them, as in CrewAI
        assert [m.record.id for m in flow.synthesize_results()] == expected
    assert len(made) > 10

    def counting(self, **values):
        counted.append(values)
        init(self, **values)

    with patch.object(MemoryMatch, "__init__", counting):
        flow.synthesize_results()
    assert len(counted) == len(made)
    assert len(flow.synthesize_results()) == 3
    assert routes["memory.matches"].tally.fallbacks == 0


def test_a_changed_match_is_made_of_each(storage):
    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.chunk_findings = findings(storage)
    flow.state.limit = 3
    assert len(flow.synthesize_results()) == 3
    validated = []

    class Validator:
        def __init__(self, own):
            self._own = own

        def validate_python(self, *arguments, **options):
            validated.append(arguments)
            return self._own.validate_python(*arguments, **options)

        def __getattr__(self, name):
            return getattr(self._own, name)

    own = MemoryMatch.__pydantic_validator__
    with patch.object(MemoryMatch, "__pydantic_validator__", Validator(own)):
        flow.synthesize_results()
    assert len(validated) > 10


class Text(str):
    __slots__ = ()


def changed(record):
    """Records in which something is changed, and whether that is still plain data."""

    def with_(**values):
        made = record.model_copy()
        made.__dict__.update(values)
        return made

    yield record, True
    for name in vars(record):
        yield with_(**{name: Text("a")}), False
        yield with_(**{name: object()}), False
    for value in (None, 1, "a", 0.5, memories.NOW):
        yield with_(source=value), True
        yield with_(categories=[value]), True
        yield with_(metadata={"k": value}), True
    yield with_(embedding=[object()]), True
    yield with_(embedding=None), True
    yield with_(embedding=(1.0,)), False
    yield with_(categories=("a",)), False
    yield with_(categories=[object()]), False
    yield with_(categories=[Text("a")]), False
    yield with_(metadata={Text("a"): 1}), False
    yield with_(metadata={"k": object()}), False
    yield with_(more=object()), False
    yield with_(more=1), True
    for name in ("__pydantic_extra__", "__pydantic_private__"):
        made = record.model_copy()
        object.__setattr__(made, name, {"a": 1})
        yield made, False
    for name in ("categories", "metadata"):
        made = record.model_copy()
        del made.__dict__[name]
        yield made, name == "metadata"  # CrewAI's copy has none either
    yield type("Other", (MemoryRecord,), {})(**vars(record)), False


def test_plain_records_are_told_from_others():
    record = memories.record(random.Random(3), 3, 4)
    states = _Memories()
    told = []
    for made, plain in changed(record):
        for score in (0.5, 1, None, Text("a")):
            hits = [(record, 0.25), (made, score)]
            native = are_plain_hits(hits, MemoryRecord, ATOMS)
            slow = states.plain(made)
            assert native <= (slow and type(score) in ATOMS)  # never more than in Python
            assert native == (plain and type(score) is float)
            told.append(native)
    assert True in told
    assert False in told
    whole = {"scope": "/", "results": [(record, 0.5)], "top_score": 0.5}
    assert are_plain_hits([whole, (record, 0.5), {}], MemoryRecord, ATOMS)
    for odd in ({Text("a"): 1}, {"a": object()}, {"a": [object()]}, {"a": ((record, 0.5),)}):
        assert not are_plain_hits([whole | odd], MemoryRecord, ATOMS)
        assert not states.plain([whole | odd]) or "a" in odd
    for hits in ([[record, 0.5]], [(record,)], [(record, 0.5, 1)], [None], [(0.5, record)]):
        assert not are_plain_hits(hits, MemoryRecord, ATOMS)
    assert are_plain_hits([(record, 0.5)], MemoryRecord, ATOMS)


@pytest.mark.parametrize("limit", [0, 2])
@pytest.mark.parametrize(
    "told",
    [
        (0.5, [1]),
        (0.5, ["\ud800"]),
        (0.5, ("semantic",)),
        (0.5, None),
        ("x", ["semantic"]),
        (True, ["recency"]),
        (2, []),
        (0.5, ["other"]),
    ],
)
def test_scores_of_a_patched_function(storage, told, limit):
    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.chunk_findings = findings(storage)
    flow.state.limit = limit
    plain = vars(RecallFlow)["synthesize_results"]._meth.__wrapped__
    with patch.object(recall_flow, "compute_composite_score", lambda *_: told):
        ours = memories.outcome(flow.synthesize_results)
        assert repr(ours) == repr(memories.outcome(plain, flow))


def of_clock(flow, clock):
    """What ``synthesize_results`` of ours and CrewAI's does by a clock, and where that warns."""
    plain = vars(RecallFlow)["synthesize_results"]._meth.__wrapped__
    for function in (flow.synthesize_results, lambda: plain(flow)):
        with (
            patch("crewai.memory.types.datetime", clock),
            warnings.catch_warnings(record=True) as warned,
        ):
            warnings.simplefilter("always")
            yield repr(memories.outcome(function)), [(w.filename, w.lineno) for w in warned]


def test_a_clock_that_warns_does_it_at_the_same_line(storage):
    class Clock(memories.Frozen):
        @classmethod
        def utcnow(cls):  # as Python 3.12's
            warnings.warn("use aware times", DeprecationWarning, stacklevel=2)
            return memories.NOW

    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.chunk_findings = findings(storage)
    ours, crewai = of_clock(flow, Clock)
    assert ours == crewai
    assert len(ours[1]) > 10
    assert ours[1][0][0].endswith("types.py")


@pytest.mark.parametrize("told", [ValueError("no time"), None, 5, "now"])
def test_a_clock_that_tells_no_time(storage, told):
    count = itertools.count()

    class Clock(memories.Frozen):
        @classmethod
        def utcnow(cls):
            if next(count) % 7 != 6:
                return memories.NOW
            if isinstance(told, Exception):
                raise told
            return told

    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.chunk_findings = findings(storage)
    ours, crewai = of_clock(flow, Clock)
    assert ours == crewai
    assert "Error" in ours[0]


def test_what_a_clock_raises_comes_from_crewais_function(storage):
    class Clock(memories.Frozen):
        @classmethod
        def utcnow(cls):
            raise ValueError("no time")

    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.chunk_findings = findings(storage)
    with patch("crewai.memory.types.datetime", Clock), pytest.raises(ValueError) as caught:
        flow.synthesize_results()
    caller = caught.traceback[-2]
    assert (caller.name, caller.path.name) == ("compute_composite_score", "types.py")


def test_an_attribute_of_a_record_that_is_computed(storage):
    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.chunk_findings = findings(storage)
    MemoryRecord.importance = property(lambda _: 0.75)
    try:
        ours, crewai = of_clock(flow, memories.Frozen)
    finally:
        del MemoryRecord.importance
    assert ours == crewai
    assert ours != next(of_clock(flow, memories.Frozen))


def counting():
    """A half-life that is another one each time it is asked for."""
    times = itertools.count(10)

    class Config(MemoryConfig):
        def __getattribute__(self, name):
            odd = name == "recency_half_life_days"
            return next(times) if odd else super().__getattribute__(name)

    return Config()


def failing():
    class Config(MemoryConfig):
        def __getattribute__(self, name):
            if name == "semantic_weight":
                raise LookupError("no weight")
            return super().__getattribute__(name)

    return Config()


@pytest.mark.parametrize("config", [counting, failing])
@pytest.mark.parametrize("some", [True, False])
def test_a_config_is_asked_when_crewai_asks_it(storage, config, some):
    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.chunk_findings = findings(storage) if some else []
    asked = of_clock(flow, memories.Frozen)
    flow._config = config()
    ours = next(asked)
    flow._config = config()
    crewai = next(asked)
    assert ours == crewai
    assert ("Error" in ours[0]) == (some and config is failing)


AWARE = memories.NOW.replace(tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize("created", [AWARE, "2026-01-01", None])
def test_a_time_that_cannot_be_compared_fails_in_crewais_function(storage, created):
    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.chunk_findings = findings(storage)
    flow.state.chunk_findings[1]["results"][0][0].created_at = created
    with pytest.raises(TypeError, match=r"datetime|offset") as caught:
        flow.synthesize_results()
    last = caught.traceback[-1]
    assert last.name == "compute_composite_score"
    assert last.frame.f_locals["semantic_score"] > 0


def test_a_length_of_time_of_the_users_is_taken_once(storage):
    class Length(datetime.timedelta):
        def total_seconds(self):
            return 86400

    class Time(datetime.datetime):
        def __rsub__(self, other):
            return Length(days=1)

    class Ticking(memories.Frozen):
        @classmethod
        def utcnow(cls):
            return memories.NOW + datetime.timedelta(days=next(ticks))

    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.chunk_findings = findings(storage)
    flow.state.chunk_findings[0]["results"][0][0].created_at = Time(2026, 1, 1)
    asked = of_clock(flow, Ticking)
    ticks = itertools.count()
    ours = next(asked)
    ticks = itertools.count()
    assert ours == next(asked)


@pytest.mark.parametrize(
    "changed", [{"metadata": ["a"]}, {"categories": None}, {"importance": 2.0}]
)
def test_a_hidden_row_that_is_no_record_fails_its_scope(storage, changed):
    odd = memories.record(random.Random(99), 99, 5)
    odd.embedding = memories.vector(2, 0)
    odd.private, odd.source = True, "somebody"
    vars(odd).update(changed)
    storage.save([odd])
    memories.outcome(found, storage)
    with patch("crewai.memory.types.datetime", memories.Frozen):
        shown = [
            sorted(
                repr(memories.shown(f))
                for f in findings(storage, function=function, include_private=False)
            )
            for function in (None, RecallFlow._do_search.__wrapped__)
        ]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("limit", [3, None, True, 2.5, "x"])
@pytest.mark.parametrize("extra", [[], ["mine"], [{"why": "semantic"}]])
def test_a_score_whose_reasons_are_one_list(storage, extra, limit):
    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.chunk_findings = findings(storage)
    vars(flow.state)["limit"] = limit
    plain = vars(RecallFlow)["synthesize_results"]._meth.__wrapped__
    reasons = []

    def score(record, similarity, config):
        reasons[:] = ["semantic", *["recency"] * (record.importance > 0.5), *extra]
        return similarity, reasons

    with patch.object(recall_flow, "compute_composite_score", score):
        ours = memories.outcome(flow.synthesize_results)
        assert repr(ours) == repr(memories.outcome(plain, flow))


def test_who_counts_models_sees_all_of_them(storage):
    made = []
    init = BaseModel.__init__

    def counting(self, /, **values):
        made.append(type(self))
        init(self, **values)

    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.limit = 1
    flow.state.chunk_findings = findings(storage)
    with patch.object(BaseModel, "__init__", counting):
        expected = len(found(storage))
        assert made.count(MemoryRecord) == expected > 1
        flow.synthesize_results()
        assert made.count(MemoryMatch) > 1


def test_times_are_of_the_class_that_stands_for_datetime(storage):
    module = vars(sys.modules[LanceDBStorage.__module__])
    times = {**vars(datetime), "datetime": memories.Frozen}
    with patch.dict(module, datetime=memories.Frozen), patch.dict(vars(datetime), times):
        kinds = {type(record.created_at) for record, _ in found(storage)}
        plain = found(storage, LanceDBStorage.search.__wrapped__)
    assert kinds == {type(record.created_at) for record, _ in plain} == {memories.Frozen}


class Silent(BaseLLM):
    def call(self, *_, **__):
        return ""


def answered(storage, **options):
    """A deep recall as a whole, and its flow."""
    flows = []
    init = RecallFlow.__init__

    def noticed(self, **values):
        init(self, **values)
        flows.append(self)

    memory = Memory(
        storage=storage,
        llm=Silent(model="none"),
        embedder=lambda texts: [memories.vector(2, 0) for _ in texts],
        exploration_budget=0,
        read_only=True,
    )
    with patch.object(RecallFlow, "__init__", noticed):
        return memory.recall("q", limit=5, include_private=True, **options), flows[0]


def is_tracked(record):
    """Whether the collector looks at a record's vector; at the record it always does."""
    assert all(map(gc.is_tracked, (record, vars(record), record.categories)))
    return gc.is_tracked(record.embedding)


def test_the_collector_looks_at_what_is_answered(storage, routes):
    before = routes["memory.matches"].tally.calls, routes["memory.deep-recall"].tally.fallbacks
    ours, flow = answered(storage)
    assert routes["memory.matches"].tally.calls > before[0]
    assert routes["memory.deep-recall"].tally.fallbacks == before[1]
    with fast_crewai.disabled():
        theirs, _ = answered(storage)
    assert [m.record.id for m in ours] == [m.record.id for m in theirs]
    assert len(ours) == 5
    for mine, its in zip(ours, theirs, strict=True):
        for one, other in zip(parts(mine.record), parts(its.record), strict=True):
            assert gc.is_tracked(one) == gc.is_tracked(other)
    kept = {id(match.record) for match in ours}
    found = [r for f in flow.state.chunk_findings for r, _ in f["results"]]
    assert kept <= {id(record) for record in found}
    apart = [record for record in found if id(record) not in kept]
    assert apart and not any(map(is_tracked, apart))


def test_records_apart_go_with_their_flow(storage):
    ours, flow = answered(storage)
    found = [weakref.ref(r) for f in flow.state.chunk_findings for r, _ in f["results"]]
    kept = {id(match.record) for match in ours}
    gc.collect()
    assert all(record() is not None for record in found)
    del flow
    gc.collect()
    assert {id(record()) for record in found if record() is not None} == kept
    for match in ours:  # and a cycle through one that was answered is found
        match.record.categories.append(match.record)
        match.record.embedding.append(match.record)
    del match, ours
    gc.collect()
    assert not any(record() for record in found)


def goes(record):
    """Whether a record ends, as soon as the last handler of an event is done with its flow."""
    for _ in range(100):
        gc.collect()
        if record() is None:
            return True
        time.sleep(0.1)
    return False


def test_a_cycle_through_a_record_that_was_not_answered_is_found(storage):
    ours, flow = answered(storage)
    kept = {id(match.record) for match in ours}
    found = [r for f in flow.state.chunk_findings for r, _ in f["results"] if id(r) not in kept]
    one, other, copied = found[0], found[1], copy.copy(found[2])
    one.metadata["self"] = one
    other.categories.append(other)
    copied.metadata["self"] = copied
    left = [weakref.ref(record) for record in (one, other, copied)]
    del flow, ours, found, one, other, copied
    assert all(goes(record) for record in left)


def test_records_are_apart_only_where_the_last_step_is_ours(storage, routes):
    def tracked(flow):
        flow.state.query_embeddings = [("q", memories.vector(2, 0))]
        flow.state.candidate_scopes, flow.state.limit = ["/a", "/"], 5
        found = [r for f in flow._do_search() for r, _ in f["results"]]
        assert found
        return {is_tracked(record) for record in found}

    class Mine(RecallFlow):
        pass

    options = {"storage": storage, "llm": None, "embedder": None}
    assert tracked(RecallFlow(**options)) == {False}
    assert tracked(Mine(**options)) == {True}
    with patch.object(RecallFlow, "synthesize_results", lambda self: []):
        assert tracked(RecallFlow(**options)) == {True}
    with fast_crewai.disabled():
        assert tracked(RecallFlow(**options)) == {True}
    assert tracked(RecallFlow(**options)) == {False}


def test_a_match_of_another_kind_has_a_record_that_is_tracked(storage):
    flow = RecallFlow(storage=storage, llm=None, embedder=None)
    flow.state.chunk_findings = findings(storage)
    flow.state.limit = 3
    seen = []

    def made(**values):
        seen.append(values["record"])
        return MemoryMatch(**values)

    with patch.object(recall_flow, "MemoryMatch", made):
        flow.synthesize_results()
    assert len(seen) > 10
    assert all(map(is_tracked, seen))


def test_what_is_kept_of_a_row_follows_its_touches(storage, routes):
    """The time of access is all of a kept row that may change while it is in RAM."""
    plain = LanceDBStorage.search.__wrapped__
    native = None
    before = routes["memory.search"].tally.fallbacks
    for number in range(6):
        expected = memories.outcome(found, storage, plain)
        assert memories.outcome(found, storage) == expected
        assert memories.outcome(found, storage) == expected
        assert memories.outcome(storage.list_records) == memories.outcome(
            LanceDBStorage.list_records.__wrapped__, storage
        )
        native = native or TABLES.of(storage)._native
        storage.touch_records([f"id{n}" for n in range(number, 20, 3)])
    assert TABLES.of(storage)._native is native
    assert routes["memory.search"].tally.fallbacks == before


@pytest.mark.parametrize("content", ["short", "é" * 3000, "x" * 200_000])
def test_what_there_is_no_room_for(storage, content):
    """Rows that say so much that not all, or none, of them are kept."""
    rng = random.Random(8)
    made = [memories.record(rng, 100 + n, storage._vector_dim) for n in range(60)]
    for n, record in enumerate(made):
        record.content = f"{n} {content}"
        record.metadata = {"k": n} if n % 2 else {"k": [n]}
    storage.save(made)
    plain = LanceDBStorage.list_records.__wrapped__
    for limit in (3, 80, 3, 80):
        one = memories.outcome(storage.list_records, None, limit)
        assert one == memories.outcome(plain, storage, None, limit)
        assert memories.outcome(found, storage) == memories.outcome(
            found, storage, LanceDBStorage.search.__wrapped__
        )
