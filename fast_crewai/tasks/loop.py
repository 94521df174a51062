"""Runs of coroutine functions in one event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Any

from fast_crewai.tasks.progress import Outcome, Progress


def run(
    functions: Sequence[Callable[[], Awaitable[Any]]],
    progress: Progress,
    concurrent: int,
    timeout: float | None,
) -> list[Outcome]:
    """Await each function's result, so many at a time; a pair (state, value) each.

    Uses an event loop of its own, in a thread of its own if one is running here.
    """
    main = _Loop(functions, progress, concurrent, timeout)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main.run())
    done: Future[list[Outcome]] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            done.set_result(context.run(lambda: asyncio.run(main.run())))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, name="fast_crewai-loop").start()
    return done.result()


class _Loop:
    def __init__(
        self,
        functions: Sequence[Callable[[], Awaitable[Any]]],
        progress: Progress,
        concurrent: int,
        timeout: float | None,
    ) -> None:
        self._functions = functions
        self._progress = progress
        self._concurrent = concurrent
        self._timeout = timeout

    async def run(self) -> list[Outcome]:
        self._changed = asyncio.Event()
        workers = min(self._concurrent, len(self._functions))
        await asyncio.gather(*(self._work() for _ in range(workers)))
        return [outcome or ("cancelled", None) for outcome in self._progress.outcomes]

    async def _work(self) -> None:
        while self._progress.left:
            task = self._progress.take()
            if task is None:
                self._changed.clear()
                await self._changed.wait()
                continue
            state, value = await self._call(self._functions[task])
            self._progress.finish(task, state, value)
            self._changed.set()

    async def _call(self, function: Callable[[], Awaitable[Any]]) -> Outcome:
        # A task of its own, so that it has a context of its own and can be cancelled alone.
        task = asyncio.ensure_future(_awaited(function))
        done, _ = await asyncio.wait([task], timeout=self._timeout)
        if not done:
            task.cancel()
            await asyncio.wait([task], timeout=1)
            return "timed_out", None
        return task.result()


async def _awaited(function: Callable[[], Awaitable[Any]]) -> Outcome:
    # asyncio would end the loop at SystemExit, and make a new exception of CancelledError.
    try:
        return "completed", await function()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return "failed", error
