"""Streams of events with handlers of all kinds, as CrewAI emits and records them and as we do."""

import contextlib
import contextvars
import pickle
import threading

import pytest
from crewai import RuntimeState
from crewai.events.event_bus import CrewAIEventsBus
from crewai.events.event_listener import ConsoleFormatter, event_listener
from crewai.events.types import task_events
from crewai.events.types.llm_events import LLMCallCompletedEvent
from crewai.events.types.logging_events import AgentLogsExecutionEvent
from crewai.flow import runtime
from crewai.state.event_record import EventRecord
from crewai.utilities.rw_lock import RWLock
from hypothesis import HealthCheck, given, settings
from strategies import events, listeners

import fast_crewai
from fast_crewai import engine

ROUTES = ("events.emit", "events.record")
SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.fixture(scope="module", autouse=True)
def tallies():
    fast_crewai.install()
    states = [engine.registry().states[name] for name in ROUTES]
    assert [state.state for state in states] == ["active", "active"], states
    yield [state.tally for state in states]
    fast_crewai.uninstall()


def emit(bus, source, event):
    return bus.emit(source, event)


@settings(SETTINGS, max_examples=300)
@given(events.streams.map(events.Stream))
def test_the_same_record_fields_handlers_and_errors(stream):
    with fast_crewai.disabled():
        expected = stream.run(emit)
    assert stream.run(emit) == expected


@settings(SETTINGS, max_examples=200)
@given(listeners.listenings)
def test_the_same_from_the_listeners_of_crewai(example):
    with fast_crewai.disabled():
        expected = listeners.listened(emit, example)
    assert listeners.listened(emit, example) == expected


def check_plainly(make, source, change=None, **differently):
    example = {"events": [make], "verbose": False, "uuid": "u", "source": source}
    example |= {"change": change, "telemetry": "off", "span": False, **differently}
    example = {"flow": "f", "streams": False, **example}
    with fast_crewai.disabled():
        expected = listeners.listened(emit, example)
    assert listeners.listened(emit, example) == expected, (make().type, example)


@pytest.mark.parametrize("change", listeners.CHANGES)
def test_the_same_from_altered_listeners(change):
    for make in listeners.OWN_EVENTS:
        check_plainly(make, "object", change)
    for source, make in listeners.FITTING:
        check_plainly(make, source, change)


@pytest.mark.parametrize("source", listeners.SOURCES)
def test_the_same_from_listeners_of_other_sources(source):
    for _, make in listeners.FITTING:
        check_plainly(make, source)
        check_plainly(make, source, span=True)
        check_plainly(make, source, streams=True, verbose=True)
        check_plainly(make, source, telemetry="by environment")


@pytest.fixture
def bus():
    made = events.own_bus()
    yield made
    made.shutdown()


def silent(bus, monkeypatch):
    monkeypatch.setattr(event_listener, "formatter", ConsoleFormatter(verbose=False))
    event_listener.setup_listeners(bus)


def threads_after(bus, **values):
    event = AgentLogsExecutionEvent(agent_role="r", formatted_answer=1, **values)
    future = bus.emit(None, event)
    assert bus.flush() and future.done() and bus._pending_futures == set()
    return len(bus._sync_executor._threads)


def test_listeners_without_work_wake_no_thread(bus, monkeypatch):
    silent(bus, monkeypatch)
    assert threads_after(bus) == 0
    with fast_crewai.disabled():
        assert threads_after(bus) == 1


def test_a_listener_of_the_user_is_called_in_its_thread(bus, monkeypatch):
    silent(bus, monkeypatch)
    seen = []
    bus.on(AgentLogsExecutionEvent)(lambda *_: seen.append(threading.current_thread().name))
    assert threads_after(bus) == 1
    assert seen == ["CrewAISyncHandler_0"]


