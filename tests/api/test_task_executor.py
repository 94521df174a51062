"""AcceleratedTaskExecutor: one graph in Rust and Python, and runs that keep their promises."""

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fast_crewai.errors import (
    CycleError,
    FastCrewAIError,
    NativeError,
    TaskCancelledError,
    TaskError,
    TaskStateError,
    TaskTimeoutError,
    UnknownTaskError,
)
from fast_crewai.tasks import AcceleratedTaskExecutor

SIDES = (True, False)


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return "returned", call(*arguments)
    except FastCrewAIError as error:
        return type(error).__name__, str(error)


ids = st.sampled_from("abcdef")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("register_task"), ids, st.lists(ids, max_size=3)),
        st.tuples(
            st.sampled_from(["mark_started", "mark_completed", "mark_failed", "get_result"]), ids
        ),
        st.tuples(st.sampled_from(["get_ready_tasks", "get_execution_order", "get_stats"])),
        st.tuples(st.just("clear")),
    ),
    max_size=25,
)


@given(steps)
def test_the_same_graph(run: list[Any]) -> None:
    rust, python = (AcceleratedTaskExecutor(use_rust=side) for side in SIDES)
    for method, *arguments in run:
        results = [outcome(getattr(side, method), *arguments) for side in (rust, python)]
        assert results[0] == results[1], (method, arguments)


acyclic = st.lists(st.lists(st.integers(0, 30), max_size=3), max_size=12).map(
    lambda lists: [sorted({d % n for d in ds}) if n else [] for n, ds in enumerate(lists)]
)


