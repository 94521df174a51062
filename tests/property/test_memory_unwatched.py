"""Recalls that nobody watches: CrewAI's own results from fewer records, and who is a watcher."""

import contextlib
import contextvars
import random
from unittest.mock import patch

import pytest
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types import flow_events
from crewai.flow import runtime
from crewai.flow.flow import Flow, start
from crewai.hooks.dispatch import HookAborted
from crewai.llms.base_llm import BaseLLM
from crewai.memory import recall_flow
from crewai.memory.recall_flow import RecallFlow
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from crewai.memory.unified_memory import Memory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import memories

import fast_crewai
from fast_crewai.hooks.areas import memory_mirror, memory_unwatched

pytestmark = pytest.mark.usefixtures("routes", "quiet")
DIM = 21


@pytest.fixture(scope="module")
def quiet():
    """The clock of scores stands still; no listeners but those of a test."""
    with (
        crewai_event_bus.scoped_handlers(),
        patch("crewai.memory.types.datetime", memories.Frozen),
        patch.object(memory_unwatched, "DATETIME", memories.Frozen),
    ):
        yield


@pytest.fixture
def decided(monkeypatch):
    """How many records each recall that nobody watched made."""
    made, recall = [], memory_mirror.Table.recall

    def counting(*given):
        found = recall(*given)
        made.append(len(found[2]))
        return found

    monkeypatch.setattr(memory_mirror.Table, "recall", counting)
    return made


class Model(BaseLLM):
    def call(self, messages, *_, **__):
        return "Something is missing."


def vector(text):
    rng = random.Random(text)
    return [rng.uniform(-1, 1) for _ in range(DIM)]


def memory(storage, **options):
    return Memory(
        llm=Model(model="m"),
        storage=storage,
        embedder=lambda texts: [vector(text) for text in texts],
        read_only=True,
        **options,
    )


@contextlib.contextmanager
def plain():
    """CrewAI's own; of the orders in which its threads may end, that in which they were started."""

    def in_order(futures):
        futures = list(futures)
        for future in futures:
            future.exception()
        return futures

    with fast_crewai.disabled(), patch.object(recall_flow, "as_completed", in_order):
        yield


def shown(matches):
    return [
        (dict(match.record), match.score, match.match_reasons, match.evidence_gaps)
        for match in matches
    ]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Stores with many scopes, each of its own mixture of ages, sources and importances."""
    found = []
    for number in range(4):
        rng = random.Random(number)
        storage = LanceDBStorage(
            path=tmp_path_factory.mktemp("unwatched"), vector_dim=DIM, compact_every=0
        )
        made = [memories.record(rng, n, DIM) for n in range((60, 150, 9, 90)[number])]
        for record in made:
            record.scope = rng.choice((*memories.SCOPES, *(f"/s{n}/t" for n in range(12))))
            record.importance = rng.random()
        if number == 3:  # nothing is as near as before: importance and age decide
            for record in made:
                record.embedding = [x / 50 for x in record.embedding]
        storage.save(made)
        storage.search(vector("any"))
        found.append(storage)
    return found


weights = st.sampled_from((0.0, 0.1, 0.3, 0.5, 1.0))
questions = st.fixed_dictionaries(
    {
        "query": st.sampled_from([f"q{n}" for n in range(40)]),
        "scope": st.sampled_from([None, None, None, "/", "/a", "/s1", "/none"]),
        "limit": st.sampled_from([1, 2, 5, 10, 30]),
        "source": st.sampled_from([None, "", "u", "v"]),
        "include_private": st.booleans(),
    }
)
options = st.fixed_dictionaries(
    {
        "recency_weight": weights,
        "semantic_weight": weights,
        "importance_weight": weights,
        "recency_half_life_days": st.sampled_from([1, 7, 30, 400]),
        "exploration_budget": st.sampled_from([0, 0, 1, 2]),
        "confidence_threshold_low": weights,
        "confidence_threshold_high": weights,
    }
)


def test_the_same_results(stores, decided):
    @settings(
        max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.integers(0, 3), options, questions)
    def check(number, given, question):
        asked = memory(stores[number], **given)
        with plain():
            expected = shown(asked.recall(**question))
        assert shown(asked.recall(**question)) == expected

    check()
    assert sum(map(bool, decided)) > 60
    assert min(filter(None, decided)) < 9 and max(decided) < 150


def recalled(storage, **given):
    found = memory(storage, exploration_budget=0).recall("q1", **given)
    assert len(found) == given.get("limit", 10)
    return found


def test_few_records_are_made(stores, decided):
    recalled(stores[1])
    assert len(decided) == 1 and 10 <= decided[0] < 40


@pytest.fixture
def full(stores, decided):
    """All findings of the very recall."""
    with fast_crewai.disabled():
        flow = RecallFlow(stores[1], None, lambda texts: [vector(text) for text in texts])
        flow.kickoff(inputs={"query": "q1", "limit": 10})
    seen = findings(flow)
    assert len(seen) > 10
    yield seen
    assert not decided


def findings(flow):
    return sorted(
        (one["scope"], [(record.id, score) for record, score in one["results"]])
        for one in flow.state.chunk_findings
    )


KINDS = (flow_events.FlowStartedEvent, flow_events.FlowFinishedEvent, flow_events.FlowFailedEvent)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["plain", "async", "dependent"])
def test_a_listener_sees_all(stores, full, kind, how):
    flows = []
    with crewai_event_bus.scoped_handlers():
        if how == "async":

            @crewai_event_bus.on(kind)
            async def hears(source, event):
                flows.append(source)
        else:

            @crewai_event_bus.on(kind)
            def hears_too(source, event):
                flows.append(source)

            if how == "dependent":
                from crewai.events.depends import Depends

                crewai_event_bus.on(kind, depends_on=Depends(hears_too))(
                    lambda source, event: flows.append(source)
                )
        recalled(stores[1])
        crewai_event_bus.flush()
    if kind is not flow_events.FlowFailedEvent:
        assert flows and findings(flows[0]) == full


def test_a_sink_sees_all(stores, full):
    from crewai.events import stream_context

    seen = []
    context = contextvars.copy_context()

    class Sink:
        def __getattr__(self, name):
            return lambda *given, **_: seen.extend(given)

        def __call__(self, *given):
            seen.extend(given)

    def run():
        stream_context.add_stream_sink(Sink())
        recalled(stores[1])

    context.run(run)
    flow = next(one for one in seen if type(one) is RecallFlow)
    assert findings(flow) == full


def test_a_run_keeps_all(stores, full):
    class Asking(Flow):
        @start()
        def ask(self):
            recalled(stores[1])
            return [e for e in crewai_event_bus.runtime_state.root if type(e) is RecallFlow]

    flows = Asking(memory=memory(stores[1]), suppress_flow_events=True).kickoff()
    assert findings(flows[0]) == full


def test_a_flow_of_the_users_keeps_all(stores, full):
    flow = RecallFlow(stores[1], None, lambda texts: [vector(text) for text in texts])
    flow.kickoff(inputs={"query": "q1", "limit": 10})
    assert findings(flow) == full


def emit_of_the_instance():
    return patch.object(crewai_event_bus, "emit", crewai_event_bus.emit, create=True)


def emission(name):
    """A method of the bus's class that somebody has wrapped."""
    own = getattr(type(crewai_event_bus), name)
    return patch.object(type(crewai_event_bus), name, lambda *given: own(*given))


