"""Ends of flows: memory still being saved, event handlers still at work, and who replaced them."""

import asyncio
import threading
from concurrent.futures import Future
from unittest import mock

from crewai.events.base_events import BaseEvent
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.flow_events import FlowFinishedEvent
from crewai.flow.flow import Flow, start
from crewai.memory.unified_memory import Memory
from hypothesis import strategies as st

SLOW = 0.004  # seconds


class Late(BaseEvent):
    """Its handler takes its time."""

    type: str = "late"


class Ending(Flow):
    _skip_auto_memory: bool = True

    @start()
    def only(self):
        for _ in range(self.state["late"]):
            crewai_event_bus.emit(self, Late())
        if self.state["fails"]:
            raise ValueError("failed")
        return "result"


class Backed:
    """A view on a memory, as ``MemoryScope`` is."""

    def __init__(self, memory):
        self._memory = memory


class Other:
    def __init__(self, log, fails):
        self.log, self.fails = log, fails

    def drain_writes(self):
        self.log.append(("drained", kind_of_thread()))
        if self.fails:
            raise OSError("disk full")


def kind_of_thread():
    return threading.current_thread().name.partition("_")[0]


def saving(log, saves):
    """CrewAI's own memory with so many saves on their way."""
    memory = Memory.__new__(Memory)
    pending = [Future() for _ in range(saves)]
    private = {"_pending_saves": pending, "_pending_lock": threading.Lock()}
    for name, value in (
        ("__dict__", {}),
        ("__pydantic_private__", private),
        ("__pydantic_extra__", None),
        ("__pydantic_fields_set__", set()),
    ):
        object.__setattr__(memory, name, value)

    def save(future):
        log.append("saved")
        future.set_result(None)

    for future in pending:
        threading.Timer(SLOW, save, [future]).start()
    return memory


examples = st.fixed_dictionaries(
    {
        "late": st.sampled_from([0, 0, 1, 3]),
        "fails": st.sampled_from([False, False, False, True]),
        "memory": st.sampled_from(["none", "none", "idle", "saving", "backed", "other", "broken"]),
        "patched": st.sampled_from([None, None, None, "flush", "drain", "drain_writes"]),
    }
)


def observe(function, example):
    """The result or exception of ``Flow.kickoff_async``, and what happened in which order."""
    log = []
    flow = Ending()
    patched = example["patched"]  # then nobody waits for what is late
    late = 0 if patched == "flush" else example["late"]
    saves = 0 if patched in ("drain", "drain_writes") else 2
    flow.state.update(late=late, fails=example["fails"])
    memories = {
        "none": lambda: None,
        "idle": lambda: saving(log, 0),
        "saving": lambda: saving(log, saves),
        "backed": lambda: Backed(saving(log, saves)),
        "other": lambda: Other(log, False),
        "broken": lambda: Other(log, True),
    }
    object.__setattr__(flow, "memory", memories[example["memory"]]())
    patches = {
        None: lambda: mock.patch.object(flow, "name", None),
        "flush": lambda: mock.patch.object(
            type(crewai_event_bus), "flush", lambda _: log.append(("flush", kind_of_thread()))
        ),
        "drain": lambda: mock.patch.object(
            Ending, "_drain_memory_writes", lambda _: log.append(("drain", kind_of_thread()))
        ),
        "drain_writes": lambda: mock.patch.object(
            Memory, "drain_writes", lambda _: log.append(("drain_writes", kind_of_thread()))
        ),
    }
    with crewai_event_bus.scoped_handlers():

        @crewai_event_bus.on(Late)
        def slow(source, event):
            threading.Event().wait(SLOW)
            log.append("handled")

        @crewai_event_bus.on(FlowFinishedEvent)
        def finished(source, event):
            log.append(("finished", event.result))

        with patches[patched]():
            try:
                ended = asyncio.run(function(flow))
            except (ValueError, OSError) as error:
                ended = type(error), str(error), error.__context__ is None
        crewai_event_bus.flush()
        waited_for = log.index(("finished", "result")) if ("finished", "result") in log else 0
        return ended, sorted(map(repr, log[:waited_for])), sorted(map(repr, log[waited_for:]))
