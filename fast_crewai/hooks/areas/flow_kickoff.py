"""The end of every flow: waiting for memory and for event handlers.

``Flow.kickoff_async`` waits for each handler by itself (``event_futures``), then in a worker
thread for memory and for all handlers, also when there is nothing to save and no handler at work.
The rest is CrewAI's own code, compiled again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fast_crewai.hooks.areas.event_futures import waiting_for_all
from fast_crewai.hooks.areas.flow_methods import two_turns
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.areas.worker_threads import nobody_counts
from fast_crewai.hooks.dispatch import original_of
from fast_crewai.hooks.route import Route, Site

_RUNTIME = "crewai.flow.runtime"
_BUS = "crewai.events.event_bus"
_MEMORY = "crewai.memory.unified_memory"

_HANDLERS = "asyncio.gather(*[asyncio.wrap_future(f) for f in self._event_futures])"
_to_thread = asyncio.to_thread


def _kickoff_async(site: Site) -> Callable[..., Any]:
    module = site.module
    flow_class: Any = site.namespace
    bus_class = type(vars(module)["crewai_event_bus"])
    memory_class = vars(module)["Memory"]
    drains, flushes = _own(flow_class, "_drain_memory_writes"), _own(bus_class, "flush")
    drains_memory = _own(memory_class, "drain_writes")

    def nothing_to_save(flow: Any) -> bool:
        if getattr(flow._drain_memory_writes, "__func__", None) is not drains:
            return False
        memory = flow.memory
        if memory is None:
            return True
        return (
            type(memory) is memory_class
            and getattr(memory.drain_writes, "__func__", None) is drains_memory
            and not memory._pending_saves
        )

    def nothing_at_work(bus: Any) -> bool:
        return (
            type(bus) is bus_class
            and getattr(bus.flush, "__func__", None) is flushes
            and not (bus._has_pending_events and bus._pending_futures)
        )

    async def wait(nothing: Callable[[Any], bool], owner: Any, method: str) -> None:
        to_thread = module.asyncio.to_thread
        if (
            to_thread is _to_thread
            and _tells(nothing, owner)
            and nobody_counts(asyncio.get_running_loop())
        ):
            await two_turns()
        else:
            await to_thread(getattr(owner, method))

    return recompiled(
        site.original,
        {
            "asyncio.to_thread(self._drain_memory_writes)": "_fc_drain(self)",
            "asyncio.to_thread(crewai_event_bus.flush)": "_fc_flush(crewai_event_bus)",
            _HANDLERS: "_fc_handlers(self._event_futures)",
        },
        {
            "_fc_drain": lambda flow: wait(nothing_to_save, flow, "_drain_memory_writes"),
            "_fc_flush": lambda bus: wait(nothing_at_work, bus, "flush"),
            "_fc_handlers": waiting_for_all(module),
        },
    )


def _own(owner: Any, name: str) -> Any:
    return original_of(vars(owner)[name])


def _tells(nothing: Callable[[Any], bool], owner: Any) -> bool:
    try:
        return nothing(owner)
    except Exception:  # the original raises it, where it did
        return False


KICKOFF_ASYNC = Route(
    name="flow.kickoff-end",
    target=f"{_RUNTIME}:Flow.kickoff_async",
    why="two hand-offs to worker threads at the end of every flow, mostly for nothing",
    build=_kickoff_async,
    reads=(
        f"{_RUNTIME}:Flow._drain_memory_writes",
        f"{_BUS}:CrewAIEventsBus.flush",
        f"{_MEMORY}:Memory.drain_writes",
    ),
)
