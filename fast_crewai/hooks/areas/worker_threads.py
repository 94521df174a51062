"""Worker threads for the runs that wait for a model in one.

asyncio's own pool has cores + 4 threads, 32 at most. An agent keeps one while its model answers,
so with many crews on a loop most of them wait for a thread, not for their model. Here each run
has a thread of its own, and the pool is left to what else the program sends there.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import queue
import threading
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import thread as pool
from typing import Any

from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Route, Site

MOST = 256  # threads at once; further runs wait in asyncio's pool, as before
# A loop's methods that a hand-off to a thread calls, where they are Python's own.
_LOOPS = tuple(
    (name, function)
    for name in ("call_soon", "call_soon_threadsafe", "create_task", "run_in_executor")
    if (function := vars(asyncio.BaseEventLoop)[name]).__globals__ is vars(asyncio.base_events)
)


class _Threads:
    """How many there are now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._living = 0

    def take(self) -> int | None:
        """The number of a new one, or None if there are too many."""
        with self._lock:
            if self._living >= MOST:
                return None
            self._living += 1
            return self._living - 1

    def give_back(self) -> None:
        with self._lock:
            self._living -= 1


class _Here(threading.local):
    own = False


_threads = _Threads()
if hasattr(os, "register_at_fork"):  # the child has none of them
    os.register_at_fork(after_in_child=_threads.__init__)  # type: ignore[misc]
_here = _Here()


def nobody_counts(loop: Any) -> bool:
    """Whether no code of the user's sees what the loop sends to threads, or which tasks it has.

    uvloop's methods are compiled: a replacement isn't.
    """
    for name, own in _LOOPS:
        method = getattr(loop, name)
        if type(method) is not types.MethodType:
            return False
        function = method.__func__
        if function is not own and type(function).__name__ != "cython_function_or_method":
            return False
    executor = getattr(loop, "_default_executor", None)
    return len(_LOOPS) == 4 and (executor is None or type(executor) is ThreadPoolExecutor)


def is_own() -> bool:
    """Whether this thread is the run's own: nothing else waits for it."""
    return _here.own


async def in_worker(function: Callable[..., Any], *arguments: Any) -> Any:
    """``asyncio.to_thread(function, *arguments)``, in a thread of its own.

    It has a name like those of asyncio's pool, and the loop's end waits for it in the same way.
    """
    loop = asyncio.get_running_loop()
    number = _threads.take() if nobody_counts(loop) and _has_asyncios_pool(loop) else None
    if number is None:
        return await asyncio.to_thread(function, *arguments)
    future: asyncio.Future[Any] = loop.create_future()
    call = (contextvars.copy_context(), function, arguments)
    thread = threading.Thread(target=_run, args=(loop, future, *call), name=f"asyncio_{number}")
    try:
        _start(thread)
    except RuntimeError:  # no more threads here, or the interpreter ends
        _threads.give_back()
        return await asyncio.to_thread(function, *arguments)
    try:
        return await future
    finally:
        if future.cancelled():
            if thread.is_alive():
                with contextlib.suppress(RuntimeError):  # the loop's pool takes no more
                    loop.run_in_executor(None, thread.join)
        elif future.done():
            thread.join()  # it is at its end: nobody finds it after the loop's


def _start(thread: threading.Thread) -> None:
    """As a pool does: at its end the interpreter waits for it, for a daemon, too."""
    waited_for: Any = pool._threads_queues
    with pool._global_shutdown_lock:
        if pool._shutdown:
            raise RuntimeError("the interpreter ends")
        thread.start()
        waited_for[thread] = queue.SimpleQueue()


def _has_asyncios_pool(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop has no pool yet, or made it: one that a program set is to be used."""
    try:
        executor: Any = loop._default_executor  # type: ignore[attr-defined]
        return executor is None or (
            type(executor) is ThreadPoolExecutor and executor._thread_name_prefix == "asyncio"
        )
    except AttributeError:  # another kind of loop
        return False


def _run(
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[Any],
    context: contextvars.Context,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    _here.own = True
    try:
        result = context.run(function, *arguments)
    except BaseException as error:
        report = (future.set_exception, as_from_a_future(error))
    else:
        report = (future.set_result, result)
    finally:
        _threads.give_back()
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(_unless_done, future, *report)


def _unless_done(future: asyncio.Future[Any], report: Callable[[Any], Any], value: Any) -> None:
    if not future.done():
        report(value)


def as_from_a_future(error: BaseException) -> BaseException:
    """asyncio's own exception for one of concurrent.futures, as its futures do."""
    convert = getattr(asyncio.futures, "_convert_future_exc", None)
    converted: BaseException = convert(error) if convert else error
    return converted


def _kickoff_async(site: Site) -> Callable[..., Any]:
    to_thread = asyncio.to_thread

    async def in_thread(kickoff: Callable[..., Any], *arguments: Any) -> Any:
        found = site.module.asyncio.to_thread  # a test's, or a tracer's
        return await (in_worker if found is to_thread else found)(kickoff, *arguments)

    kickoff = "(self.kickoff, inputs, input_files)"
    return recompiled(
        site.original,
        {f"asyncio.to_thread{kickoff}": f"_fc_in_thread{kickoff}"},
        {"_fc_in_thread": in_thread},
    )


KICKOFF_ASYNC = Route(
    name="tasks.kickoff-threads",
    target="crewai.crew:Crew.kickoff_async",
    why="more crews at once than asyncio has threads wait for each other (cores + 4)",
    build=_kickoff_async,
)