PATCHES = {
    "emit of the instance": emit_of_the_instance,
    **{
        name: lambda name=name: emission(name)
        for name in ("emit", "_prepare_event", "_record_event", "register_entity")
    },
    "publish": lambda: patch("crewai.events.event_bus.publish_stream_event"),
    "another bus": lambda: patch.object(runtime, "crewai_event_bus", wraps=crewai_event_bus),
    "scores": lambda: patch.object(
        recall_flow, "compute_composite_score", lambda record, score, config: (score, ["semantic"])
    ),
    "clock": lambda: patch("crewai.memory.types.datetime", type("D", (memories.Frozen,), {})),
    "step": lambda: patch.object(RecallFlow, "decide_depth", lambda self: "synthesize"),
    "search": lambda: patch.object(RecallFlow, "_merged_categories", lambda self: None),
}


@pytest.mark.parametrize("name", PATCHES)
def test_what_is_patched_is_crewais(stores, decided, name):
    with PATCHES[name]():
        assert memory(stores[1], exploration_budget=0).recall("q1")
    assert not decided


def test_a_model_that_is_asked_sees_all(stores, decided):
    """A distilling model, and one that explores: both would be shown, or could keep, the rest."""
    asked = memory(stores[1], confidence_threshold_low=1.0, confidence_threshold_high=1.0)
    shown_to = []

    def call(self, messages, *_, **__):
        shown_to.append(messages[0]["content"])
        return "Something is missing."

    with patch.object(Model, "call", call):
        with plain():
            expected = shown(asked.recall("q1"))
        before, shown_to[:] = list(shown_to), []
        assert shown(asked.recall("q1")) == expected
    assert shown_to == before and len(before) > 5
    made = len(decided)
    memory(stores[1], exploration_budget=0, query_analysis_threshold=1).recall("q1")
    assert len(decided) == made


def test_a_model_that_aborts(stores, decided):
    asked = memory(stores[1], confidence_threshold_low=1.0, confidence_threshold_high=1.0)

    def call(self, messages, *_, **__):
        raise HookAborted("stop")

    with patch.object(Model, "call", call):
        for context in (fast_crewai.disabled(), contextlib.nullcontext()):
            with context, pytest.raises(HookAborted, match="stop"):
                asked.recall("q1")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("created_at", "2026-01-01T00:00:00Z"),
        ("last_accessed", "soon"),
        ("metadata_str", "[]"),
        ("metadata_str", "{"),
        ("categories_str", "{}"),
        ("categories_str", '["a", 1]'),
    ],
)
def test_a_row_that_may_be_no_record(tmp_path, decided, column, value):
    """CrewAI leaves out its scope, and says so; or its record is one of another form."""
    storage = LanceDBStorage(path=tmp_path / "s", vector_dim=DIM, compact_every=0)
    made = [memories.record(random.Random(n), n, DIM) for n in range(30)]
    for record in made:
        record.private = False
        record.scope = f"/s{record.importance}"
        record.metadata, record.categories = {}, []
    storage.save(made)
    storage._table.update(where=f"id = '{made[4].id}'", values={column: value})
    storage.search(vector("any"))
    asked = memory(storage, exploration_budget=0)
    with plain():
        expected = memories.outcome(lambda: shown(asked.recall("q1", limit=20)))
    assert memories.outcome(lambda: shown(asked.recall("q1", limit=20))) == expected
    assert not decided
