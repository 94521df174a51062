"""Questions to CrewAI's file store to which the answer is that there is no file.

CrewAI runs an event loop for each of them, four times per task. Where nothing is stored it isn't
needed; what it leaves behind, others can see, and stays: the thread has no event loop any more,
or one more executor has been counted.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import logging
import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID

from fast_crewai._core import Declined
from fast_crewai.hooks.route import Route, Site

_MODULE = "crewai.utilities.file_store"
_AIOCACHE = "0.12.3"  # what CrewAI allows; others are not proven
_USED = ("get", "delete", "_get", "_delete", "_SimpleMemoryBackend__delete", "_build_key")
_ATTRIBUTES = {
    "timeout", "namespace", "ttl", "build_key", "_serializer", "_plugins", "_cache", "_handlers",
}  # fmt: skip
_IDS = (UUID, str)
_POLICIES = ("asyncio.unix_events", "asyncio.windows_events", "uvloop")  # a user's may count


class _Memory:
    """aiocache's store in memory, as it is when it has not been altered."""

    def __init__(self, aiocache: Any) -> None:
        self.kind = aiocache.SimpleMemoryCache
        self.serializer = aiocache.serializers.PickleSerializer
        self.loads = self.serializer.loads
        self.used = [(name, getattr(self.kind, name)) for name in _USED]

    def is_plain(self, store: Any) -> bool:
        kind, state = self.kind, vars(store)
        return (
            state.keys() == _ATTRIBUTES
            and all(getattr(kind, name, None) is function for name, function in self.used)
            and state["build_key"] == store._build_key
            and state["_plugins"] == []
            and state["namespace"] is None
            and state["timeout"] == 5
            and type(state["_serializer"]) is self.serializer
            and vars(state["_serializer"]).keys() == {"encoding", "protocol"}
            and self.serializer.loads is self.loads
            and type(state["_cache"]) is dict
        )


class _Store:
    """The store of CrewAI's module, asked without an event loop."""

    def __init__(self, module: Any) -> None:
        self._module = module
        aiocache = sys.modules.get("aiocache")
        proven = getattr(aiocache, "__version__", None) == _AIOCACHE
        self._memory = _Memory(aiocache) if proven else None
        names = ("asyncio", "aiocache.base") if aiocache else ("asyncio",)
        self._loggers = [logging.getLogger(name) for name in names]  # these exist already

    def has_none(self, *keys: tuple[str, Any]) -> None:
        """Whether no (prefix, id) has a file; raises Declined if it isn't sure."""
        module = self._module
        if not all(type(id_) in _IDS for _, id_ in keys):
            raise Declined("not an id of CrewAI's")
        store = module._file_store
        if store is not None:
            memory = self._memory
            if memory is None or type(store) is not memory.kind or not memory.is_plain(store):
                raise Declined("a store of another kind")
            if store._cache and any(f"{prefix}{id_}" in store._cache for prefix, id_ in keys):
                raise Declined("files are stored")
        if module.asyncio is not asyncio or asyncio.run is not asyncio.runners.run:
            raise Declined("patched: asyncio")
        policy = getattr(asyncio.events, "_event_loop_policy", None)  # asking for it makes one
        if policy is not None and type(policy).__module__ not in _POLICIES:
            raise Declined("an event loop policy of the user's")
        if any(logger.isEnabledFor(logging.DEBUG) for logger in self._loggers):
            raise Declined("event loops are logged")
        self._leave_traces()

    def _leave_traces(self) -> None:
        futures = concurrent.futures
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            asyncio.set_event_loop(None)
            return
        if self._module.concurrent is not concurrent or futures.thread._shutdown:
            raise Declined("no new threads")
        futures.ThreadPoolExecutor(max_workers=1)  # the names of the next one's threads


def _get_all(site: Site) -> Callable[..., Any]:
    module, store = site.module, _Store(site.module)

    def fast(crew_id: Any, task_id: Any) -> None:
        crew = (module._CREW_PREFIX, crew_id)
        if task_id is None:
            store.has_none(crew)
        else:
            store.has_none(crew, (module._TASK_PREFIX, task_id))

    return fast


def _crew(site: Site) -> Callable[..., Any]:
    module, store = site.module, _Store(site.module)
    return lambda execution_id: store.has_none((module._CREW_PREFIX, execution_id))


def _task(site: Site) -> Callable[..., Any]:
    module, store = site.module, _Store(site.module)
    return lambda task_id: store.has_none((module._TASK_PREFIX, task_id))


def _route(name: str, function: str, build: Callable[[Site], Any], *reads: str) -> Route:
    return Route(
        name=f"tasks.{name}",
        target=f"{_MODULE}:{function}",
        why="four event loops per task, to find no file (0.1 ms of CPU each)",
        build=build,
        reads=tuple(f"{_MODULE}:{read}" for read in ("_run_sync", *reads)),
    )


ROUTES = (
    _route(
        "no-files",
        "get_all_files",
        _get_all,
        *("aget_all_files", "aget_files", "aget_task_files", "_CREW_PREFIX", "_TASK_PREFIX"),
    ),
    _route("no-crew-files", "clear_files", _crew, "aclear_files", "_CREW_PREFIX"),
    _route("no-task-files", "clear_task_files", _task, "aclear_task_files", "_TASK_PREFIX"),
)
