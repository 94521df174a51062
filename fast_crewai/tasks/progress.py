"""A run of tasks: what may start next, and what became of each; as ``src/tasks/progress.rs``."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

Outcome = tuple[str, Any]


class Progress:
    """``dependencies``: for each task, the numbers of others; without cycles. Not thread-safe."""

    def __init__(self, dependencies: Sequence[Sequence[int]], stop_on_error: bool) -> None:
        self._waits = [len(needed) for needed in dependencies]
        self._dependents: list[list[int]] = [[] for _ in dependencies]
        for task, needed in enumerate(dependencies):
            for one in needed:
                self._dependents[one].append(task)
        self._ready = [task for task, count in enumerate(self._waits) if count == 0]
        self._started = [False] * len(dependencies)
        self._stop_on_error = stop_on_error
        self.outcomes: list[Outcome | None] = [None] * len(dependencies)
        self.left = len(dependencies)

    def take(self) -> int | None:
        """The next task to start."""
        while self._ready:
            task = heapq.heappop(self._ready)
            if self.outcomes[task] is None:
                self._started[task] = True
                return task
        return None

    def finish(self, task: int, state: str, value: Any = None) -> bool:
        """Note what became of a task, unless it is known; return whether it wasn't."""
        if not self._note(task, (state, value)):
            return False
        if state == "completed":
            for dependent in self._dependents[task]:
                self._waits[dependent] -= 1
                if self._waits[dependent] == 0:
                    heapq.heappush(self._ready, dependent)
            return True
        above = [task]
        while above:
            cause = above.pop()
            above += [d for d in self._dependents[cause] if self._note(d, ("skipped", cause))]
        if self._stop_on_error:
            self.stop()
        return True

    def _note(self, task: int, outcome: Outcome) -> bool:
        if self.outcomes[task] is not None:
            return False
        self.outcomes[task] = outcome
        self.left -= 1
        return True

    def stop(self) -> None:
        """Cancel everything that hasn't started."""
        for task, started in enumerate(self._started):
            if not started:
                self._note(task, ("cancelled", None))
