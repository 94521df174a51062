"""The methods of a user's flow while they follow each other: one worker thread for all of them.

As for the agent executor (``agent_executor``), whose run this is, the engine's coroutines go on in
the thread that ran the method before. A user's flow emits events and calls hooks, so the engine
leaves the event loop's thread only while nothing of the user's can see where it is: before each
step it is asked whether there are hooks, sinks, other tasks, or a state that copies itself by code
of its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fast_crewai._core import Declined, Guard
from fast_crewai.hooks.areas.agent_executor import (
    PRIVATE,
    READS,
    _Call,
    _Engine,
    _Failed,
    _on_loop,
    _Run,
    _Step,
)
from fast_crewai.hooks.areas.plain_states import PlainStates
from fast_crewai.hooks.areas.recompile import keeps_plainly
from fast_crewai.hooks.areas.worker_threads import as_from_a_future, nobody_counts
from fast_crewai.hooks.dispatch import original_of
from fast_crewai.hooks.route import Route, Site, locate

_RUNTIME = "crewai.flow.runtime"
_BUS = "crewai.events.event_bus"
_STREAM = "crewai.events.stream_context"
_HOOKS = "crewai.hooks.dispatch"
_MOST_TASKS = 6
_to_thread = asyncio.to_thread

# Of the flow, and called by the engine: a flow that has another one keeps CrewAI's engine.
_METHODS = (
    "_execute_start_method",
    "_execute_single_listener",
    "_execute_listeners",
    "_execute_method",
    "_execute_racing_listeners",
    "_run_human_feedback_step",
    "_persist_method_completion",
    "_inject_trigger_payload_for_start_method",
    "_copy_and_serialize_state",
    "_copy_state",
    "_skip_interception",
    "_dispatch_interception",
    "_find_triggered_methods",
    "_listener_methods",
    "_condition_met",
    "_start_method_names",
    "_start_condition",
    "_start_condition_triggered_by",
    "_listen_condition",
    "_is_router",
    "_rearm_or_listeners_for_trigger",
    "_get_racing_group_for_listeners",
    "_build_racing_groups",
    "_clear_or_listeners",
    "__setattr__",
)


class _Returned:
    """A method returned: the loop's thread goes on."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Chain(_Run):
    """One listener and everything that it triggers; ``unseen`` is asked before each step."""

    def __init__(
        self,
        coroutine: _Step,
        loop: asyncio.AbstractEventLoop,
        unseen: Callable[[contextvars.Context], bool],
    ) -> None:
        super().__init__(coroutine, loop)
        self._unseen = unseen

    async def _work_elsewhere(self, call: _Call) -> Any:
        step: Any = call
        while True:
            if type(step) is _Returned:
                step = self._advance(step.value, None)
            if type(step) is not _Call:
                return step
            stopped = threading.Event()
            try:  # asyncio's pool, as without us: it limits how many methods run at once
                step = await _to_thread(self._work, step, stopped)
            except BaseException as error:  # cancelled, or the pool takes no more
                with self._lock:
                    stopped.set()
                return _Failed(error)

    def _work(self, call: _Call, stopped: threading.Event) -> Any:
        while True:
            try:
                result = call.call()
            except StopIteration:
                raise
            except BaseException as error:
                return _Failed(as_from_a_future(error))
            with self._lock:
                if stopped.is_set():
                    return None
                if not self._unseen(self._stack[-1][1]):
                    return _Returned(result)
                step = self._advance(result, None, once=True)
                if type(step) is not _Call or not self._may_stay():
                    return step
            call = step


class _FlowEngine(_Engine):
    """What the engine does with a failure, and a user's ``__str__``, stay on the event loop.

    A method of the engine's that is replaced while the flow runs is called from then on.
    """

    def __init__(self, site: Site) -> None:
        self._module: Any = site.module
        super().__init__(site)

    def _copy(
        self, name: str, replaced: Mapping[str, str], **functions: Callable[..., Any]
    ) -> Callable[..., Any]:
        steps = {
            "_execute_method": ("isinstance(e, HumanFeedbackPending)", self._is_pending),
            "_execute_single_listener": ("isinstance(e, HumanFeedbackPending)", self._is_pending),
            "_execute_listeners": ("str(router_result)", self._text),
            "_execute_start_method": ("str(router_result)", self._text),
        }
        if name not in steps:
            return super()._copy(name, replaced, **functions)
        more, function = steps[name]
        argument = more.partition("(")[2].partition(",")[0].rstrip(")")
        return super()._copy(
            name,
            {**replaced, more: f"await _fc_here({argument})"},
            **functions,
            _fc_here=function,
        )

    @functools.cached_property
    def _guard(self) -> Guard:
        methods = (locate(f"{_RUNTIME}:Flow.{name}") for name in _METHODS)
        return Guard([(method.name, method.original) for method in methods])

    def intact(self, flow: Any) -> bool:
        """Whether its methods are those that the first flow of all had."""
        try:
            self._guard.intact(flow)
        except Declined:
            return False
        return True

    def _listener(self, flow: Any, *given: Any) -> Any:
        if self.intact(flow):
            return super()._listener(flow, *given)
        return _on_loop(flow._execute_single_listener, *given)

    def _listeners(self, flow: Any, *given: Any) -> Any:
        if self.intact(flow):
            return super()._listeners(flow, *given)
        return _on_loop(flow._execute_listeners, *given)

    def _start(self, flow: Any, name: Any) -> Any:
        if self.intact(flow):
            return super()._start(flow, name)
        return _on_loop(flow._execute_start_method, name)

    async def _is_pending(self, error: BaseException) -> bool:
        return bool(await _on_loop(_answer, isinstance, error, self._module.HumanFeedbackPending))

    async def _text(self, value: Any) -> str:
        if type(value) is str:
            return value
        return str(await _on_loop(_answer, str, value))


