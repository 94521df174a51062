"""Waiting for a flow's handlers ends with the last of them, not with the first."""

import asyncio
import sys
import threading
from concurrent.futures import Future

from fast_crewai.hooks.areas.event_futures import waiting_for_all


def test_it_waits_for_the_last_one():
    first, last = Future(), Future()

    async def wait():
        waiting = asyncio.ensure_future(waiting_for_all(sys.modules[__name__])([first, last]))
        await asyncio.sleep(0)
        threading.Thread(target=first.set_result, args=(None,)).start()
        ended, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not ended
        last.set_result(None)
        await waiting

    asyncio.run(wait())
