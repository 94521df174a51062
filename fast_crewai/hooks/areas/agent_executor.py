"""The agent executor's loop: one worker thread while its methods follow each other.

CrewAI's ``AgentExecutor`` is a Flow of plain functions. The flow engine, a chain of coroutines on
the event loop, sends each method to a worker thread and waits. Here the engine's own coroutines
(``recompile``) go on in that thread from the end of one method to the start of the next. They come
back to the loop for all that needs it: coroutines, listeners side by side, exceptions.

A worker is never kept while the loop has something to do for the run, so it waits for nobody; and
not between two methods while other work waits for a worker, so nobody waits longer than before.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from concurrent.futures import thread as pool
from functools import partial
from typing import Any

from fast_crewai._core import Declined, find_triggered_in
from fast_crewai.hooks.areas.flow_binding import signature_reader
from fast_crewai.hooks.areas.flow_methods import SAVING, saves_nothing, two_turns
from fast_crewai.hooks.areas.recompile import keeps_plainly, recompiled
from fast_crewai.hooks.areas.worker_threads import (
    as_from_a_future,
    in_worker,
    is_own,
    nobody_counts,
)
from fast_crewai.hooks.dispatch import ACTIVE_MARK, is_ours, original_of
from fast_crewai.hooks.route import Route, Site

_RUNTIME = "crewai.flow.runtime"
PRIVATE = (
    "_completed_methods",
    "_definition",
    "_fired_or_listeners",
    "_human_feedback_method_outputs",
    "_is_execution_resuming",
    "_method_call_counts",
    "_method_execution_counts",
    "_method_outputs",
    "_methods",
    "_or_listeners_lock",
    "_pending_events",
)
# Called by the engine, in a worker or not at all: whoever replaces one keeps CrewAI's engine.
READS = (
    *(
        f"{_RUNTIME}:Flow.{name}"
        for name in (
            "_execute_start_method",
            "_execute_listeners",
            "_execute_single_listener",
            "_execute_method",
            "_execute_racing_listeners",
            "_persist_method_completion",
            "_run_human_feedback_step",
            "_find_triggered_methods",
            "_listener_methods",
            "_condition_met",
            "_start_method_names",
            "_is_router",
            "_get_racing_group_for_listeners",
            "_build_racing_groups",
            "_skip_interception",
            "_dispatch_interception",
            "_inject_trigger_payload_for_start_method",
            "_clear_or_listeners",
            "_rearm_or_listeners_for_trigger",
            "_start_condition_triggered_by",
            "_start_condition",
            "_listen_condition",
        )
    ),
    f"{_RUNTIME}:_condition_satisfied",
    f"{_RUNTIME}:_condition_branches",
    f"{_RUNTIME}:_is_multi_event_or",
)
# Flows of plain functions that CrewAI runs for itself.
_FLOWS = {
    "AgentExecutor": "crewai.agents.agent_executor",
    "RecallFlow": "crewai.memory.recall_flow",
    "EncodingFlow": "crewai.memory.encoding_flow",
}
_to_thread = asyncio.to_thread
_UNSET = object()
_CONTEXT: Any = vars(BaseException)["__context__"]

_Step = Coroutine[Any, Any, Any]


class _Stepping(threading.local):
    """The run whose coroutines this thread is stepping just now."""

    run: _Run | None = None


_stepping = _Stepping()


class _Request:
    """What an engine's coroutine awaits from the run that steps it."""

    def __await__(self) -> Generator[_Request, Any, Any]:
        return (yield self)


class _OnLoop(_Request):
    """To go on in the event loop's thread."""


class _Call(_Request):
    """A method, in a worker thread."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call


class _Child(_Request):
    """A coroutine that had a task of its own: its own copy of the context, its own stack."""

    def __init__(self, coroutine: _Step) -> None:
        self.coroutine = coroutine
        self.context = contextvars.copy_context()


class _Ended:
    """The whole run returned."""


class _Failed:
    """A method or a coroutine raised: the loop's thread throws it into the one that awaits."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


@types.coroutine
def _awaited(future: Any) -> Generator[Any, Any, Any]:
    """Hand a future (or a bare turn of the loop) to the real task."""
    return (yield future)


