"""Subclasses of the installed CrewAI's classes, made when they are first asked for."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from fast_crewai.errors import ToolTimeoutError

_lock = threading.RLock()
_made: dict[str, Any] = {}
_running: contextvars.ContextVar[tuple[int, ...]] = contextvars.ContextVar(
    "fast_crewai_running", default=()
)
_KEPT = 1000  # timings of an object

_TOOL = """with opt-in limits; otherwise exactly its base class.

    ``retries``: attempts after the first, if the tool raises an Exception (0: none).
    ``retry_backoff_seconds``: pause before the second attempt, doubled before each further one.
    ``timeout_seconds``: for each attempt; None for no limit. A callable runs in a thread of its
    own then, which can't be stopped; ToolTimeoutError is raised (and counts as a failed attempt).
    ``timings``: seconds of the last 1,000 attempts, failed ones too."""
_TIMED = """that keeps its timings; otherwise exactly its base class.

    ``timings``: seconds of the last 1,000 executions, failed ones too."""


def crewai_class(name: str) -> Any:
    """``AcceleratedBaseTool``, ``AcceleratedStructuredTool``, ``AcceleratedTask`` or
    ``AcceleratedCrew``; None if CrewAI isn't installed."""
    with _lock:
        if name not in _made:
            try:
                made = _MAKERS[name]()
            except ModuleNotFoundError as error:
                if (error.name or "").partition(".")[0] != "crewai":
                    raise
                return None
            made.__module__ = f"fast_crewai.{'tools' if name.endswith('Tool') else 'tasks'}"
            made.__qualname__ = made.__name__ = name
            _made[name] = made
        return _made[name]