async def _answer(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


class _Watchers:
    """What of the user's could notice in which thread the engine is."""

    def __init__(self, site: Site) -> None:
        self._module: Any = site.module
        bus = sys.modules[_BUS]
        self._bus: Any = bus.crewai_event_bus
        self._bus_class: Any = bus.CrewAIEventsBus
        self._emit = original_of(vars(self._bus_class)["emit"])
        self._sinks: contextvars.ContextVar[Any] = vars(sys.modules[_STREAM])["_stream_sinks"]
        self._states = PlainStates()

    def none(self, flow: Any, context: contextvars.Context) -> bool:
        """Whether the engine's next steps, those of ``context``, run code of CrewAI's only."""
        bus, hooks = self._bus, sys.modules.get(_HOOKS)
        return (
            hooks is not None
            and not self._has_hooks(hooks, context)
            and not context.get(self._sinks)
            and self._module.crewai_event_bus is bus
            and type(bus) is self._bus_class
            and "emit" not in vars(bus)
            and original_of(self._bus_class.emit) is self._emit
            and (flow.suppress_flow_events is True or self._states.plain(flow._state))
        )

    def _has_hooks(self, hooks: Any, context: contextvars.Context) -> bool:
        steps = (hooks.InterceptionPoint.PRE_STEP, hooks.InterceptionPoint.POST_STEP)
        return bool(
            context.get(hooks._scoped_hooks_var) or any(hooks._global_hooks[p] for p in steps)
        )


def _is_coroutine_function(method: Any) -> bool:
    return inspect.iscoroutinefunction(method) or hasattr(method, "_is_coroutine")


def _all_wait_for(task: Any, tasks: Iterable[Any]) -> bool:
    """Whether the tasks are a chain, each waiting for the next, and the last one for ``task``."""
    rest = set(tasks) - {task}
    while rest:
        for other in rest:
            awaits = getattr(other, "_fut_waiter", None)
            running = [c for c in getattr(awaits, "_children", ()) if not c.done()]
            if awaits is task or running == [task]:
                break
        else:
            return False
        rest.discard(other)
        task = other
    return True


def _calls_nobody(loop: Any) -> bool:
    """Whether no callback of the user's waits in the loop: it would run beside the engine."""
    selector: Any = getattr(loop, "_selector", None)
    files = selector.get_map() if hasattr(selector, "get_map") else ()
    return len(files) <= 1 and all(  # one is the loop's own
        str(getattr(timer._callback, "__module__", "")).partition(".")[0] == "asyncio"
        for timer in list(loop._scheduled)
        if not timer._cancelled
    )


def _chain(site: Site) -> Callable[..., Any]:
    engine, watchers, module = _FlowEngine(site), _Watchers(site), site.module
    own: Any = site.namespace

    async def execute_single_listener(
        flow: Any, listener_name: Any, result: Any, triggering_event_id: Any = None
    ) -> Any:
        loop = asyncio.get_running_loop()
        if module.asyncio.to_thread is not _to_thread:
            raise Declined("patched: asyncio.to_thread")
        if type(flow).__getattribute__ is not own.__getattribute__ or loop.get_debug():
            raise Declined("watched")
        if not nobody_counts(loop):
            raise Declined("its event loop is watched")
        if loop.get_task_factory() is not None:
            raise Declined("tasks are made by somebody else's factory")
        if not engine.intact(flow):
            raise Declined("replaced: a method of its engine")
        if not keeps_plainly(flow, PRIVATE):
            raise Declined("something covers its private attributes")
        if any(map(_is_coroutine_function, flow._methods.values())):
            raise Declined("has coroutine functions")
        tasks = asyncio.all_tasks(loop)
        if len(tasks) > _MOST_TASKS or not _all_wait_for(asyncio.current_task(), tasks):
            raise Declined("not alone in its event loop")
        if not hasattr(loop, "_scheduled") or not _calls_nobody(loop):
            raise Declined("its event loop has callbacks, or doesn't tell")
        if not watchers.none(flow, contextvars.copy_context()):
            raise Declined("hooks, sinks or its state see the engine's thread")
        count = len(tasks)
        returned: Any = None

        async def listener() -> None:
            nonlocal returned
            returned = await engine._listener(flow, listener_name, result, triggering_event_id)

        def unseen(context: contextvars.Context) -> bool:
            try:
                return (
                    len(asyncio.all_tasks(loop)) == count
                    and not loop._ready  # type: ignore[attr-defined]
                    and _calls_nobody(loop)
                    and engine.intact(flow)
                    and watchers.none(flow, context)
                )
            except Exception:  # the state is being changed, say
                return False

        await _Chain(listener(), loop, unseen).drive()
        return returned

    return execute_single_listener


CHAIN = Route(
    name="flow.chain",
    target=f"{_RUNTIME}:Flow._execute_single_listener",
    why="a hand-off to a thread and back, a task and ten turns of the event loop per method",
    build=_chain,
    reads=(
        *(f"{_RUNTIME}:Flow.{name}" for name in _METHODS),
        *(read for read in READS if "." not in read.partition(":")[2]),
    ),
)
