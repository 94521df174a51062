"""Memory in RAM against CrewAI's own: what a store holds, sees and finds after any writes."""

import json
import random
import shutil
import subprocess
import sys
import threading
from unittest.mock import MagicMock, patch

import pytest
from crewai.llms.base_llm import BaseLLM
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from crewai.memory.unified_memory import Memory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import memories

from fast_crewai import engine
from fast_crewai.hooks.areas.memory_storage import TABLES

QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


pytestmark = pytest.mark.usefixtures("routes")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stores")


def plain(method):
    return getattr(LanceDBStorage, method).__wrapped__


def compare(storage, size, seeds=(0, 1), scopes=(None, "/a")):
    for seed in seeds:
        for scope in scopes:
            example = (memories.vector(size, seed), scope, None, None, 7, 0.0)
            found = memories.outcome(storage.search, *example)
            assert found == memories.outcome(plain("search"), storage, *example)


def fast_calls(routes):
    tally = routes["memory.search"].tally
    return tally.calls - tally.fallbacks


steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "touch",
                "touch",
                "touch",
                "save",
                "same",
                "ids",
                "where",
                "update",
                "optimize",
                "other",
                "other-delete",
                "latest",
                "search",
                "search",
            ]
        ),
        st.integers(0, 30),
    ),
    max_size=10,
)


def take(step, number, storage, path):
    """One write, through the storage or past it."""
    rng = random.Random(number)
    ids = [f"id{rng.randrange(40)}" for _ in range(3)]
    if step == "touch":
        storage.touch_records([*ids, ids[0], "nobody's"])
    elif step in ("save", "same"):
        first = number if step == "same" else 100 + number * 7
        storage.save([memories.record(rng, first + i, 21) for i in range(2)])
    elif step == "ids":
        storage.delete(record_ids=[*ids, "id'7"])
    elif step == "where":
        storage.delete(scope_prefix=rng.choice(["/a/b", "/é", "/none"]))
    elif step == "update":
        storage.update(memories.record(rng, number, 21))
    elif step == "optimize":
        try:
            storage.optimize()
        except RuntimeError as error:  # CrewAI's compaction in the background may be in its way
            assert "commit conflict" in str(error), error
    elif step == "latest":
        storage._table.checkout_latest()
    elif step.startswith("other"):
        with_us = LanceDBStorage(path=path, compact_every=0)
        if step == "other":
            with_us.save([memories.record(rng, 500 + number, 21)])
        else:
            with_us.delete(record_ids=ids)


def test_sees_what_the_handle_sees(folder, routes):
    before = fast_calls(routes)
    template = folder / "template"
    memories.build(template, 2)

    @QUICK
    @given(steps)
    def check(program):
        path = folder / "now"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(template, path)
        storage = LanceDBStorage(path=path, compact_every=0)
        compare(storage, 2)
        for step, number in program:
            take(step, number, storage, path)
            compare(storage, 2, seeds=(number,))
        for _ in range(3):
            compare(storage, 2)

    check()
    assert fast_calls(routes) > before


def test_own_writes_are_followed_without_loading_again(tmp_path, routes):
    storage = memories.build(tmp_path / "s", 2)
    compare(storage, 2)
    native = TABLES.of(storage)._native
    assert native is not None
    for number in range(8):
        take("touch", number, storage, tmp_path)
        if number % 2:
            take("save", number, storage, tmp_path)
        if number % 3 == 0:
            take("ids", number, storage, tmp_path)
        if number % 3 != 1:
            compare(storage, 2)
    assert TABLES.of(storage)._native is native


def test_a_dropped_table_is_not_found_in_ram(tmp_path):
    storage = memories.build(tmp_path / "s", 2)
    compare(storage, 2)
    query = memories.vector(2, 0)
    assert storage.search(query)
    shutil.rmtree(tmp_path / "s" / "memories.lance")
    with pytest.raises(Exception) as theirs:
        plain("search")(storage, query)
    with pytest.raises(type(theirs.value)):
        storage.search(query)


