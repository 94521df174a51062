"""Routes of tasks and their inputs (component ``tasks``)."""

from __future__ import annotations

from fast_crewai import _core
from fast_crewai.hooks.areas import file_store, json_log, task_log
from fast_crewai.hooks.areas.model_json import PARTIAL
from fast_crewai.hooks.areas.private_attributes import private_attributes
from fast_crewai.hooks.areas.worker_threads import KICKOFF_ASYNC
from fast_crewai.hooks.route import Route

_STRINGS = "crewai.utilities.string_utils"

ROUTES = (
    Route(
        name="tasks.interpolate",
        target=f"{_STRINGS}:interpolate_only",
        why="role, goal, backstory, description and output of every agent and task (x17 at 100 KB)",
        build=lambda site: _core.interpolate,
        pure=True,
        reads=(f"{_STRINGS}:_VARIABLE_PATTERN",),
    ),
    private_attributes("tasks", "crewai.task:Task"),
    *file_store.ROUTES,
    KICKOFF_ASYNC,
    *task_log.ROUTES,
    *json_log.ROUTES,
    *PARTIAL,
)
