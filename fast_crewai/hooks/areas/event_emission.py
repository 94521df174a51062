"""Emitting an event: reading the tables of handlers, and handing it over to them.

The rest of ``emit`` is CrewAI's own code.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from fast_crewai.hooks.areas import rw_lock
from fast_crewai.hooks.areas.idle_listeners import LOADED, MORE, NOTES, READS, IdleListeners
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Route, Site

_MODULE = "crewai.events.event_bus"
_READING = "self._rwlock.r_locked()"
_SUBMIT = (
    "self._sync_executor.submit(ctx.run, self._call_handlers, source, event, sync_handlers, state)"
)
_FINISHED = "FINISHED"  # what concurrent.futures calls it
_set_result = Future.set_result


def _emit(site: Site) -> Callable[..., Any]:
    unaltered = rw_lock.Unaltered(vars(site.module)["RWLock"])
    idle = IdleListeners(site.module)

    def reading(bus: Any) -> Any:
        lock = bus._rwlock
        condition = None if bus._shutting_down else unaltered.condition_of(lock)
        if condition is None:  # or it prints, while it holds the lock
            return lock.r_locked()
        return rw_lock.ShortRead(lock, condition)

    def submit(bus: Any, ctx: Any, source: Any, event: Any, handlers: Any, state: Any) -> Any:
        work = idle.work_of(bus, source, event, handlers)
        if work is not MORE:
            if work is NOTES:
                ctx.run(bus._call_handlers, source, event, handlers, state)
            return _done()
        return bus._sync_executor.submit(
            ctx.run, bus._call_handlers, source, event, handlers, state
        )

    def track(bus: Any, future: Any) -> Any:
        """Note a future until it is done; one that is, would be forgotten at once."""
        if type(future) is Future and future._state == _FINISHED:
            return future
        return bus._track_future(future)

    return recompiled(
        site.original,
        {
            _READING: "_fc_reading(self)",
            _SUBMIT: "_fc_submit(self, ctx, source, event, sync_handlers, state)",
            "self._track_future": "_fc_track",
        },
        {"_fc_reading": reading, "_fc_submit": submit, "_fc_track": track},
    )


def _done() -> Future[None]:
    """A future whose work is done, and for which nobody can wait yet."""
    done: Future[None] = Future()
    if Future.set_result is _set_result:
        done._state = _FINISHED  # and its result is None
    else:
        done.set_result(None)
    return done


EMIT = Route(
    name="events.emit",
    target=f"{_MODULE}:CrewAIEventsBus.emit",
    why="most events wake a thread for listeners that do nothing, or next to it",
    build=_emit,
    reads=(
        *rw_lock.READS,
        f"{_MODULE}:CrewAIEventsBus._call_handlers",
        f"{_MODULE}:CrewAIEventsBus._track_future",
        *READS,
    ),
    after=LOADED,
)
