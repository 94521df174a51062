"""Events and outputs without pydantic's dump in between: what ``to_serializable`` makes of them."""

import datetime
import enum
import os
import uuid
import warnings
from random import Random
from unittest import mock

import pytest
from crewai.events.types.llm_events import LLMCallCompletedEvent, LLMCallType
from crewai.events.types.task_events import TaskCompletedEvent, TaskFailedEvent
from crewai.events.types.tool_usage_events import ToolUsageFinishedEvent
from crewai.tasks.output_format import OutputFormat
from crewai.tasks.task_output import TaskOutput
from crewai.utilities import serialization
from pydantic import BaseModel, computed_field, field_serializer, model_serializer

import fast_crewai
from fast_crewai import engine
from fast_crewai.hooks.areas import dumped_shapes

SEEDS = int(os.environ.get("FAST_CREWAI_DUMPS", "6"))
ROUTE = "serialization.to-serializable"
UTC = datetime.timezone.utc
LOG = []


class Noting(BaseModel):
    """Each dump of it is noted."""

    value: object = None

    @field_serializer("value")
    def noted(self, value):
        LOG.append(repr(value))
        return f"noted {value!r}"


class Whole(BaseModel):
    @model_serializer
    def whole(self):
        LOG.append("whole")
        return {"whole": 1}


class Computed(TaskOutput):
    @computed_field
    @property
    def twice(self) -> str:
        LOG.append("twice")
        return self.raw * 2


class Own(TaskOutput):
    def model_dump(self, **options):
        LOG.append(("own", sorted(options)))
        return {"own": {"a": [1]}}


class Event(ToolUsageFinishedEvent):
    """A user's."""


class Kind(enum.Enum):
    ONE = "one"

    @property
    def value(self):
        LOG.append("value")
        return "odd"


class Text(str):
    def __repr__(self):
        LOG.append("repr")
        return "Text"


@pytest.fixture(scope="module", autouse=True)
def installed():
    fast_crewai.install()
    yield
    fast_crewai.uninstall()


def scalar(random):
    now = datetime.datetime(2026, 1, 2, 3, 4, 5, random.choice([0, 1, 120_000]))
    zones = [None, UTC, UTC, datetime.timezone(datetime.timedelta(hours=1))]
    zones.append(datetime.timezone(datetime.timedelta(0)))
    plain = [None, True, 0, -7, 2**70, 1.5, -0.0, "", "a", "é\n", "long " * 20, "\ud800", b"x"]
    plain += [now.replace(tzinfo=random.choice(zones)), now.date(), uuid.UUID(int=7)]
    plain += [LLMCallType.LLM_CALL, OutputFormat.RAW, random.choice([Kind.ONE, Text("t"), 1j])]
    plain += [random.choice([float("inf"), float("nan"), object, now.time(), Text])]
    return random.choice(plain)


def value(random, depth, odd):
    kind = random.random()
    if depth and kind < 0.5:
        size = random.randrange(4)
        parts = [value(random, depth - 1, odd) for _ in range(size)]
        if kind < 0.25:
            keys = (
                ["a", "b", "key", "Ä"]
                if random.random() > odd
                else ["a", 1, None, "\ud800", ("t",)]
            )
            return dict(zip(random.sample(keys, size), parts, strict=True))
        return tuple(parts) if kind < 0.3 else parts
    if kind > 1 - odd:
        return scalar(random)
    if kind > 0.93:
        return model(random, depth - 1, odd) if depth else None
    return random.choice([None, True, 3, 2.5, "s", "text", 10**9])


def model(random, depth, odd):
    depth = max(depth, 0)
    some = lambda: value(random, depth, odd)  # noqa: E731
    kinds = [output, tool, call, task] if random.random() > odd / 2 else [odd_model]
    return random.choice(kinds)(random, depth, odd, some)


