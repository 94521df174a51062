"""Routes of CrewAI's stores on disk (component ``database``)."""

from __future__ import annotations

from fast_crewai.hooks.areas import jsonb, jsonb_cli
from fast_crewai.hooks.areas.store_lock import store_lock
from fast_crewai.hooks.route import Route

_LOCK_STORE = "crewai_core.lock_store"

ROUTES = (
    Route(
        name="database.store-lock",
        target=f"{_LOCK_STORE}:lock",
        why="whoever waits for a store sleeps 0.25 s at a time, however short the wait",
        build=store_lock,
        reads=(
            f"{_LOCK_STORE}:_redis_available",
            "portalocker.utils:LockBase._timeout_generator",
            "portalocker.utils:Lock.__init__",
            "portalocker.utils:Lock.acquire",
            "portalocker.utils:Lock._get_fh",
            "portalocker.utils:Lock._get_lock",
            "portalocker.utils:Lock._prepare_fh",
            "portalocker.utils:Lock.release",
        ),
    ),
    *jsonb.ROUTES,
    *jsonb_cli.ROUTES,
)
