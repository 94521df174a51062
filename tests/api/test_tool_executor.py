"""AcceleratedToolExecutor: one validator in Rust and Python, and the limits it promises."""

import contextvars
import inspect
import json
import math
import sys
import threading
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fast_crewai import _core
from fast_crewai.errors import (
    NativeError,
    ToolError,
    ToolRecursionError,
    ToolTimeoutError,
    ToolValidationError,
)
from fast_crewai.tools import AcceleratedToolExecutor
from fast_crewai.tools.python import PythonToolExecutor

SIDES = (True, False)
NAMES = ["a", "b", "count", "é"]
names = st.sampled_from(NAMES)
numbers = st.one_of(
    st.integers(-5, 5), st.sampled_from([0.5, 1.0, -2.5, 1e300, 2**53 + 1, 2**100, 0.1, 2.0**53])
)
scalars = st.one_of(st.none(), st.booleans(), numbers, st.text("ab1é", max_size=4))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=10,
)
types = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
sizes = st.integers(0, 4)


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    by_name = st.dictionaries(names, inner, max_size=3)
    several = st.lists(inner, min_size=1, max_size=3)
    keywords: dict[str, st.SearchStrategy[Any]] = {
        "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
        "enum": st.lists(values, min_size=1, max_size=3),
        "const": values,
        "properties": by_name,
        "required": st.lists(names, max_size=3, unique=True),
        "additionalProperties": inner,
        "patternProperties": st.dictionaries(
            st.sampled_from(["^a", "o.n", "é"]), inner, max_size=2
        ),
        "propertyNames": st.fixed_dictionaries({"pattern": st.sampled_from(["a", "^[abc]", "é"])}),
        "dependentRequired": st.dictionaries(
            names, st.lists(names, max_size=2, unique=True), max_size=2
        ),
        "dependentSchemas": by_name,
        "minProperties": sizes,
        "maxProperties": sizes,
        "items": inner,
        "prefixItems": several,
        "contains": inner,
        "minContains": sizes,
        "maxContains": sizes,
        "minItems": sizes,
        "maxItems": sizes,
        "uniqueItems": st.booleans(),
        "minLength": sizes,
        "maxLength": sizes,
        "pattern": st.sampled_from(["a", "^b*$", "1|é"]),
        "minimum": numbers,
        "maximum": numbers,
        "exclusiveMinimum": numbers,
        "exclusiveMaximum": numbers,
        "multipleOf": st.sampled_from([1, 2, 3, 0.5, 0.25]),
        "allOf": several,
        "anyOf": several,
        "oneOf": several,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "$ref": st.sampled_from(["#/$defs/a", "#/$defs/b"]),
        "format": st.just("email"),
    }
    return st.lists(st.sampled_from(list(keywords)), max_size=4, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({name: keywords[name] for name in chosen})
    )


any_schema = st.recursive(st.booleans() | schemas(st.booleans()), schemas, max_leaves=6)
no_reference = {"type": ["integer", "string"]}
documents = st.builds(
    lambda schema, a: (
        {**schema, "$defs": {"a": a, "b": no_reference}} if schema not in (True, False) else schema
    ),
    any_schema,
    st.sampled_from(
        [True, {"minimum": 2}, {"$ref": "#/$defs/b"}, {"items": {"$ref": "#/$defs/a"}}]
    ),
)


def places(executor: Any, schema: Any, value: Any) -> Any:
    executor.register_tool("t", schema)
    found = executor.validate_args("t", value)
    (batch,) = executor.batch_validate("t", [value])
    assert batch == found
    return [(list(a), list(b)) for a, b in found]


@given(documents, values)
def test_the_same_places_and_the_same_verdict_as_jsonschema(schema: Any, value: Any) -> None:
    rust = places(_core.RustToolExecutor(), schema, value)
    assert rust == places(PythonToolExecutor(), schema, value)
    expected = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert (not rust) == expected


odd = st.recursive(
    st.one_of(scalars, st.binary(max_size=2), st.floats(), st.text(max_size=2), st.just(object)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(names | st.integers(0, 3), inner, max_size=3),
    ),
    max_leaves=8,
)


