"""CrewAI's SQLite stores: what is written under the store lock is written by one connection."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from fast_crewai.hooks.areas import sqlite_alone
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Route, Site, TargetError

_OUTPUTS = "crewai.memory.storage.kickoff_task_outputs_storage:KickoffTaskOutputsSQLiteStorage"
_FLOWS = "crewai.flow.persistence.sqlite:SQLiteFlowPersistence"
_WHY = "each write makes, locks and removes an index file (0.13 ms of CPU)"


def _writing(timeout: str) -> Callable[[Site], Callable[..., Any]]:
    def build(site: Site) -> Callable[..., Any]:
        if os.name != "posix":
            raise TargetError("not proven on this platform")
        return recompiled(
            site.original,
            {
                f"sqlite3.connect(self.db_path, timeout={timeout})": (
                    f"_fc_connect(sqlite3, self.db_path, {timeout})"
                )
            },
            {"_fc_connect": sqlite_alone.connect},
        )

    return build


def _routes(kind: str, timeout: str, methods: dict[str, str]) -> tuple[Route, ...]:
    build = _writing(timeout)
    return tuple(
        Route(name=f"database.{name}", target=f"{kind}.{method}", why=_WHY, build=build)
        for name, method in methods.items()
    )


ROUTES = (
    *_routes(
        _OUTPUTS,
        "30",
        {
            "outputs-setup": "_initialize_db",
            "outputs-add": "add",
            "outputs-update": "update",
            "outputs-reset": "delete_all",
        },
    ),
    *_routes(
        _FLOWS,
        "_SQLITE_BUSY_TIMEOUT_SECONDS",
        {
            "flow-state": "save_state",
            "flow-feedback": "save_pending_feedback",
            "flow-feedback-end": "clear_pending_feedback",
        },
    ),
)