@pytest.fixture
def without_telemetry(bus, monkeypatch):
    with contextlib.ExitStack() as stack:
        telemetry = listeners.a_telemetry("off", [], stack.enter_context)
        monkeypatch.setattr(event_listener, "_telemetry", telemetry)
        silent(bus, monkeypatch)
        yield bus


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("source", "make"), listeners.FITTING)
def test_listeners_that_only_leave_notes_wake_no_thread(without_telemetry, source, make):
    bus = without_telemetry
    future = bus.emit(listeners.SOURCES[source](), make())
    assert future.done() and bus._pending_futures == set()
    assert len(bus._sync_executor._threads) == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nobody_waits_for_a_count_that_is_being_read(without_telemetry, monkeypatch):
    bus, flow = without_telemetry, listeners.an_executor(True)
    monkeypatch.setattr(runtime, "crewai_event_bus", bus)
    flow._attach_usage_aggregation_listener()
    with flow._usage_metrics_lock:
        event = LLMCallCompletedEvent(**listeners.CALL, usage={"prompt_tokens": 3})
        thread = in_thread(contextvars.copy_context().run, bus.emit, None, event)
        assert not thread.is_alive()
    thread.join(30)
    assert bus.flush() and flow.usage_metrics.prompt_tokens == 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_notes_are_left_in_the_order_of_the_events(without_telemetry, monkeypatch):
    bus, go = without_telemetry, threading.Event()
    task = listeners.SOURCES["task"]()
    spans = {}
    monkeypatch.setattr(event_listener, "execution_spans", spans)
    bus.on(task_events.TaskStartedEvent)(lambda *_: go.wait(30))
    bus.emit(task, task_events.TaskStartedEvent(context=None))
    done = bus.emit(task, task_events.TaskCompletedEvent(output=listeners.OUTPUT))
    assert len(bus._sync_executor._threads) == 2  # it may come before, as without us
    go.set()
    done.result()
    assert bus.flush()


def in_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    thread.join(0.05)
    return thread


LOCKING = ["r_acquire", "r_release", "r_locked", "w_acquire", "w_release", "w_locked"]


@pytest.mark.parametrize("name", LOCKING)
def test_a_patched_method_of_the_lock_is_called(bus, monkeypatch, name):
    original, seen = getattr(RWLock, name), []

    def patched(lock):
        seen.append(lock)
        return original(lock)

    monkeypatch.setattr(RWLock, name, patched)
    record = EventRecord()
    contextvars.Context().run(bus.emit, None, events.Mine())  # without a record of its own
    record.add(events.Mine())
    assert seen == [bus._rwlock if name.startswith("r_") else record._lock]


@pytest.mark.parametrize("held", ["r", "w"])
def test_an_addition_waits_for_readers_and_writers(held):
    record = EventRecord()
    getattr(record._lock, f"{held}_acquire")()
    thread = in_thread(record.add, events.Mine(event_id="e"))
    assert thread.is_alive() and record.nodes == {}
    getattr(record._lock, f"{held}_release")()
    thread.join(30)
    assert list(record.nodes) == ["e"]
    assert (record._lock._readers, record._lock._writer) == (0, False)


def test_an_emission_waits_for_writers_only(bus):
    bus._rwlock.r_acquire()
    assert not in_thread(bus.emit, None, events.Mine()).is_alive()
    assert bus._rwlock._readers == 1
    bus._rwlock.r_release()
    bus._rwlock.w_acquire()
    thread = in_thread(bus.emit, None, events.Mine())
    assert thread.is_alive()
    bus._rwlock.w_release()
    thread.join(30)
    assert not thread.is_alive()


def test_additions_of_many_threads_are_all_there():
    record = EventRecord()

    def add(first):
        for number in range(first, first + 200):
            record.add(events.Mine(event_id=f"{number}", previous_event_id=f"{number - 1}"))
            list(record.all_nodes())

    threads = [threading.Thread(target=add, args=(i * 200,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(record.nodes) == {str(number) for number in range(800)}
    linked = sum(len(node.neighbors("previous")) for node in record.nodes.values())
    assert linked == sum(len(node.neighbors("next")) for node in record.nodes.values()) >= 796


def test_a_subclass_with_handlers_calls_of_its_own_gets_crewais_code(monkeypatch):
    called = []

    class Own(CrewAIEventsBus):
        def _call_handlers(self, source, event, handlers, state):
            called.append(event.type)

    bus = object.__new__(Own)
    bus._initialize()
    silent(bus, monkeypatch)
    threads_after(bus)
    bus.shutdown()
    assert called == ["agent_logs_execution"]


def test_a_checkpoint_of_a_record_is_the_same():
    def dump():
        record = RuntimeState(root=[]).event_record
        for number in range(3):
            record.add(
                events.Mine(
                    event_id=str(number), timestamp=events.THEN, parent_event_id=str(number - 1)
                )
            )
        for node in record.nodes.values():
            assert node.model_copy(deep=True) == pickle.loads(pickle.dumps(node)) == node
        return record.model_dump_json(), record.model_dump_json(exclude_unset=True)

    with fast_crewai.disabled():
        expected = dump()
    assert dump() == expected
    assert contextvars.copy_context().run(dump) == expected
