"""Worker threads for the runs that wait for a model in one.

asyncio's own pool has cores + 4 threads, 32 at most. An agent keeps one while its model answers,
so with many crews on a loop most of them wait for a thread, not for their model. Here each gets
one beside the pool's own number for as long as it runs; what else the program sends to the pool
finds the threads it always had.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Route, Site

MOST = 256  # threads of one pool

_lock = threading.Lock()


async def in_worker(function: Callable[..., Any], *arguments: Any) -> Any:
    """``asyncio.to_thread(function, *arguments)``, in a thread beside the pool's number."""
    pool = _with_room(asyncio.get_running_loop())
    try:
        return await asyncio.to_thread(function, *arguments)
    finally:
        if pool is not None:
            with _lock:
                pool._max_workers -= 1


def _with_room(loop: asyncio.AbstractEventLoop) -> Any:
    """The loop's pool, allowed one more thread; None if that isn't asyncio's own, or is full."""
    pool: Any = getattr(loop, "_default_executor", None)
    if type(pool) is not ThreadPoolExecutor or pool._thread_name_prefix != "asyncio":
        return None
    with _lock:
        if pool._max_workers >= MOST:
            return None
        pool._max_workers += 1
    return pool


def _kickoff_async(site: Site) -> Callable[..., Any]:
    kickoff = "(self.kickoff, inputs, input_files)"
    return recompiled(
        site.original,
        {f"asyncio.to_thread{kickoff}": f"_fc_in_worker{kickoff}"},
        {"_fc_in_worker": in_worker},
    )


KICKOFF_ASYNC = Route(
    name="tasks.kickoff-threads",
    target="crewai.crew:Crew.kickoff_async",
    why="more crews at once than asyncio has threads wait for each other (cores + 4)",
    build=_kickoff_async,
)
