"""The end of every flow method: saving its completion where nothing is to be saved.

After each method the flow engine sends ``_persist_method_completion`` to a worker thread, also in
flows without persistence, where it returns at once. The rest of ``_execute_method`` is CrewAI's
own code: it is compiled again from its source with that one expression replaced.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Generator
from typing import Any

from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.areas.worker_threads import nobody_counts
from fast_crewai.hooks.route import Route, Site

_RUNTIME = "crewai.flow.runtime"
SAVING = "asyncio.to_thread(self._persist_method_completion, method_name)"

_to_thread = asyncio.to_thread


@types.coroutine
def two_turns() -> Generator[None, None, None]:
    """What a thread that is done at once takes: one turn of the loop to report, one to resume.

    Other tasks run and cancellation arrives here, as they do in the hand-off.
    """
    yield
    yield


def saves_nothing(flow: Any, method_name: Any, expected: Callable[..., Any]) -> bool:
    """Whether ``flow._persist_method_completion(method_name)`` returns at once.

    ``expected`` is CrewAI's function; False if the flow has another one.
    """
    try:
        if flow._persist_method_completion.__func__ is not expected:
            return False
        definition = flow._definition
        saves = definition.methods[str(method_name)].persist
        if saves is None:
            saves = definition.persist
        return saves is None or saves.enabled is False
    except Exception:  # the original raises it, where it did
        return False


def _execute_method(site: Site) -> Callable[..., Any]:
    module, expected = site.module, site.namespace.__dict__["_persist_method_completion"]

    async def complete(flow: Any, method_name: Any) -> None:
        to_thread = module.asyncio.to_thread
        if (
            to_thread is _to_thread
            and saves_nothing(flow, method_name, expected)
            and nobody_counts(asyncio.get_running_loop())
        ):
            await two_turns()
        else:
            await to_thread(flow._persist_method_completion, method_name)

    return recompiled(
        site.original,
        {SAVING: "_fc_complete(self, method_name)"},
        {"_fc_complete": complete},
    )


EXECUTE_METHOD = Route(
    name="flow.method-completion",
    target=f"{_RUNTIME}:Flow._execute_method",
    why="half of the hand-offs to worker threads save nothing (6 of 12 per agent step)",
    build=_execute_method,
    reads=(f"{_RUNTIME}:Flow._persist_method_completion",),
)