def output(random, depth, odd, some, kind=TaskOutput):
    made = kind(
        description="d", agent="A", raw="r", output_format=random.choice(list(OutputFormat))
    )
    if random.random() < 0.8:
        made.messages = [some() for _ in range(3)]
    if random.random() < 0.3:
        made.json_dict = some()
    return changed(random, made, odd, some)


def tool(random, depth, odd, some, kind=ToolUsageFinishedEvent):
    now = datetime.datetime(2026, 1, 1)
    made = kind(
        tool_name="t", tool_args={}, tool_class="T", started_at=now, finished_at=now, output="o"
    )
    made.tool_args, made.output = some(), some()
    return changed(random, made, odd, some)


def call(random, depth, odd, some):
    made = LLMCallCompletedEvent(
        messages=[], response="r", call_type=LLMCallType.LLM_CALL, model="m", call_id="c"
    )
    made.messages, made.response = some(), some()
    return changed(random, made, odd, some)


def task(random, depth, odd, some):
    made = TaskCompletedEvent(output=output(random, 0, 0, str))
    made.__dict__["output"] = output(random, depth, odd, some)
    return changed(random, made, odd, some)


def odd_model(random, depth, odd, some):
    return random.choice(
        [
            lambda: Noting(value=1),
            Whole,
            lambda: output(random, depth, odd, some, Computed),
            lambda: output(random, depth, odd, some, Own),
            lambda: tool(random, depth, odd, some, Event),
            lambda: task(random, depth, 1, lambda: Noting(value=2)),
            lambda: TaskFailedEvent(error="e"),
            lambda: TaskOutput.model_construct(raw="r"),
        ]
    )()


def changed(random, made, odd, some):
    if random.random() < odd / 3:
        change = random.randrange(5)
        if change == 0:
            made.__dict__["unknown"] = some()
        elif change == 1:
            made.__dict__.pop(next(iter(made.__dict__)))
        elif change == 2:
            object.__setattr__(made, "__pydantic_extra__", {"more": 1})
        elif change == 3:
            name = random.choice(list(made.__dict__))
            made.__dict__[name] = made  # a cycle
        else:
            made.__dict__["timestamp"] = some()
    return made


def shown(function, *arguments):
    """Result, error, warnings, and what was called of the user's."""
    LOG.clear()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            found = function(*arguments)
        except Exception as error:
            found = type(error), str(error)
    return repr(found), [str(warning.message) for warning in seen], list(LOG)


def both(*arguments):
    ours = engine.registry().states[ROUTE].dispatcher
    found = shown(serialization.to_serializable, *arguments)
    # The original's own recursion finds our function, too: it must not.
    with mock.patch.object(serialization, "to_serializable", ours.attribute.__wrapped__):
        wanted = shown(ours.attribute.__wrapped__, *arguments)
    assert found == wanted
    return found


def declined():
    tally = engine.registry().states[ROUTE].tally
    return tally.reasons.get("not plain data", 0)


EXCLUDES = [None, None, set(), {"raw"}, {"messages", "timestamp"}, {"__all__"}, {"a", 1}]
EXCLUDES += [frozenset({"raw"}), frozenset(), {"no"}, {"\ud800"}]