class _Run:
    """One start method and everything that it triggers."""

    def __init__(self, coroutine: _Step, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._context = contextvars.copy_context()
        self._stack = [(coroutine, self._context)]
        self._lock = threading.Lock()  # held while a worker steps; see _cancel

    async def drive(self) -> None:
        value: Any = None
        failure: BaseException | None = None
        try:
            while True:
                step = self._advance(value, failure)
                value = failure = None
                if type(step) is _Call:
                    step = await self._work_elsewhere(step)
                if type(step) is _Ended:
                    return
                if type(step) is _Failed:
                    failure = step.error
                    if not self._stack:
                        context = failure.__context__
                        try:
                            raise failure
                        finally:  # it goes on, it isn't raised again
                            _CONTEXT.__set__(failure, context)
                elif type(step) is not _OnLoop:
                    try:
                        value = await _awaited(step)
                    except BaseException as error:
                        failure = error
        finally:
            step = failure = None  # the traceback of an exception holds this frame
            for variable, value in self._context.items():  # what was awaited changes the caller's
                if variable.get(_UNSET) is not value:
                    variable.set(value)

    async def _work_elsewhere(self, call: _Call) -> Any:
        """Run a method, and all that follow it, in a worker; the step that needs the loop."""
        step: Any = call
        while type(step) is _Call:
            stopped = threading.Event()
            try:
                step = await in_worker(self._work, step, stopped)
            except BaseException as error:  # cancelled, or the pool takes no more
                with self._lock:
                    stopped.set()
                return _Failed(error)
        return step

    def _work(self, call: _Call, stopped: threading.Event) -> Any:
        while True:
            try:
                result = call.call()
            except StopIteration:  # what a future makes of it is Python's matter
                raise
            except BaseException as error:
                return _Failed(as_from_a_future(error))
            with self._lock:
                if stopped.is_set():  # the method that ran was the last one, as before
                    return None
                step = self._advance(result, None, once=True)
                if type(step) is not _Call or not self._may_stay():
                    return step
            call = step

    def _may_stay(self) -> bool:
        """Whether this worker may run the next method: nobody waits for it, nothing ends."""
        if pool._shutdown or not self._loop.is_running():
            return False
        if is_own():
            return True
        executor: Any = getattr(self._loop, "_default_executor", None)
        if type(executor) is not pool.ThreadPoolExecutor:  # another one may wrap its calls
            return False
        return executor._work_queue.empty() and not executor._shutdown

    def _advance(self, value: Any, failure: BaseException | None, *, once: bool = False) -> Any:
        """Step the coroutines until one awaits what isn't another of them.

        ``once`` an exception comes out of one, that is the result.
        """
        outer, _stepping.run = _stepping.run, self
        try:
            while True:
                coroutine, context = self._stack[-1]
                try:
                    if failure is None:
                        step = context.run(coroutine.send, value)
                    else:
                        step = context.run(coroutine.throw, failure)
                except StopIteration as end:
                    self._stack.pop()
                    if not self._stack:
                        return _Ended()
                    value, failure = end.value, None
                except BaseException as error:
                    self._stack.pop()
                    if once or not self._stack:
                        return _Failed(error)
                    value, failure = None, error
                else:
                    if type(step) is not _Child:
                        return step
                    self._stack.append((step.coroutine, step.context))
                    value = failure = None
        finally:
            _stepping.run = outer
            failure = None  # as above


def is_of_crewai(flow: Any) -> bool:
    """Whether the flow is CrewAI's agent executor, or one of its memory's, and no subclass."""
    kind, loaded = type(flow), sys.modules.get
    return any(kind is getattr(loaded(module), name, None) for name, module in _FLOWS.items())


# ------------------------------------------------ what the engine's coroutines call


async def _in_thread(
    context: contextvars.Context,
    method: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: Mapping[str, Any],
) -> Any:
    if _stepping.run is None:
        return await asyncio.to_thread(context.run, method, *arguments, **options)
    return await _Call(partial(context.run, method, *arguments, **options))


async def _on_loop(function: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> Any:
    if _stepping.run is not None:
        await _OnLoop()
    return await function(*arguments, **options)


async def _itself(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


async def _together(coroutines: list[_Step]) -> None:
    if _stepping.run is None or len(coroutines) != 1:
        await _on_loop(asyncio.gather, *coroutines)
    else:
        await _Child(coroutines[0])


class _Engine:
    """The engine's coroutines, CrewAI's own code, calling each other and the functions above."""

    def __init__(self, site: Site) -> None:
        self._flow = site.namespace
        self._saving = vars(site.namespace)["_persist_method_completion"]
        self._finder: Any = None  # the dispatcher of the search for triggered methods
        self.clear = self._copy("_clear_or_listeners", {})
        self.rearm = self._copy(
            "_rearm_or_listeners_for_trigger",
            {"self._listen_condition": "_fc_condition"},
            _fc_condition=self._copy("_listen_condition", {}),
        )
        self.triggered = self._copy(
            "_start_condition_triggered_by",
            {"self._start_condition": "_fc_condition"},
            _fc_condition=self._copy("_start_condition", {}),
        )
        self.start = self._copy(
            "_execute_start_method",
            {
                "self._clear_or_listeners": "_fc_clear",
                "self._execute_listeners": "_fc_listeners",
                "self._execute_method": "_fc_method",
            },
            _fc_clear=self.clear,
            _fc_listeners=self._listeners,
            _fc_method=lambda *given, **named: self.method(*given, **named),
        )
        self.listeners = self._copy(
            "_execute_listeners",
            {
                "self._execute_single_listener": "_fc_listener",
                "self._execute_start_method": "_fc_start",
                "self._execute_racing_listeners": "_fc_race",
                "self._find_triggered_methods": "_fc_find",
                "self._rearm_or_listeners_for_trigger": "_fc_rearm",
                "self._start_condition_triggered_by": "_fc_triggered",
                "asyncio.gather(*tasks)": "_fc_together(tasks)",
            },
            _fc_listener=self._listener,
            _fc_start=self._start,
            _fc_race=lambda flow, *given: _on_loop(flow._execute_racing_listeners, *given),
            _fc_find=self._find,
            _fc_rearm=self.rearm,
            _fc_triggered=self.triggered,
            _fc_together=_together,
        )
        self.method = self._copy(
            "_execute_method",
            {
                "await method(*args, **kwargs)": "await _fc_on_loop(method, *args, **kwargs)",
                "await result": "await _fc_on_loop(_fc_itself, result)",
                "asyncio.to_thread(ctx.run, method, *args, **kwargs)": (
                    "_fc_in_thread(ctx, method, args, kwargs)"
                ),
                "self._run_human_feedback_step": "_fc_feedback",
                SAVING: "_fc_complete(self, method_name)",
            },
            _fc_on_loop=_on_loop,
            _fc_itself=_itself,
            _fc_in_thread=_in_thread,
            _fc_feedback=lambda flow, *given: _on_loop(flow._run_human_feedback_step, *given),
            _fc_complete=self._complete,
        )
        self.listener = self._copy(
            "_execute_single_listener",
            {
                "inspect.signature(method)": "_fc_signature(method)",
                "self._clear_or_listeners": "_fc_clear",
                "self._execute_listeners": "_fc_listeners",
                "self._execute_method": "_fc_method",
                "self._execute_start_method": "_fc_start",
            },
            _fc_signature=signature_reader(site.module),
            _fc_clear=self.clear,
            _fc_listeners=self._listeners,
            _fc_method=self.method,
            _fc_start=self._start,
        )

    def _copy(
        self, name: str, replaced: Mapping[str, str], **functions: Callable[..., Any]
    ) -> Callable[..., Any]:
        return recompiled(original_of(vars(self._flow)[name]), replaced, functions, PRIVATE)

    def _find(self, flow: Any, trigger: Any, router_only: Any) -> Any:
        found = self._flow.__dict__["_find_triggered_methods"]
        if found is self._finder or is_ours(found):
            self._finder = found
            if found.__dict__[ACTIVE_MARK]:
                try:
                    return find_triggered_in(flow.__pydantic_private__, trigger, router_only)
                except Declined:
                    pass
        return flow._find_triggered_methods(trigger, router_only=router_only)

    def _listener(self, flow: Any, name: Any, *given: Any) -> Any:
        # One call too many is an exception, which is logged where it is raised.
        if flow._method_call_counts.get(name, 0) < flow.max_method_calls:
            return self.listener(flow, name, *given)
        return _on_loop(self.listener, flow, name, *given)

    def _listeners(self, flow: Any, *given: Any) -> Any:
        return self.listeners(flow, *given)

    def _start(self, flow: Any, name: Any) -> Any:
        return self.start(flow, name)

    async def _complete(self, flow: Any, method_name: Any) -> None:
        if not saves_nothing(flow, method_name, self._saving):
            await _on_loop(asyncio.to_thread, flow._persist_method_completion, method_name)
        elif _stepping.run is None:
            await two_turns()


def _loop(site: Site) -> Callable[..., Any]:
    engine = _Engine(site)

    async def execute_start_method(flow: Any, start_method_name: Any) -> None:
        if not is_of_crewai(flow):
            raise Declined("not CrewAI's own agent executor, nor a flow of its memory")
        if not flow.suppress_flow_events:
            raise Declined("emits the events of its methods")
        if site.module.asyncio.to_thread is not _to_thread:
            raise Declined("patched: asyncio.to_thread")
        loop = asyncio.get_running_loop()
        if loop.get_task_factory() is not None:
            raise Declined("tasks are made by somebody else's factory")
        if loop.get_debug() or not nobody_counts(loop):
            raise Declined("its event loop is watched")
        if not keeps_plainly(flow, PRIVATE):
            raise Declined("something covers its private attributes")
        run = _Run(engine.start(flow, start_method_name), loop)
        await run.drive()

    return execute_start_method


EXECUTOR_LOOP = Route(
    name="agents.executor-loop",
    target=f"{_RUNTIME}:Flow._execute_start_method",
    why="12 hand-offs between threads per tool step of an agent",
    build=_loop,
    reads=READS,
)
