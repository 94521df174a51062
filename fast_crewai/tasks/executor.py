"""``AcceleratedTaskExecutor``: runs Python callables that depend on each other."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import functools
import inspect
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal

from fast_crewai import native
from fast_crewai.errors import (
    NativeError,
    TaskCancelledError,
    TaskError,
    TaskTimeoutError,
    UnknownTaskError,
)
from fast_crewai.tasks import loop
from fast_crewai.tasks.progress import Progress
from fast_crewai.tasks.python import PythonTaskExecutor

_log = logging.getLogger("fast_crewai")
_MOST = 1 << 20  # tasks at a time; more would be a C integer's overflow
_AT_EXIT = 5.0  # seconds that tasks still running have when the interpreter exits
_shut_down: list[Any] = []


class AcceleratedTaskExecutor:
    """A graph of tasks, and concurrent runs of Python callables and coroutine functions.

    ``max_concurrent_tasks``: how many run at a time. ``use_rust``: None (Rust if there is a
    native module), True or False. ``implementation``: "rust" or "python". With Rust, callables
    run in the threads of the process's one Tokio runtime (made at its first use, made anew after
    a fork; at exit, tasks still running have 5 seconds). Python's GIL is one for all of them:
    callables that compute gain nothing from more threads.

    A run of coroutine functions alone uses one event loop. All methods may be called by any
    number of threads. Raises ValueError for less than one task at a time,
    NativeUnavailableError for ``use_rust=True`` without a native module.
    """

    def __init__(self, max_concurrent_tasks: int = 10, use_rust: bool | None = None) -> None:
        if max_concurrent_tasks < 1:
            raise ValueError("max_concurrent_tasks is 1 or more")
        self.max_concurrent_tasks = max_concurrent_tasks
        rust = native.choose(use_rust, "RustTaskExecutor", "tasks")
        self._executor: Any = (rust or PythonTaskExecutor)(min(max_concurrent_tasks, _MOST))
        if rust is not None and not _shut_down:
            _shut_down.append(native.find()[0].shut_down_tasks)
            atexit.register(_shut_down[0], _AT_EXIT)
        self._lock = threading.RLock()
        self._functions: dict[str, Callable[[], Any]] = {}
        self._dependencies: dict[str, list[str]] = {}
        self._results: dict[str, Any] = {}
        self._errors: dict[str, Any] = {}
        self._states: dict[str, str] = {}  # ours, whatever happens to the executor

    @property
    def implementation(self) -> str:
        """ "rust" or "python"."""
        name: str = self._executor.implementation
        return name

    def register_task(
        self,
        task_id: str,
        dependencies: Sequence[str] | None = None,
        function: Callable[[], Any] | None = None,
    ) -> None:
        """Add a task, or make it pending again with other dependencies.

        ``dependencies``: ids, also of tasks that are registered later. ``function``: called
        without arguments by ``execute_concurrent``; may be a coroutine function. Raises
        TaskStateError for a task that is running, TypeError or UnicodeError for ids that are no
        text.
        """
        if isinstance(dependencies, str):
            raise TypeError("dependencies is a sequence of ids, not a str")
        needed = list(dependencies or ())
        for one in (task_id, *needed):
            if not isinstance(one, str):
                raise TypeError(f"a task's id is str, not {type(one).__name__}")
            one.encode()  # ids are Unicode
        with self._lock:
            self._call("register_task", task_id, needed)
            self._dependencies[task_id] = needed
            self._states[task_id] = "pending"
            self._results.pop(task_id, None)
            self._errors.pop(task_id, None)
            self._functions.pop(task_id, None)
            if function is not None:
                self._functions[task_id] = function

    def get_ready_tasks(self) -> list[str]:
        """Pending tasks whose dependencies are completed, in the order of registration."""
        return list(self._call("get_ready_tasks"))

    def get_execution_order(self) -> list[str]:
        """All tasks, each after those that it depends on; otherwise in the order of registration.

        Raises CycleError, which names the tasks that wait for each other, UnknownTaskError for
        a dependency that isn't registered.
        """
        return list(self._call("get_execution_order"))

    def mark_started(self, task_id: str) -> None:
        """From pending to running. Raises TaskStateError, UnknownTaskError."""
        self._mark("mark_started", task_id, "running")

    def mark_completed(self, task_id: str, result: Any = None) -> None:
        """From pending or running to completed. Raises TaskStateError, UnknownTaskError."""
        with self._lock:
            self._mark("mark_completed", task_id, "completed")
            self._results[task_id] = result

    def mark_failed(self, task_id: str, error: Any = None) -> None:
        """From pending or running to failed. Raises TaskStateError, UnknownTaskError."""
        with self._lock:
            self._mark("mark_failed", task_id, "failed")
            self._errors[task_id] = error

    def get_result(self, task_id: str) -> Any:
        """A completed task's result, None for others. Raises UnknownTaskError."""
        self._known(task_id)
        return self._results.get(task_id)

    def get_error(self, task_id: str) -> Any:
        """A failed task's error, None for others. Raises UnknownTaskError."""
        self._known(task_id)
        return self._errors.get(task_id)

    def execute_task(
        self, task: str | Callable[[], Any], timeout_seconds: float | None = None
    ) -> Any:
        """One task's result; as ``execute_concurrent``."""
        return self.execute_concurrent([task], timeout_seconds)[0]

    def execute_concurrent(
        self,
        tasks: Sequence[str | Callable[[], Any]] | None = None,
        timeout_seconds: float | None = None,
        on_error: Literal["raise", "cancel", "return"] = "raise",
    ) -> list[Any]:
        """Run tasks, so many at a time, and return their results in the order given.

        ``tasks``: ids of registered tasks with a function (all that are pending, if None), or
        callables. Each is started when those of its dependencies that are among them are
        completed; others must be completed already. Each runs with a copy of the caller's
        context variables. ``timeout_seconds``: for each task, from its start; a callable's thread
        can't be stopped and goes on, a coroutine is cancelled.

        ``on_error``: "raise" starts nothing more after the first error, waits for what runs, and
        raises the error (of the first task in order that has one) as the task raised it;
        "cancel" does the same, but returns; "return" runs all that can be run. These two return
        exceptions in place of results: the task's own, TaskTimeoutError, TaskCancelledError.

        Raises CycleError, UnknownTaskError, TaskError for dependencies that aren't completed or
        tasks without a function.
        """
        if on_error not in ("raise", "cancel", "return"):
            raise ValueError('on_error is "raise", "cancel" or "return"')
        if timeout_seconds is not None and not timeout_seconds > 0:
            raise ValueError("timeout_seconds is a positive number or None")
        chosen, needed = self._chosen(None if tasks is None else list(tasks))
        functions = [f for _, f in chosen]
        started = [task_id for task_id, _ in chosen if task_id is not None]
        with self._lock:
            for task_id in started:
                self._known(task_id)
                if self._states[task_id] != "pending":
                    raise TaskError(f"task {task_id} is {self._states[task_id]}")
            for task_id in started:
                self.mark_started(task_id)
        outcomes: list[tuple[str, Any]] = []
        try:
            outcomes = self._outcomes(functions, needed, timeout_seconds, on_error != "return")
        finally:
            if not outcomes:  # interrupted
                outcomes = [("cancelled", None)] * len(chosen)
            for (own_id, _), (state, value) in zip(chosen, outcomes, strict=True):
                if own_id is not None:
                    self._note(own_id, state, value)
        results = [_result(i, chosen, outcome) for i, outcome in enumerate(outcomes)]
        if on_error == "raise":
            for own in (True, False):
                for (state, _), result in zip(outcomes, results, strict=True):
                    if state in (("failed", "timed_out") if own else ("cancelled", "skipped")):
                        raise result
        return results

    def cancel(self) -> None:
        """Cancel what hasn't started of the runs of callables that are under way (from another
        thread, or from a task)."""
        self._executor.cancel()

    def get_stats(self) -> dict[str, int]:
        """How many tasks are registered (``tasks_scheduled``), ``tasks_pending``,
        ``tasks_running``, ``tasks_completed``, ``tasks_failed``; ``max_concurrent_tasks``."""
        counts = list(self._call("get_counts"))
        names = ("tasks_pending", "tasks_running", "tasks_completed", "tasks_failed")
        stats = {"tasks_scheduled": sum(counts), **dict(zip(names, counts, strict=True))}
        return {**stats, "max_concurrent_tasks": self.max_concurrent_tasks}

    def clear(self) -> None:
        """Forget all tasks."""
        with self._lock:
            self._call("clear")
            for kept in (self._functions, self._dependencies, self._results, self._errors):
                kept.clear()
            self._states.clear()

    def _known(self, task_id: str) -> None:
        if task_id not in self._states:
            raise UnknownTaskError(task_id)

    def _mark(self, method: str, task_id: str, state: str) -> None:
        with self._lock:
            self._call(method, task_id)
            self._states[task_id] = state

    def _note(self, task_id: str, state: str, value: Any) -> None:
        with self._lock:
            if state == "completed":
                self.mark_completed(task_id, value)
            elif state in ("failed", "timed_out"):
                self.mark_failed(task_id, value if state == "failed" else _timeout(task_id))
            else:  # it may be run later
                function = self._functions.get(task_id)
                self.mark_failed(task_id)
                self.register_task(task_id, self._dependencies[task_id], function)

    def _chosen(
        self, tasks: Sequence[str | Callable[[], Any]] | None
    ) -> tuple[list[tuple[str | None, Callable[[], Any]]], list[list[int]]]:
        """(id or None, function) of each task, and which others each waits for."""
        with self._lock:
            if tasks is None:
                pending = [i for i, state in self._states.items() if state == "pending"]
                tasks = [i for i in pending if i in self._functions]
            self.get_execution_order()  # no cycles
            ids = {task: place for place, task in enumerate(tasks) if isinstance(task, str)}
            seen: set[str] = set()
            chosen: list[tuple[str | None, Callable[[], Any]]] = []
            needed: list[list[int]] = []
            for task in tasks:
                if not isinstance(task, str):
                    chosen.append((None, task))
                    needed.append([])
                    continue
                self._known(task)
                if task not in self._functions:
                    raise TaskError(f"task {task} has no function")
                if task in seen:
                    raise TaskError(f"task {task} is given twice")
                seen.add(task)
                chosen.append((task, self._functions[task]))
                others = [d for d in self._dependencies[task] if d not in ids]
                for other in others:
                    if self._states[other] != "completed":
                        raise TaskError(f"task {task} needs {other}, which isn't completed")
                needed.append([ids[d] for d in self._dependencies[task] if d in ids])
            return chosen, needed

    def _outcomes(
        self,
        functions: list[Callable[[], Any]],
        needed: list[list[int]],
        timeout: float | None,
        stop: bool,
    ) -> list[tuple[str, Any]]:
        if not functions:
            return []
        if all(map(inspect.iscoroutinefunction, functions)):
            progress = Progress(needed, stop)
            return loop.run(functions, progress, self.max_concurrent_tasks, timeout)
        calls = [_bound(function) for function in functions]
        try:
            found: list[tuple[str, Any]] = self._executor.execute_concurrent_tasks(
                calls, needed, timeout, stop
            )
        except NativeError as error:
            if any(call.args[0].called for call in calls):
                raise  # running them again would do their work twice
            self._take_over(error)
            found = self._executor.execute_concurrent_tasks(calls, needed, timeout, stop)
        return found

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self._executor, method)(*arguments)
        except NativeError as error:
            with self._lock:
                self._take_over(error)
                return getattr(self._executor, method)(*arguments)

    def _take_over(self, error: Exception) -> None:
        _log.debug("task executor: Python takes over: %s", error)
        twin = PythonTaskExecutor(self.max_concurrent_tasks)
        marks = {"running": "mark_started", "completed": "mark_completed", "failed": "mark_failed"}
        for task_id, state in self._states.items():
            twin.register_task(task_id, self._dependencies[task_id])
            if state in marks:
                getattr(twin, marks[state])(task_id)
        self._executor = twin


class _Once:
    """A function and whether it was called."""

    __slots__ = ("called", "function")

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.called = False

    def __call__(self) -> Any:
        self.called = True
        result = self.function()
        return asyncio.run(result) if inspect.iscoroutine(result) else result


def _bound(function: Callable[[], Any]) -> functools.partial[Any]:
    return functools.partial(contextvars.copy_context().run, _Once(function))


def _timeout(name: str) -> TaskTimeoutError:
    return TaskTimeoutError(f"task {name}: no result in time")


def _result(
    place: int,
    chosen: list[tuple[str | None, Callable[[], Any]]],
    outcome: tuple[str, Any],
) -> Any:
    """A result, or the exception in its place."""
    state, value = outcome
    if state in ("completed", "failed"):
        return value
    name = chosen[place][0] or f"number {place}"
    if state == "timed_out":
        return _timeout(name)
    if state == "skipped":
        cause = chosen[value][0] or f"number {value}"
        return TaskCancelledError(f"task {name}: {cause} has no result")
    return TaskCancelledError(f"task {name}: not started")