@pytest.mark.parametrize("odd", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("seed", range(SEEDS))
def test_models_are_equal(seed, odd):
    random = Random(seed * 100 + int(odd * 20))
    before = declined()
    for _ in range(150):
        obj = model(random, 3, odd)
        if random.random() < 0.3:
            obj = random.choice([[obj], {"k": obj}, (obj, obj), {"k": [obj, {"l": obj}]}])
        exclude = random.choice(EXCLUDES) if odd else random.choice(EXCLUDES[:3])
        deepest, depth = random.choice([5, 5, 5, 0, -1, 1, 2, 3, 8]), random.choice([0, 0, 0, 1, 2])
        ancestors = random.choice([None, None, set(), {id(obj)}, {1}])
        both(obj, exclude, deepest, depth, ancestors)
    if not odd:
        assert declined() - before < 100


def events():
    random = Random(1)
    return [model(random, 3, 0.0) for _ in range(12)]


def test_pydantic_is_not_asked():
    for event in events():
        wanted = serialization.to_serializable(event, None, 8)
        with mock.patch.object(BaseModel, "__repr__", side_effect=AssertionError):
            assert serialization.to_serializable(event, None, 8) == wanted
    dumped = mock.Mock(side_effect=BaseModel.model_dump)
    with mock.patch.object(ToolUsageFinishedEvent, "model_dump", dumped, create=True):
        serialization.to_serializable(tool(Random(1), 0, 0, str))
    assert dumped.call_count == 1


@pytest.mark.parametrize("owner", [BaseModel, TaskOutput, TaskCompletedEvent])
def test_a_patched_dump_is_called(owner):
    event = TaskCompletedEvent(output=TaskOutput(description="d", agent="A", raw="r"))
    both(event)
    with mock.patch.object(owner, "model_dump", lambda self, **options: {"patched": options}):
        found = both(event)
        both(event.output)
    assert "patched" in found[0] or owner is TaskOutput


def test_another_serializer_is_used():
    event = TaskCompletedEvent(output=TaskOutput(description="d", agent="A", raw="r"))
    both(event)
    with mock.patch.object(TaskOutput, "__pydantic_serializer__", Whole.__pydantic_serializer__):
        both(event)
        both(event.output)


@pytest.mark.parametrize("name", ["BaseModel", "date", "datetime", "uuid"])
def test_patched_names_are_read(name):
    event = events()[0]
    with mock.patch.object(serialization, name, type("Other", (), {"UUID": str})):
        both(event)
        both({"at": datetime.datetime(2026, 1, 1), "id": uuid.UUID(int=1), "on": event})


def test_times_and_ids_in_plain_data():
    random = Random(3)
    for _ in range(200):
        both([scalar(random), {"k": scalar(random)}], None, random.choice([0, 1, 2, 5]))


def test_what_is_too_deep_is_pydantics():
    for levels in (5, 50, 58, 59, 60, 61, 62, 70, 300):
        inner = "x"
        for _ in range(levels):
            inner = [inner]
        for deepest in (0, 5):
            both(tool(Random(1), 0, 0, lambda inner=inner: inner), None, deepest)


def test_a_cycle_is_pydantics():
    inner = []
    inner.append(inner)
    both(tool(Random(1), 0, 0, lambda: inner))
    both(tool(Random(1), 0, 0, lambda: inner), None, 0)


class OddMeta(type):
    def __eq__(cls, other):
        return cls is other


class Thing(metaclass=OddMeta):
    pass


class Noisy:
    def __repr__(self):
        LOG.append("noisy")
        return f"call {len(LOG)}"


def odd_things():
    return [Thing(), TaskOutput.__new__(TaskOutput)]


@pytest.mark.parametrize("number", range(2))
def test_what_cannot_be_dumped_makes_nothing_start_again(number):
    made = [Noisy(), odd_things()[number], Noisy()]
    found = []
    for function in (serialization.to_serializable, serialization.to_serializable.__wrapped__):
        LOG.clear()
        try:
            found.append((function(made), list(LOG)))
        except Exception as error:
            found.append((type(error), list(LOG)))
    assert found[0] == found[1]


def test_a_serializer_that_is_replaced_before_the_class_is_known():
    class Sub(TaskOutput):
        @model_serializer
        def whole(self):
            return {"whole": 1}

    with mock.patch.object(TaskOutput, "__pydantic_serializer__", Sub.__pydantic_serializer__):
        assert dumped_shapes.Shapes().learn(TaskOutput) is False
    assert dumped_shapes.Shapes().learn(TaskOutput)


def test_a_dump_that_is_replaced_before_we_come_is_somebodys():
    def model_dump(self, **options):
        return {}

    with mock.patch.object(BaseModel, "model_dump", model_dump):
        shapes = dumped_shapes.Shapes()
    assert shapes.learn(TaskOutput) is False
