"""Waiting for the event handlers of a flow: one wake-up of the loop, when the last has ended.

``asyncio.wrap_future`` makes a future of the loop for each of them, and each wakes the loop. What
fails or is cancelled is awaited in CrewAI's own way.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from typing import Any

_gather, _wrap_future = asyncio.gather, asyncio.wrap_future
_DONE = "FINISHED"  # what concurrent.futures calls it


@types.coroutine
def _turns(count: int) -> Generator[None, None, None]:
    for _ in range(count):
        yield


def _succeeded(future: Future[Any]) -> bool:
    return future._state == _DONE and future._exception is None


def waiting_for_all(module: types.ModuleType) -> Callable[[Any], Coroutine[Any, Any, None]]:
    """``asyncio.gather(*[asyncio.wrap_future(f) for f in futures])``, the results unread."""
    globals_: Any = vars(module)

    async def wait(futures: Any) -> None:
        loop, aio = asyncio.get_running_loop(), globals_["asyncio"]
        if (
            aio.gather is not _gather
            or aio.wrap_future is not _wrap_future
            or type(futures) is not list
            or loop.get_debug()
            or not all(type(future) is Future for future in futures)
        ):
            await aio.gather(*[aio.wrap_future(future) for future in futures])
            return
        pending = [future for future in futures if not _succeeded(future)]
        if not pending:
            await _turns(3)
            return
        failed = await _first_failure(pending, loop)
        if failed is not None:
            await aio.wrap_future(failed)
        await _turns(1)

    return wait


async def _first_failure(
    pending: list[Future[Any]], loop: asyncio.AbstractEventLoop
) -> Future[Any] | None:
    """The first of them that fails or is cancelled, then; None when all have succeeded."""
    ended: asyncio.Future[Future[Any] | None] = loop.create_future()
    left = list(pending)

    def end(failed: Future[Any] | None) -> None:
        if not ended.done():
            ended.set_result(failed)

    def done(future: Future[Any]) -> None:
        left.pop()  # one step: of two threads at least one finds it empty
        if ended.done():
            return
        if not _succeeded(future):
            loop.call_soon_threadsafe(end, future)
        elif not left:
            loop.call_soon_threadsafe(end, None)

    for future in pending:
        future.add_done_callback(done)
    try:
        return await ended
    except asyncio.CancelledError:
        for future in pending:
            future.cancel()
        raise