def test_other_objects_are_left_alone(tmp_path, routes):
    storage = memories.build(tmp_path / "s", 2)
    query = memories.vector(2, 0)
    for _ in range(3):
        compare(storage, 2)
    before = fast_calls(routes)

    class Mine(LanceDBStorage):
        def _row_to_record(self, row):
            return "mine"

    mine = Mine(path=tmp_path / "s", compact_every=0)
    assert mine.search(query)[0][0] == "mine"
    with patch.object(storage, "_table", MagicMock()) as table:
        table.search.return_value.limit.return_value.to_list.return_value = []
        assert storage.search(query) == []
    with patch.object(storage, "_row_to_record", lambda row: "patched"):
        assert storage.search(query)[0][0] == "patched"
    with patch.object(LanceDBStorage, "_row_to_record", lambda self, row: "class"):
        assert storage.search(query)[0][0] == "class"
    failing = patch.object(storage._table, "search", side_effect=ZeroDivisionError)
    with failing, pytest.raises(ZeroDivisionError):
        storage.search(query)
    with patch("crewai.memory.storage.lancedb_storage.MemoryRecord", lambda **fields: "built"):
        assert storage.search(query)[0][0] == "built"
    assert fast_calls(routes) == before


def test_over_the_limit_of_ram_crewai_searches(tmp_path, routes, monkeypatch):
    storage = memories.build(tmp_path / "s", 2)
    monkeypatch.setenv("FAST_CREWAI_MEMORY_MB", "0")
    before = fast_calls(routes)
    compare(storage, 2)
    assert fast_calls(routes) == before
    assert "more than FAST_CREWAI_MEMORY_MB" in routes["memory.search"].tally.reasons


WRITER = """
import sys
from crewai.memory.storage.lancedb_storage import LanceDBStorage
sys.path.insert(0, sys.argv[2])
import random
from strategies import memories
storage = LanceDBStorage(path=sys.argv[1], compact_every=0)
for line in sys.stdin:
    number = int(line)
    storage.save([memories.record(random.Random(number), 1000 + number, 21)])
    if number % 3 == 0:
        storage.delete(record_ids=[f"id{number}"])
    print("done", flush=True)
"""


def test_another_process_writes(tmp_path):
    storage = memories.build(tmp_path / "s", 2)
    tests = str(memories.__file__).rpartition("/strategies")[0]
    command = [sys.executable, "-W", "ignore", "-c", WRITER, str(tmp_path / "s"), tests]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        for number in range(12):
            writer.stdin.write(f"{number}\n")
            writer.stdin.flush()
            assert "done" in writer.stdout.readline()
            compare(storage, 2)  # sees nothing of it
            if number % 2:
                storage.touch_records([f"id{number}"])  # now it does
            for _ in range(number % 5):
                compare(storage, 2)
        writer.stdin.close()
    ids = {r.id for r in storage.list_records(limit=1000)}
    assert "id1011" in ids
    assert "id9" not in ids


def test_threads_write_and_search(tmp_path):
    """Nobody finds a row twice, or one that was never there; at the end all is as written."""
    storage = memories.build(tmp_path / "s", 2)
    known = {r.id for r in storage.list_records(limit=1000)}
    problems = []

    def work(number):
        rng = random.Random(number)
        try:
            for turn in range(6):
                if number < 3:
                    new = f"new-{number}-{turn}"
                    known.add(new)
                    record = memories.record(rng, 1, 21).model_copy(update={"id": new})
                    storage.save([record])
                    storage.touch_records(rng.sample(sorted(known), 3))
                found = [r.id for r, _ in storage.search(memories.vector(2, turn), limit=100)]
                assert len(found) == len(set(found))
                assert set(found) <= known
                compare_ids = {r.id for r, _ in storage.search(memories.vector(2, 0), "/a")}
                assert compare_ids <= known
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems, problems
    for _ in range(8):
        compare(storage, 2)
    rows = storage._table.search().limit(1000).to_list()
    assert {row["id"] for row in rows} == known
    assert len(rows) == len(known)


class Model(BaseLLM):
    answer: str = "Something is missing."

    def call(self, messages, *arguments, response_model=None, **options):
        return self.answer


def embedder(size):
    def embed(texts):
        return [memories.vector(size, hash_of(text)) for text in texts]

    return embed


def hash_of(text):
    return sum(map(ord, text)) % 50


def memory_on(path, size=2, **options):
    storage = LanceDBStorage(path=path, compact_every=0)
    return Memory(llm=Model(model="fake"), storage=storage, embedder=embedder(size), **options)


def matches(found):
    return [(memories.shown(m.record), m.score, m.match_reasons, m.evidence_gaps) for m in found]