@given(st.one_of(documents, odd, st.dictionaries(names, odd)), odd)
def test_the_same_of_anything(schema: Any, value: Any) -> None:
    assert places(_core.RustToolExecutor(), schema, value) == places(
        PythonToolExecutor(), schema, value
    )


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"$ref": "#"}, 1),
        ({"$ref": "#/nothing"}, 1),
        ({"$ref": "http://elsewhere"}, 1),
        ({"allOf": [{"$ref": "#/allOf/1"}, {"minimum": 3}]}, 1),
        ({"$ref": "#/$defs/a~1b~0c", "$defs": {"a/b~c": {"type": "null"}}}, 1),
        ({"properties": {"x": {"$ref": "#"}}, "required": ["x"]}, {"x": {"x": {"x": {}}}}),
        ({"pattern": "("}, "x"),
        ({"minimum": "3", "maxLength": -1, "type": 5, "required": "a", "items": 3}, [1]),
        ({"items": [{"type": "null"}], "additionalItems": False}, [1, 2]),
        (True, [[[1]]]),
    ],
)
def test_particular_schemas(schema: Any, value: Any) -> None:
    assert places(_core.RustToolExecutor(), schema, value) == places(
        PythonToolExecutor(), schema, value
    )


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_nesting() -> None:
    circular: list[Any] = []
    circular.append(circular)
    for executor in (_core.RustToolExecutor(), PythonToolExecutor()):
        assert places(executor, {"items": {"$ref": "#"}}, nested(64)) == []
        assert places(executor, {"items": {"$ref": "#"}}, nested(65)) == [([], ["depth"])]
        assert places(executor, True, circular) == [([], ["depth"])]


WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 1},
        "days": {"type": "integer", "minimum": 1, "maximum": 14},
    },
    "required": ["city"],
    "additionalProperties": False,
}


def weather(city: str, days: int = 1) -> str:
    return f"{city}: sun for {days} days"