@given(
    acyclic, st.sets(st.integers(0, 11)), st.integers(1, 4), st.sampled_from(SIDES), st.booleans()
)
def test_runs_of_graphs(
    graph: list[list[int]], failing: set[int], limit: int, side: bool, coroutines: bool
) -> None:
    executor = AcceleratedTaskExecutor(limit, use_rust=side)
    lock, running, most, done = threading.Lock(), [0], [0], set()

    def body(number: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
            assert done.issuperset(graph[number])
        with lock:
            running[0] -= 1
            if number not in failing:
                done.add(number)
        if number in failing:
            raise LookupError(number)
        return number * 10

    def function(number: int) -> Callable[[], Any]:
        async def coroutine() -> int:
            return body(number)

        return coroutine if coroutines else lambda: body(number)

    for number, needed in enumerate(graph):
        executor.register_task(str(number), [str(n) for n in needed], function(number))
    results = executor.execute_concurrent(on_error="return")
    lost: set[int] = set()
    for number, needed in enumerate(graph):
        if lost.intersection(needed):
            assert isinstance(results[number], TaskCancelledError)
            lost.add(number)
        elif number in failing:
            assert isinstance(results[number], LookupError) and results[number].args == (number,)
            lost.add(number)
        else:
            assert results[number] == number * 10 == executor.get_result(str(number))
    assert most[0] <= limit
    stats = executor.get_stats()
    assert stats["tasks_completed"] == len(graph) - len(lost) and stats["tasks_running"] == 0


@pytest.fixture(params=SIDES, ids=["rust", "python"])
def executor(request: Any) -> AcceleratedTaskExecutor:
    return AcceleratedTaskExecutor(4, use_rust=request.param)


def test_cycles_are_named(executor: AcceleratedTaskExecutor) -> None:
    for task, needed in {"x": "a", "a": "b", "b": "c", "c": "a"}.items():
        executor.register_task(task, [needed], lambda: 1)
    with pytest.raises(CycleError, match="a → b → c → a") as caught:
        executor.get_execution_order()
    assert caught.value.cycle == ["a", "b", "c", "a"]
    with pytest.raises(CycleError):
        executor.execute_concurrent()
    with pytest.raises(UnknownTaskError, match="'z'"):
        executor.mark_started("z")
    executor.register_task("c", ["z"])
    with pytest.raises(UnknownTaskError):
        executor.get_execution_order()


def test_marking_by_hand(executor: AcceleratedTaskExecutor) -> None:
    executor.register_task("first")
    executor.register_task("second", ["first"])
    assert executor.get_ready_tasks() == ["first"]
    executor.mark_started("first")
    with pytest.raises(TaskStateError, match="first is running"):
        executor.mark_started("first")
    with pytest.raises(TaskStateError):
        executor.register_task("first")
    executor.mark_completed("first", {"answer": 42})
    assert executor.get_result("first") == {"answer": 42} and executor.get_ready_tasks() == [
        "second"
    ]
    executor.mark_failed("second", "broken")
    assert executor.get_error("second") == "broken" and executor.get_result("second") is None
    assert executor.get_stats()["tasks_failed"] == 1


def test_callables_are_concurrent_and_in_order(executor: AcceleratedTaskExecutor) -> None:
    barrier = threading.Barrier(4, timeout=20)  # four at a time, or it breaks

    def work(number: int) -> int:
        barrier.wait()
        return number

    assert executor.execute_concurrent([lambda n=n: work(n) for n in range(8)]) == list(range(8))
    assert executor.execute_concurrent([]) == []
    assert executor.execute_task(lambda: "one") == "one"


def test_coroutines_are_concurrent(executor: AcceleratedTaskExecutor) -> None:
    meeting: list[int] = []

    async def work(number: int) -> int:
        meeting.append(number)
        while len(meeting) < (4 if number < 4 else 8):
            await asyncio.sleep(0.001)
        return number

    def function(number: int) -> Any:
        async def call() -> int:
            return await work(number)

        return call

    functions = [function(n) for n in range(8)]
    assert executor.execute_concurrent(functions) == list(range(8))

    async def inside() -> list[int]:
        meeting.clear()
        return executor.execute_concurrent(functions)

    assert asyncio.run(inside()) == list(range(8))
    meeting.clear()
    assert executor.execute_concurrent([lambda: "plain", *functions[:4]])[0] == "plain"


@pytest.mark.parametrize("coroutines", [True, False])
def test_exceptions_keep_their_traceback(
    executor: AcceleratedTaskExecutor, coroutines: bool
) -> None:
    error = LookupError("own")

    def deep_inside() -> None:
        raise error

    async def coroutine() -> None:
        deep_inside()

    function = coroutine if coroutines else deep_inside
    with pytest.raises(LookupError) as caught:
        executor.execute_concurrent([function])
    assert caught.value is error
    assert "deep_inside" in [entry.name for entry in traceback.extract_tb(error.__traceback__)]
    (returned,) = executor.execute_concurrent([function], on_error="return")
    assert returned is error


def test_policies(executor: AcceleratedTaskExecutor) -> None:
    one = AcceleratedTaskExecutor(1, use_rust=executor.implementation == "rust")
    calls: list[int] = []

    def work(number: int) -> int:
        calls.append(number)
        if number in (1, 3):
            raise LookupError(number)
        return number

    functions = [lambda n=n: work(n) for n in range(5)]
    with pytest.raises(LookupError) as caught:
        one.execute_concurrent(functions)
    assert caught.value.args == (1,) and calls == [0, 1]
    results = one.execute_concurrent(functions, on_error="cancel")
    assert results[0] == 0 and isinstance(results[1], LookupError)
    assert all(isinstance(result, TaskCancelledError) for result in results[2:])
    assert calls == [0, 1] * 2
    assert [type(r) for r in one.execute_concurrent(functions, on_error="return")] == [
        int, LookupError, int, LookupError, int,
    ]  # fmt: skip
    with pytest.raises(ValueError):
        one.execute_concurrent(functions, on_error="ignore")  # type: ignore[arg-type]


def test_what_can_not_be_run(executor: AcceleratedTaskExecutor) -> None:
    executor.register_task("a", function=lambda: 1)
    executor.register_task("b", ["a"], lambda: 2)
    executor.register_task("c")
    for tasks in (["b"], ["c"], ["a", "a"]):
        with pytest.raises(TaskError):
            executor.execute_concurrent(tasks)
    with pytest.raises(UnknownTaskError):
        executor.execute_concurrent(["z"])
    assert executor.get_stats()["tasks_pending"] == 3
    assert executor.execute_concurrent(["b", "a"]) == [2, 1]
    with pytest.raises(TaskError, match="completed"):
        executor.execute_task("a")


def test_a_failed_run_can_be_repeated(executor: AcceleratedTaskExecutor) -> None:
    broken = [True]

    def first() -> str:
        if broken[0]:
            raise LookupError
        return "fine"

    executor.register_task("first", function=first)
    executor.register_task("second", ["first"], lambda: "after")
    with pytest.raises(LookupError):
        executor.execute_concurrent()
    assert isinstance(executor.get_error("first"), LookupError)
    assert executor.get_stats()["tasks_pending"] == 1
    broken[0] = False
    executor.register_task("first", function=first)
    assert executor.execute_concurrent() == ["fine", "after"]


@pytest.mark.parametrize("coroutines", [True, False])
def test_timeouts(executor: AcceleratedTaskExecutor, coroutines: bool) -> None:
    go = threading.Event()
    stopped: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.append("cancelled")

    async def quick() -> int:
        return 1

    stuck: Any = forever if coroutines else lambda: go.wait(60)
    fast: Any = quick if coroutines else lambda: 1
    try:
        results = executor.execute_concurrent([stuck] * 5 + [fast] * 3, 0.05, on_error="return")
        assert all(isinstance(result, TaskTimeoutError) for result in results[:5])
        assert results[5:] == [1, 1, 1]  # although all workers were stuck
        assert len(stopped) == (5 if coroutines else 0)
        with pytest.raises(TimeoutError):
            executor.execute_task(stuck, 0.05)
    finally:
        go.set()


def test_cancelling(executor: AcceleratedTaskExecutor) -> None:
    def work() -> str:
        executor.cancel()
        return "finished"

    one = AcceleratedTaskExecutor(1, use_rust=executor.implementation == "rust")
    executor = one
    results = one.execute_concurrent([work, work, work], on_error="return")
    assert results[0] == "finished"
    assert all(isinstance(result, TaskCancelledError) for result in results[1:])


def test_context_variables(executor: AcceleratedTaskExecutor) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    variable.set(7)

    def work() -> int:
        seen = variable.get()
        variable.set(99)  # in a copy
        return seen

    assert executor.execute_concurrent([work] * 20) == [7] * 20
    assert variable.get() == 7


def test_runs_inside_runs_and_from_eight_threads(executor: AcceleratedTaskExecutor) -> None:
    errors: list[BaseException] = []

    def nested(number: int) -> list[int]:
        return executor.execute_concurrent([lambda n=n: n + number for n in range(5)])

    def work(number: int) -> None:
        try:
            for step in range(10):
                executor.register_task(f"{number}-{step}", function=lambda: number)
                functions = [lambda n=n: nested(n) for n in range(6)]
                found = executor.execute_concurrent([f"{number}-{step}", *functions])
                assert found == [number] + [[n + m for m in range(5)] for n in range(6)]
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert not errors
    assert executor.get_stats()["tasks_completed"] == 80


def run_program(program: str, side: bool) -> None:
    header = (
        "import os, sys, threading, time, warnings, signal\n"
        "warnings.simplefilter('ignore')\n"
        "from fast_crewai.tasks import AcceleratedTaskExecutor\n"
        f"executor = AcceleratedTaskExecutor(4, use_rust={side})\n"
    )
    subprocess.run([sys.executable, "-c", header + program], check=True, timeout=60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("side", SIDES)
def test_after_a_fork(side: bool) -> None:
    run_program(
        """
assert executor.execute_concurrent([lambda: 1] * 8) == [1] * 8
child = os.fork()
if child == 0:
    assert executor.execute_concurrent([lambda: 2] * 8) == [2] * 8
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert executor.execute_concurrent([lambda: 3] * 8) == [3] * 8
""",
        side,
    )


@pytest.mark.parametrize("side", SIDES)
def test_the_end_of_the_process(side: bool) -> None:
    run_program(
        """
try:
    executor.execute_task(lambda: time.sleep(0.3), 0.05)
except TimeoutError:
    pass  # its thread still sleeps
""",
        side,
    )


@pytest.mark.parametrize("side", SIDES)
def test_an_interrupt(side: bool) -> None:
    run_program(
        """
go = threading.Event()
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    executor.execute_concurrent([lambda: go.wait(30)] * 9)
except KeyboardInterrupt:
    go.set()
else:
    raise AssertionError("not interrupted")
""",
        side,
    )


class Failing:
    implementation = "rust"

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any) -> Any:
            raise NativeError("panic: injected")

        return fail


@pytest.mark.parametrize(
    "method", ["register_task", "get_ready_tasks", "execute_concurrent", "mark_started"]
)
def test_native_code_that_fails(method: str) -> None:
    executor = AcceleratedTaskExecutor(use_rust=True)
    executor.register_task("done", function=lambda: 1)
    executor.register_task("next", ["done"], lambda: 2)
    assert executor.execute_task("done") == 1
    executor._executor = Failing()
    arguments: dict[str, Any] = {"register_task": ("new",), "mark_started": ("next",)}
    getattr(executor, method)(*arguments.get(method, ()))
    assert executor.implementation == "python"
    assert executor.get_result("done") == 1
    stats = executor.get_stats()
    assert stats["tasks_scheduled"] == 2 + (method == "register_task")
    assert stats["tasks_completed"] == 1 + (method == "execute_concurrent")


def test_native_code_that_fails_in_a_run() -> None:
    """Tasks that were called are not called again."""
    calls: list[int] = []

    class Late(Failing):
        def get_execution_order(self) -> list[str]:
            return []

        def execute_concurrent_tasks(self, functions: Any, *_: Any) -> Any:
            functions[0]()
            raise NativeError("panic: injected")

    executor = AcceleratedTaskExecutor(use_rust=True)
    executor._executor = Late()
    with pytest.raises(NativeError):
        executor.execute_concurrent([lambda: calls.append(1)])
    assert calls == [1]


class Stop(BaseException):
    pass


@pytest.mark.parametrize("side", SIDES)
class TestHostile:
    @pytest.mark.parametrize("timeout", [0, -1.0, float("nan")])
    def test_timeouts_that_are_none(self, side: bool, timeout: float) -> None:
        executor = AcceleratedTaskExecutor(use_rust=side)
        executor.register_task("a", function=lambda: 1)
        with pytest.raises(ValueError, match="positive"):
            executor.execute_concurrent(["a"], timeout)
        assert executor.execute_concurrent(["a"], float("inf")) == [1]

    def test_any_iterable_and_any_number(self, side: bool) -> None:
        executor = AcceleratedTaskExecutor(1 << 70, use_rust=side)
        assert executor.execute_concurrent(iter([lambda: 1, lambda: 2])) == [1, 2]  # type: ignore[arg-type]

    @pytest.mark.parametrize("task_id", [5, "\ud800", None])
    def test_ids_that_are_none(self, side: bool, task_id: Any) -> None:
        executor = AcceleratedTaskExecutor(use_rust=side)
        for arguments in ((task_id,), ("a", [task_id])):
            with pytest.raises((TypeError, UnicodeError)):
                executor.register_task(*arguments)
        with pytest.raises(TypeError, match="not a str"):
            executor.register_task("a", "bc")
        assert executor.get_stats()["tasks_scheduled"] == 0

    def test_a_task_given_twice(self, side: bool) -> None:
        executor = AcceleratedTaskExecutor(use_rust=side)
        executor.register_task("a", function=lambda: 1)
        with pytest.raises(TaskError, match="twice"):
            executor.execute_concurrent(["a", "a"])

    @pytest.mark.parametrize("nested", [False, True])
    @pytest.mark.parametrize("kind", [SystemExit, asyncio.CancelledError, Stop, GeneratorExit])
    def test_base_exceptions_of_coroutines(
        self, side: bool, kind: type[BaseException], nested: bool
    ) -> None:
        error = kind("mine")

        async def fails() -> None:
            raise error

        async def works() -> int:
            return 1

        def run() -> list[Any]:
            executor = AcceleratedTaskExecutor(use_rust=side)
            return executor.execute_concurrent([fails, works], on_error="return")

        async def inside() -> list[Any]:
            return run()

        first, second = asyncio.run(inside()) if nested else run()
        assert first is error and second == 1
        assert any(f.name == "fails" for f in traceback.extract_tb(error.__traceback__))

    def test_context_inside_a_running_loop(self, side: bool) -> None:
        variable = contextvars.ContextVar("variable", default="lost")

        async def read() -> str:
            return variable.get()

        async def inside() -> list[Any]:
            variable.set("seen")
            return AcceleratedTaskExecutor(use_rust=side).execute_concurrent([read])

        assert asyncio.run(inside()) == ["seen"]

    def test_callables_that_make_coroutines(self, side: bool) -> None:
        executor = AcceleratedTaskExecutor(use_rust=side)
        tasks: list[Any] = [lambda: asyncio.sleep(0, 5), lambda: 1]
        assert executor.execute_concurrent(tasks) == [5, 1]

    def test_a_long_cycle(self, side: bool) -> None:
        executor = AcceleratedTaskExecutor(use_rust=side)
        for number in range(2000):
            executor.register_task(str(number), [str((number + 1) % 1500)])
        with pytest.raises(CycleError) as caught:
            executor.get_execution_order()
        assert len(caught.value.cycle) == 1501


NO_THREADS = """
import resource, sys, threading
from fast_crewai.tasks import AcceleratedTaskExecutor
from fast_crewai.tasks.python import _Run
from fast_crewai.tasks import executor as module
calls = []
start = threading.Thread.start
def few(self):
    if len(started) >= 2:
        raise RuntimeError("can't start new thread")
    started.append(self)
    start(self)
started = []
threading.Thread.start = few
executor = AcceleratedTaskExecutor(8, use_rust=False)
tasks = [lambda n=n: calls.append(n) or n for n in range(50)]
assert executor.execute_concurrent(tasks) == list(range(50))
assert sorted(calls) == list(range(50))
"""


def test_fewer_threads_than_wanted() -> None:
    subprocess.run([sys.executable, "-c", NO_THREADS], check=True, timeout=60)


EXITING = """
import sys, threading, time
from fast_crewai.tasks import AcceleratedTaskExecutor, executor
import atexit
side = sys.argv[1] == "True"
made = AcceleratedTaskExecutor(2, use_rust=side)
atexit.unregister(executor._shut_down[0]) if executor._shut_down else None
if executor._shut_down:
    atexit.register(executor._shut_down[0], 0.2)
print(made.execute_concurrent([lambda: time.sleep(30), lambda: 1], 0.2, "return")[1], flush=True)
"""


@pytest.mark.parametrize("side", SIDES)
def test_the_interpreter_ends_while_a_task_runs(side: bool) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", EXITING, str(side)], capture_output=True, text=True, timeout=25
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n", "")
