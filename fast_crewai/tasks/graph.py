"""Which task waits for which; the twin of ``src/tasks/graph.rs``."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from fast_crewai.errors import CycleError, TaskStateError, UnknownTaskError


@dataclass
class _Task:
    dependencies: list[str]
    state: str = "pending"


class Graph:
    """Tasks in the order of registration."""

    def __init__(self) -> None:
        self._tasks: dict[str, _Task] = {}

    def register_task(self, task_id: str, dependencies: Sequence[str] = ()) -> None:
        """Add a task, or make it pending again with other dependencies."""
        old = self._tasks.get(task_id)
        if old is not None and old.state == "running":
            raise TaskStateError(f"task {task_id} is running")
        self._tasks[task_id] = _Task(list(dependencies))

    def get_state(self, task_id: str) -> str:
        """ "pending", "running", "completed" or "failed"."""
        return self._find(task_id).state

    def _find(self, task_id: str) -> _Task:
        try:
            return self._tasks[task_id]
        except KeyError:
            raise UnknownTaskError(task_id) from None

    def mark_started(self, task_id: str) -> None:
        """From pending to running."""
        self._mark(task_id, ("pending",), "running")

    def mark_completed(self, task_id: str) -> None:
        """From pending or running to completed."""
        self._mark(task_id, ("pending", "running"), "completed")

    def mark_failed(self, task_id: str) -> None:
        """From pending or running to failed."""
        self._mark(task_id, ("pending", "running"), "failed")

    def _mark(self, task_id: str, before: tuple[str, ...], state: str) -> None:
        task = self._find(task_id)
        if task.state not in before:
            raise TaskStateError(f"task {task_id} is {task.state}: it can't become {state}")
        task.state = state

    def get_ready_tasks(self) -> list[str]:
        """Pending tasks whose dependencies are completed."""
        done = {task_id for task_id, task in self._tasks.items() if task.state == "completed"}
        return [
            task_id
            for task_id, task in self._tasks.items()
            if task.state == "pending" and done.issuperset(task.dependencies)
        ]

    def get_execution_order(self) -> list[str]:
        """All tasks, each after those that it depends on."""
        ids = list(self._tasks)
        places = {task_id: place for place, task_id in enumerate(ids)}
        needed: list[list[int]] = []
        for task in self._tasks.values():
            for one in task.dependencies:
                self._find(one)
            needed.append([places[one] for one in task.dependencies])
        waits = [len(places_) for places_ in needed]
        dependents: list[list[int]] = [[] for _ in ids]
        for place, others in enumerate(needed):
            for other in others:
                dependents[other].append(place)
        ready = [place for place, count in enumerate(waits) if count == 0]
        order = []
        while ready:
            place = heapq.heappop(ready)
            order.append(place)
            for dependent in dependents[place]:
                waits[dependent] -= 1
                if waits[dependent] == 0:
                    heapq.heappush(ready, dependent)
        if len(order) < len(ids):
            raise CycleError([ids[place] for place in _cycle(needed, waits)])
        return [ids[place] for place in order]

    def get_counts(self) -> list[int]:
        """How many tasks are pending, running, completed, failed."""
        states = [task.state for task in self._tasks.values()]
        return [states.count(state) for state in ("pending", "running", "completed", "failed")]

    def clear(self) -> None:
        """Forget all tasks."""
        self._tasks.clear()


def _cycle(needed: list[list[int]], waits: list[int]) -> list[int]:
    """Places that wait for each other, the first one again at the end."""
    steps: dict[int, None] = {}  # an ordered set
    here = next(place for place, count in enumerate(waits) if count > 0)
    while here not in steps:
        steps[here] = None
        here = next(one for one in needed[here] if waits[one] > 0)
    path = list(steps)
    return [*path[path.index(here) :], here]