@pytest.mark.parametrize("side", SIDES)
class TestExecutor:
    def test_validation(self, side: bool) -> None:
        executor = AcceleratedToolExecutor(use_rust=side)
        assert executor.implementation == ("rust" if side else "python")
        assert executor.validate_args({"city": "Rome"}, WEATHER) is True
        assert executor.validate_args('{"city": "Rome", "days": 3}', WEATHER) is True
        with pytest.raises(ToolValidationError) as caught:
            executor.validate_args({"days": 0, "wind": True}, WEATHER)
        assert [v.message for v in caught.value.violations] == [
            "$.days: minimum 1",
            '$: required "city"',
            "$.wind: not allowed",
        ]
        with pytest.raises(ValueError, match="not JSON"):
            executor.validate_args("{")
        assert executor.validate_args("[1]") is True
        batch = [
            {"city": "Rome"},
            "{",
            {"city": ""},
            '{"city": "Rome"}',
            {"city": "\ud800"},
            {"days": 10**60},
        ]
        assert executor.batch_validate(batch, WEATHER) == [True, False, False, True, True, False]
        assert executor.batch_validate(["{", "{}"]) == [False, True]
        assert executor.get_stats()["validation_failures"] == 2

    def test_a_pydantic_model_is_a_schema(self, side: bool) -> None:
        from pydantic import BaseModel, Field

        class Inner(BaseModel):
            tags: list[str] = Field(max_length=2)

        class Arguments(BaseModel):
            inner: Inner
            size: int | None = None

        executor = AcceleratedToolExecutor(use_rust=side)
        assert executor.validate_args({"inner": {"tags": ["x"]}, "size": None}, Arguments)
        (violation,) = executor.violations({"inner": {"tags": [1]}}, Arguments)
        assert violation.path == ("inner", "tags", 0) and violation.message.endswith(
            'type "string"'
        )
        with pytest.raises(TypeError):
            executor.validate_args({}, 5)

    def test_execution(self, side: bool) -> None:
        executor = AcceleratedToolExecutor(use_rust=side)
        executor.register_tool("weather", weather, WEATHER)
        assert executor.execute_tool("weather", {"city": "Rome"}) == "Rome: sun for 1 days"
        assert (
            executor.execute_tool("weather", '{"city": "Oslo", "days": 2}')
            == "Oslo: sun for 2 days"
        )
        assert executor.execute_tool(weather, {"city": "Oslo"}) == "Oslo: sun for 1 days"
        assert executor.execute_tool(lambda: 5) == 5
        for wrong in ({}, {"city": 5}, "[]", "{"):
            with pytest.raises(ToolValidationError):
                executor.execute_tool("weather", wrong)
        with pytest.raises(ToolError, match="unknown tool"):
            executor.execute_tool("nothing")
        with pytest.raises(ToolError, match="not a tool"):
            executor.execute_tool(5)
        assert executor.get_stats()["executions"] == 4

    def test_a_tool_of_crewai(self, side: bool) -> None:
        tools = pytest.importorskip("crewai.tools")

        @tools.tool("double")
        def double(number: int) -> int:
            """Doubles a number."""
            return 2 * number

        executor = AcceleratedToolExecutor(use_rust=side, cache_ttl_seconds=60)
        assert executor.execute_tool(double, {"number": 4}) == 8
        with pytest.raises(ToolValidationError, match="double"):
            executor.execute_tool(double, {"number": "four"})

    def test_exceptions_of_tools_pass_unchanged(self, side: bool) -> None:
        error = LookupError("own")

        def broken() -> None:
            raise error

        executor = AcceleratedToolExecutor(use_rust=side)
        for timeout in (None, 5):
            with pytest.raises(LookupError) as caught:
                executor.execute_tool(broken, timeout=timeout)
            assert caught.value is error
            assert "broken" in [entry.name for entry in caught.traceback]

        def slow() -> None:
            raise TimeoutError("own")

        with pytest.raises(TimeoutError, match="own") as timed:
            executor.execute_tool(slow, timeout=5)
        assert not isinstance(timed.value, ToolError)
        assert executor.get_stats()["failures"] == 3

    def test_recursion(self, side: bool) -> None:
        executor = AcceleratedToolExecutor(max_recursion_depth=3, use_rust=side)
        reached = []

        def again(depth: int) -> None:
            reached.append(depth)
            executor.execute_tool(again, {"depth": depth + 1}, timeout=5 if depth == 1 else None)

        with pytest.raises(ToolRecursionError, match="again: 3"):
            executor.execute_tool(again, {"depth": 0})
        assert reached == [0, 1, 2]
        assert executor.execute_tool(weather, {"city": "Rome"})  # counted back

    def test_timeout(self, side: bool) -> None:
        executor = AcceleratedToolExecutor(timeout_seconds=0.05, use_rust=side)
        go = threading.Event()
        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
        variable.set("seen")
        try:
            with pytest.raises(ToolTimeoutError, match=r"no result after 0\.05 s"):
                executor.execute_tool(go.wait)
            assert executor.execute_tool(variable.get, timeout=5) == "seen"
            assert executor.get_stats()["timeouts"] == 1
        finally:
            go.set()

    def test_cache(self, side: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[Any] = []

        def tool(**arguments: Any) -> int:
            calls.append(arguments)
            return len(calls)

        executor = AcceleratedToolExecutor(cache_ttl_seconds=10, cache_max_size=2, use_rust=side)
        now = [0.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        ask = executor.execute_tool
        assert (
            ask(tool, {"a": 1, "b": 2})
            == ask(tool, {"b": 2, "a": 1})
            == ask(tool, '{"a":1,"b":2}')
            == 1
        )
        assert ask(tool, {"a": 1, "b": 2}, use_cache=False) == 2
        assert ask(tool, {"a": True, "b": 2}) == 3  # 1 == True in Python, but not in JSON
        assert ask(tool, {"a": 1.0, "b": 2}) == 4
        assert ask(tool, {"a": 1, "b": 2}) == 5  # two newer ones
        assert ask(lambda **_: "other", {"a": 1, "b": 2}) == "other"
        now[0] = 10.0
        assert ask(tool, {"a": 1, "b": 2}) == 6
        assert ask(tool, {"a": object}) == 7 and ask(tool, {"a": object}) == 8
        executor.clear_cache()
        assert ask(tool, {"a": 1, "b": 2}) == 9
        assert executor.get_stats()["cache_hits"] == 2 and executor.get_stats()["cache_size"] == 1

    def test_nothing_is_kept_unless_asked_for(self, side: bool) -> None:
        executor = AcceleratedToolExecutor(use_rust=side)
        calls: list[int] = []
        for _ in range(2):
            executor.execute_tool(lambda: calls.append(1))
        assert len(calls) == 2 and executor.get_stats()["cache_size"] == 0

    def test_arguments(self, side: bool) -> None:
        for wrong in (
            {"max_recursion_depth": 0},
            {"timeout_seconds": 0},
            {"cache_ttl_seconds": -1},
        ):
            with pytest.raises(ValueError):
                AcceleratedToolExecutor(use_rust=side, **wrong)  # type: ignore[arg-type]

    def test_eight_threads(self, side: bool) -> None:
        executor = AcceleratedToolExecutor(cache_ttl_seconds=60, use_rust=side)
        executor.register_tool("weather", weather, WEATHER)
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for step in range(150):
                    schema = {
                        "properties": {f"n{number}": {"const": step}},
                        "required": [f"n{number}"],
                    }
                    assert executor.violations({f"n{number}": step}, schema) == ()
                    (wrong,) = executor.violations({f"n{number}": -1}, schema)
                    assert wrong.path == (f"n{number}",)
                    days = step % 14 + 1
                    answer = executor.execute_tool("weather", {"city": "x", "days": days})
                    assert answer == f"x: sun for {days} days"
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        [t.start() for t in threads], [t.join() for t in threads]
        assert not errors
        stats = executor.get_stats()
        assert stats["cache_hits"] + stats["executions"] == 8 * 150
        assert stats["cache_size"] == 14


class Failing:
    implementation = "rust"

    def register_tool(self, *_: Any) -> None:
        raise NativeError("panic: injected")

    validate_args = batch_validate = register_tool


def test_native_code_that_fails() -> None:
    executor = AcceleratedToolExecutor(use_rust=True)
    executor.register_tool("weather", weather, WEATHER)
    executor._checker = Failing()
    assert len(executor.violations({"days": 0}, "weather")) == 2
    assert executor.implementation == "python"
    executor._checker = Failing()
    assert executor.batch_validate([{}, {"city": "x"}], "weather") == [False, True]
    executor._checker = Failing()
    executor.register_tool("again", weather, WEATHER)
    assert executor.execute_tool("again", {"city": "x"})
    with pytest.raises(ToolValidationError):
        executor.execute_tool("again", json.dumps({}))


class Odd(int):
    def __str__(self) -> str:
        return "7"

    __repr__ = __str__


LEVELS: Any = "x"
for _ in range(63):
    LEVELS = [LEVELS]
_IF = {"if": True, "then": {"items": {"$ref": "#"}}}


@pytest.mark.parametrize(
    ("schema", "value", "count"),
    [
        ({"minItems": 1 << 64}, [1], 1),
        ({"maxItems": 1 << 64}, [1], 0),
        ({"minLength": 1 << 100}, "a", 1),
        ({"contains": True, "minContains": 1 << 70}, [1], 1),
        ({"const": 1 << 70}, Odd(1 << 70), 0),
        ({"minimum": 100}, Odd(1 << 70), 0),
        ({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, 1, 1),  # 2**125 evaluations once
        ({"allOf": [{"anyOf": [{"oneOf": [{"type": "string"}, _IF]}]}]}, LEVELS, 1),  # too deep
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "null"}}, "$ref": "#/$defs/a"}, 1, 1),
        ({"properties": {"a": {"$ref": "#"}}, "propertyNames": {"$ref": "#"}}, {"a": {"a": 1}}, 0),
    ],
)
def test_hostile_schemas(schema: Any, value: Any, count: int) -> None:
    rust = places(_core.RustToolExecutor(), schema, value)
    assert rust == places(PythonToolExecutor(), schema, value)
    assert len(rust) == count