def _base_tool() -> Any:
    from crewai.tools import BaseTool
    from pydantic import Field, PrivateAttr

    class AcceleratedBaseTool(BaseTool):  # type: ignore[misc, unused-ignore]
        retries: int = Field(default=0, ge=0)
        retry_backoff_seconds: float = Field(default=0.5, ge=0)
        timeout_seconds: float | None = Field(default=None, gt=0)
        _timings: Any = PrivateAttr(default_factory=lambda: deque(maxlen=_KEPT))

        def __init_subclass__(cls, **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            own = cls.__dict__.get("_run")
            if inspect.isfunction(own):
                cls._run = _limited_run(own)  # type: ignore[method-assign, unused-ignore]

        @property
        def timings(self) -> list[float]:
            return list(self._timings)

    AcceleratedBaseTool.__doc__ = f"CrewAI's BaseTool {_TOOL}"
    return AcceleratedBaseTool


def _structured_tool() -> Any:
    from crewai.tools.structured_tool import CrewStructuredTool
    from pydantic import Field, PrivateAttr

    class AcceleratedStructuredTool(CrewStructuredTool):  # type: ignore[misc, unused-ignore]
        retries: int = Field(default=0, ge=0)
        retry_backoff_seconds: float = Field(default=0.5, ge=0)
        timeout_seconds: float | None = Field(default=None, gt=0)
        _timings: Any = PrivateAttr(default_factory=lambda: deque(maxlen=_KEPT))

        def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
            """As CrewAI's, within the limits; each attempt counts as a use."""
            call = functools.partial(super().invoke, input, config, **kwargs)
            return _attempts(self, call)

        async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
            """As CrewAI's, within the limits; each attempt counts as a use."""
            call = functools.partial(super().ainvoke, input, config, **kwargs)
            return await _async_attempts(self, call)

        @property
        def timings(self) -> list[float]:
            return list(self._timings)

    AcceleratedStructuredTool.__doc__ = f"CrewAI's CrewStructuredTool {_TOOL}"
    return AcceleratedStructuredTool


def _task() -> Any:
    from crewai import Task

    return _timed(Task, ("_execute_core", "_aexecute_core"))


def _crew() -> Any:
    from crewai import Crew

    return _timed(Crew, ("kickoff", "akickoff"))


def _timed(base: Any, methods: tuple[str, ...]) -> Any:
    from pydantic import PrivateAttr

    class Timed(base):  # type: ignore[misc]
        _timings: Any = PrivateAttr(default_factory=lambda: deque(maxlen=_KEPT))

        @property
        def timings(self) -> list[float]:
            return list(self._timings)

    for name in methods:
        own = getattr(base, name, None)
        if inspect.isfunction(own):
            setattr(Timed, name, _clocked(own))
    Timed.__doc__ = f"CrewAI's {base.__name__} {_TIMED}"
    return Timed


_MAKERS: dict[str, Callable[[], Any]] = {
    "AcceleratedBaseTool": _base_tool,
    "AcceleratedStructuredTool": _structured_tool,
    "AcceleratedTask": _task,
    "AcceleratedCrew": _crew,
}


def _clocked(method: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def clocked_coroutine(self: Any, *args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            try:
                return await method(self, *args, **kwargs)
            finally:
                self._timings.append(time.perf_counter() - begun)

        return clocked_coroutine

    @functools.wraps(method)
    def clocked(self: Any, *args: Any, **kwargs: Any) -> Any:
        begun = time.perf_counter()
        try:
            return method(self, *args, **kwargs)
        finally:
            self._timings.append(time.perf_counter() - begun)

    return clocked


def _limited_run(method: Callable[..., Any]) -> Callable[..., Any]:
    """A tool's ``_run`` within its limits; a ``super()._run`` inside it is not limited again."""
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def limited_coroutine(self: Any, *args: Any, **kwargs: Any) -> Any:
            call = functools.partial(method, self, *args, **kwargs)
            return await (call() if id(self) in _running.get() else _async_attempts(self, call))

        return limited_coroutine

    @functools.wraps(method)
    def limited(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = functools.partial(method, self, *args, **kwargs)
        return call() if id(self) in _running.get() else _attempts(self, call)

    return limited


def _may_repeat(error: Exception) -> bool:
    return type(error).__name__ != "ToolUsageLimitExceededError"


def _attempts(tool: Any, call: Callable[[], Any]) -> Any:
    token = _running.set((*_running.get(), id(tool)))
    try:
        for attempt in range(tool.retries + 1):
            begun = time.perf_counter()
            try:
                return call() if tool.timeout_seconds is None else _within(tool, call)
            except Exception as error:
                if attempt == tool.retries or not _may_repeat(error):
                    raise
            finally:
                tool._timings.append(time.perf_counter() - begun)
            time.sleep(tool.retry_backoff_seconds * 2**attempt)
        raise AssertionError("unreachable")
    finally:
        _running.reset(token)


async def _async_attempts(tool: Any, call: Callable[[], Any]) -> Any:
    token = _running.set((*_running.get(), id(tool)))
    try:
        for attempt in range(tool.retries + 1):
            begun = time.perf_counter()
            try:
                if tool.timeout_seconds is None:
                    return await call()
                return await _awaited_within(tool, call)
            except Exception as error:
                if attempt == tool.retries or not _may_repeat(error):
                    raise
            finally:
                tool._timings.append(time.perf_counter() - begun)
            await asyncio.sleep(tool.retry_backoff_seconds * 2**attempt)
        raise AssertionError("unreachable")
    finally:
        _running.reset(token)


def _within(tool: Any, call: Callable[[], Any]) -> Any:
    done: Future[Any] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            done.set_result(context.run(call))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, name="fast_crewai-tool", daemon=True).start()
    try:
        return done.result(tool.timeout_seconds)
    except FutureTimeoutError:
        if done.done():  # the tool's own, or just in time
            return done.result()
        raise _too_slow(tool) from None


async def _awaited_within(tool: Any, call: Callable[[], Any]) -> Any:
    task = asyncio.ensure_future(call())
    try:
        done, _ = await asyncio.wait([task], timeout=tool.timeout_seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        task.cancel()
        raise _too_slow(tool)
    return task.result()


def _too_slow(tool: Any) -> ToolTimeoutError:
    return ToolTimeoutError(f"{tool.name}: no result after {tool.timeout_seconds} s")
