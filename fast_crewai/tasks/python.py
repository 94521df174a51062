"""The Python twin of ``_core.RustTaskExecutor``: the same outcomes, in Python's threads."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from fast_crewai.tasks.graph import Graph
from fast_crewai.tasks.progress import Progress

_GLANCE = 0.05  # seconds


class PythonTaskExecutor(Graph):
    """A graph of tasks, and runs of callables in threads."""

    implementation = "python"

    def __init__(self, max_concurrent_tasks: int = 10) -> None:
        super().__init__()
        self._max_concurrent = max(max_concurrent_tasks, 1)
        self._lock = threading.RLock()
        self._runs: weakref.WeakSet[_Run] = weakref.WeakSet()

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if not name.startswith(("get_", "mark_", "register_", "clear")):
            return found

        def locked(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                return found(*arguments, **named)

        return locked

    def execute_concurrent_tasks(
        self,
        functions: Sequence[Callable[[], Any]],
        dependencies: Sequence[Sequence[int]] | None = None,
        timeout_seconds: float | None = None,
        stop_on_error: bool = False,
    ) -> list[tuple[str, Any]]:
        """Call each function without arguments, so many at a time; a pair (state, value) each."""
        if dependencies is None:
            dependencies = [()] * len(functions)
        run = _Run(functions, Progress(dependencies, stop_on_error), timeout_seconds)
        with self._lock:
            self._runs.add(run)
        for workers in range(min(self._max_concurrent, len(functions))):
            try:
                run.spawn()
            except RuntimeError:  # no more threads: those that there are do the work
                if workers == 0:
                    raise
                break
        run.wait()
        return [outcome or ("cancelled", None) for outcome in run.progress.outcomes]

    def cancel(self) -> None:
        """Cancel what hasn't started of all runs that are under way."""
        with self._lock:
            runs = list(self._runs)
        for run in runs:
            run.stop()


class _Run:
    def __init__(
        self, functions: Sequence[Callable[[], Any]], progress: Progress, timeout: float | None
    ) -> None:
        self._functions = functions
        self.progress = progress
        self._timeout = timeout
        self._begun: dict[int, float] = {}
        self._changed = threading.Condition()

    def spawn(self) -> None:
        threading.Thread(target=self._work, name="fast_crewai-task", daemon=True).start()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                state, value = "completed", self._functions[task]()
            except BaseException as error:
                state, value = "failed", error
            with self._changed:
                in_time = self.progress.finish(task, state, value)
                self._changed.notify_all()
            del value
            if not in_time:
                return  # another worker took this one's place

    def _next(self) -> int | None:
        with self._changed:
            while True:
                task = self.progress.take()
                if task is not None:
                    self._begun[task] = time.monotonic()
                    return task
                if self.progress.left == 0:
                    return None
                self._changed.wait()

    def stop(self) -> None:
        with self._changed:
            self.progress.stop()
            self._changed.notify_all()

    def wait(self) -> None:
        """Until all is done; looks at time limits."""
        try:
            while True:
                with self._changed:
                    if self.progress.left:
                        self._changed.wait(self._pause())
                    overdue = self._expire()
                    if self.progress.left == 0:
                        return
                for _ in range(overdue):
                    self.spawn()  # in place of a worker that can't be stopped
        except BaseException:
            self.stop()
            raise

    def _running(self) -> list[tuple[int, float]]:
        return [(t, b) for t, b in list(self._begun.items()) if self.progress.outcomes[t] is None]

    def _pause(self) -> float | None:
        if self._timeout is None:
            return _GLANCE
        now = time.monotonic()
        left = [self._timeout - (now - begun) for _, begun in self._running()]
        return min(max(min(left, default=self._timeout), 0.001), _GLANCE)

    def _expire(self) -> int:
        if self._timeout is None:
            return 0
        now = time.monotonic()
        overdue = [t for t, begun in self._running() if now - begun >= self._timeout]
        expired = sum(self.progress.finish(task, "timed_out") for task in overdue)
        if expired:
            self._changed.notify_all()
        return expired