@pytest.mark.parametrize("side", SIDES)
class TestHostile:
    def test_a_schema_changed_afterwards(self, side: bool) -> None:
        executor = AcceleratedToolExecutor(use_rust=side)
        schema = {"properties": {"x": {"type": "integer"}}}
        executor.register_tool("t", lambda x: x, schema)
        schema["properties"]["x"]["type"] = "string"
        assert executor.validate_args({"x": 1}, "t")
        with pytest.raises(ToolValidationError):
            executor.execute_tool("t", {"x": "1"})

    def test_only_the_same_arguments_are_a_hit(self, side: bool) -> None:
        executor = AcceleratedToolExecutor(cache_ttl_seconds=60, use_rust=side)
        executor.register_tool("t", lambda x: repr(x))
        given: list[Any] = [(1, 2), [1, 2], {1: 2}, {"1": 2}]
        given += [True, 1, 1.0, 0.0, -0.0, Odd(1), None, "null"]
        for one in given * 2:
            assert executor.execute_tool("t", {"x": one}) == repr(one)
        assert executor.get_stats()["cache_hits"] == len(given) - 3  # tuple, {1: 2}, Odd: never

    def test_callables_that_have_no_hash(self, side: bool) -> None:
        class Unhashable:
            def __eq__(self, other: object) -> bool:
                return True

            def __call__(self, x: int) -> int:
                return x

        executor = AcceleratedToolExecutor(cache_ttl_seconds=60, use_rust=side)
        assert executor.execute_tool(Unhashable(), {"x": 5}) == 5

    @pytest.mark.parametrize("timeout", [0, -1, math.nan])
    def test_timeouts_that_are_none(self, side: bool, timeout: float) -> None:
        called: list[int] = []
        with pytest.raises(ValueError, match="positive"):
            AcceleratedToolExecutor(use_rust=side).execute_tool(called.append, timeout=timeout)
        assert not called

    def test_a_result_just_in_time(self, side: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        from concurrent.futures import Future

        real = Future.result

        def late(self: Any, timeout: float | None = None) -> Any:
            if timeout is None:
                return real(self)
            real(self, 20)
            raise TimeoutError  # as if the time had passed just before

        monkeypatch.setattr(Future, "result", late)
        executor = AcceleratedToolExecutor(use_rust=side)
        assert executor.execute_tool(lambda: 5, timeout=20) == 5


def test_a_deep_stack_changes_nothing() -> None:
    schema = {"allOf": [{"anyOf": [{"items": {"$ref": "#"}}]}]}

    def deeper(left: int) -> Any:
        return places(PythonToolExecutor(), schema, LEVELS[0]) if left == 0 else deeper(left - 1)

    room = sys.getrecursionlimit() - len(inspect.stack(0))
    assert deeper(room - 120) == places(_core.RustToolExecutor(), schema, LEVELS[0])