def events_of(action):
    """What an action returns, and the events of it that everybody sees."""
    from crewai.events.event_bus import crewai_event_bus
    from crewai.events.types.flow_events import FlowFinishedEvent
    from crewai.events.types.memory_events import (
        MemoryQueryCompletedEvent,
        MemoryQueryStartedEvent,
    )

    seen = []
    with crewai_event_bus.scoped_handlers():
        for kind in (FlowFinishedEvent, MemoryQueryStartedEvent, MemoryQueryCompletedEvent):
            crewai_event_bus.on(kind)(lambda source, event: seen.append(event))
        result = action()
        crewai_event_bus.flush()
    return result, [described(event) for event in seen]


def described(event):
    fields = event.model_dump(
        mode="json",
        exclude={"timestamp", "event_id", "query_time_ms", "parent_event_id", "previous_event_id"}
        | {"triggered_by_event_id", "started_event_id", "emission_sequence"},
    )
    state = fields.get("state")
    if state:
        state.pop("id")
        # CrewAI's threads end in any order.
        state["chunk_findings"] = sorted(json.dumps(f) for f in state["chunk_findings"])
    return type(event).__name__, json.dumps(fields, sort_keys=True)


recalls = st.tuples(
    st.sampled_from(("deep", "deep", "shallow")),
    st.text(alphabet="abcd", min_size=1, max_size=4),
    st.sampled_from((None, "/", "/a", "/a/b", "/none")),
    memories.labels,
    st.sampled_from((1, 3, 10)),
    st.sampled_from((None, "u")),
    st.booleans(),
    st.sampled_from(((0.3, 0.5, 0.2, 30), (0.0, 1.0, 0.0, 1), (1.0, 0.0, 0.5, 7))),
)


def test_recalls_and_their_events(folder, routes):
    template = folder / "recalled"
    memories.build(template, 2)
    calls = routes["memory.search"].tally.calls

    @QUICK
    @given(st.lists(recalls, min_size=1, max_size=3))
    def check(program):
        fast = run(program, 1)
        for _ in range(30):  # which of equal scores comes last is up to CrewAI's threads
            plainly = run(program, 0)
            if fast == plainly:
                break
        assert [found for found, _ in fast] == [found for found, _ in plainly]
        assert [events for _, events in fast] == [events for _, events in plainly]

    def run(program, on):
        path = folder / "recall"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(template, path)
        engine.registry().pause(1 - on)
        try:
            with patch("crewai.memory.types.datetime", memories.Frozen):
                return [one(path, recall) for recall in program]
        finally:
            engine.registry().pause(on - 1)

    def one(path, recall):
        depth, query, scope, categories, limit, source, private, weights = recall
        recency, semantic, importance, half = weights
        memory = memory_on(
            path,
            recency_weight=recency,
            semantic_weight=semantic,
            importance_weight=importance,
            recency_half_life_days=half,
            read_only=True,
        )

        def act():
            return memory.recall(query, scope, categories, limit, depth, source, private)

        found, events = events_of(act)
        return by_score(matches(found)), [by_text(event) for event in events]

    check()
    assert routes["memory.search"].tally.calls > calls
    tally = routes["memory.deep-recall"].tally
    assert tally.calls > tally.fallbacks


def by_score(found):
    """Equal scores come in the order of CrewAI's threads."""
    return sorted(found, key=lambda match: (-match[1], repr(match[0])))


def by_text(event):
    name, text = event
    fields = json.loads(text)

    def sort(results):
        return sorted(results, key=lambda m: (-m["score"], m["record"]["id"]))

    for holder, name_ in (
        (fields, "results"),
        (fields, "result"),
        (fields.get("state"), "final_results"),
    ):
        if holder and isinstance(holder.get(name_), list):
            holder[name_] = sort(holder[name_])
    return name, fields


def test_remembering_is_the_same(tmp_path):
    """A batch with near duplicates, saved off and on: the same rows, whoever reads them."""
    rows = []
    for on in (0, 1):
        path = tmp_path / str(on)
        memories.build(path, 2)
        engine.registry().pause(1 - on)
        try:
            memory = memory_on(path)
            texts = [f"text {n % 9}" for n in range(20)]
            memory.remember_many(texts, scope="/a", categories=["x"], importance=0.5)
            memory.drain_writes()
        finally:
            engine.registry().pause(on - 1)
        storage = LanceDBStorage(path=path, compact_every=0)
        for read in (plain("search"), LanceDBStorage.search):
            compare(storage, 2)
            assert read(storage, memories.vector(2, 1))
        found = storage._table.search().limit(1000).to_list()
        rows.append([(r["content"], r["scope"], r["categories_str"], r["vector"]) for r in found])
    assert rows[0] == rows[1]
    assert len(rows[0]) > 40
