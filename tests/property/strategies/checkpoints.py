"""Records of events with all kinds of contents, changed between one checkpoint and the next."""

import contextlib
import dataclasses
import datetime
import enum
import json
import uuid
from unittest import mock

from crewai.agents.parser import AgentAction
from crewai.events.base_events import BaseEvent
from crewai.state import checkpoint_listener, event_record
from crewai.state.event_record import EventRecord
from crewai.state.provider.core import BaseProvider
from crewai.state.runtime import RuntimeState
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    computed_field,
    field_serializer,
    model_serializer,
)

from strategies.events import THEN
from strategies.records import links


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: object
    y: object = 0


class Item(BaseModel):
    value: object = None
    when: datetime.datetime | None = None


class Loud(Item):
    @field_serializer("value")
    def shout(self, value):
        return f"{value}!"


class Failing(Item):
    @field_serializer("value")
    def fail(self, value):
        raise ValueError(f"not {type(value).__name__}")


class Root(RootModel[list[object]]):
    pass


class Plain(BaseEvent):
    type: str = "plain"
    first: object = None
    item: Item | None = None
    last: object = None


class Typed(BaseEvent):
    type: str = "typed"
    number: int = 0
    item: object = None
    names: list[str] = Field(default_factory=list)


class OwnField(Plain):
    type: str = "own_field"

    @field_serializer("first")
    def own(self, value):
        return [str(value)]


class OwnDump(Plain):
    type: str = "own_dump"

    @model_serializer
    def own(self):
        return {"own": str(self.first)}


class Computed(Plain):
    type: str = "computed"

    @computed_field
    @property
    def twice(self) -> int:
        return 2


class Extra(Plain):
    model_config = ConfigDict(extra="allow")
    type: str = "extra"


class Hidden(Plain):
    type: str = "hidden"
    secret: str = Field(default="s", exclude=True)


class Overriding(Plain):
    type: str = "overriding"

    def model_dump(self, **options):
        return {"by": "hand", "mode": options.get("mode")}


KINDS = [Plain] * 12 + [Typed] * 3
ODD = [OwnField, OwnDump, Computed, Extra, Hidden, Overriding]

NOON = datetime.datetime(2026, 1, 2, 12)
_SHARED = ("item", "other", "loud", "nested")


class Shared:
    """Objects that hang on several events."""

    def __init__(self):
        self.item = Item(value={"a": [1]}, when=NOON)
        self.other = Item(value=self.item)
        self.loud = Loud(value="x")
        self.nested = Root([self.item, {"k": self.loud}])


_numbers = [None, True, 1, 1.0, 2**70, float("nan"), b"b", uuid.UUID(int=7), Colour.RED]
_texts = ["", "\xe9\U0001f600", "\u2028", NOON, THEN, NOON.date()]
scalars = st.sampled_from(_numbers) | st.sampled_from(_texts)
shared = st.sampled_from(_SHARED).map(lambda name: ("shared", name))
values = st.recursive(
    scalars | shared,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "b", "ü", 1, Colour.RED]), inner, max_size=3),
        inner.map(lambda value: ("point", value)),
        inner.map(lambda value: ("action", value)),
        inner.map(lambda value: ("tuple", value)),
    ),
    max_leaves=6,
)
bad = st.sampled_from([("failing",), ("function",), ("set",)])
field = st.sampled_from(["first", "last", "item"])
steps = st.one_of(
    *[st.tuples(st.just("add"), st.integers(0, 14), values, shared, values, links)] * 4,
    *[st.tuples(st.just("set"), st.integers(0, 2), st.sampled_from(["first", "task_id"]), values)]
    * 3,
    *[st.tuples(st.just("mutate"), st.integers(0, 2), scalars)] * 2,
    st.tuples(st.just("shared"), st.sampled_from(_SHARED), values),
    st.tuples(st.just("remove"), st.integers(0, 9)),
    *[st.just(("checkpoint",))] * 3,
)
odd_steps = st.one_of(
    steps,
    st.tuples(st.just("odd"), st.integers(0, len(ODD) - 1), values, links),
    st.tuples(st.just("bad"), bad),
    st.tuples(st.just("reorder"), st.integers(0, 9)),
    st.just(("patch",)),
)
_NOWHERE = (None, None, None, None)
_ADDED = ("add", 0, 1, ("shared", "item"), ["x"], _NOWHERE)
_TAKEN = ("checkpoint",)
# What is kept from one checkpoint to the next must be seen to be another.
CORPUS = (
    [_ADDED, _TAKEN, ("set", 0, "first", 5), _TAKEN, ("set", 0, "first", True), _TAKEN],
    [("add", 0, ["a"], ("shared", "other"), 1, _NOWHERE), _TAKEN, ("mutate", 0, 1), _TAKEN],
    [_ADDED, _ADDED, _TAKEN, ("shared", "item", [1]), _TAKEN, ("remove", 0), _TAKEN],
    [_ADDED, ("add", 12, 1, ("shared", "item"), 1, ("e0",) * 4), _TAKEN, ("reorder", 0), _TAKEN],
    [_ADDED, _TAKEN, ("set", 0, "first", ("shared", "loud")), _TAKEN],
    [("add", 0, ("action", 1), 1, 1, _NOWHERE), _TAKEN, ("mutate", 0, True), _TAKEN],
    [("add", 0, ("action", ["a"]), 1, ["b"], _NOWHERE), _TAKEN, ("set", 0, "first", "x"), _TAKEN],
    [("add", 0, [("shared", "item")], 1, ["b"], _NOWHERE), _TAKEN, ("shared", "item", 2), _TAKEN],
    [("add", 0, ["a"], 1, [("shared", "item")], _NOWHERE), _TAKEN, ("mutate", 0, 2), _TAKEN],
    [("add", 0, [("shared", "item")], 1, 1, _NOWHERE), _TAKEN, ("set", 0, "first", [2]), _TAKEN],
)
programs = st.one_of(
    st.sampled_from(CORPUS),
    st.lists(steps, min_size=4, max_size=14),
    st.lists(odd_steps, min_size=4, max_size=14),
)


def make(value, objects):
    if isinstance(value, tuple):
        kind, *rest = value
        if kind == "shared":
            return getattr(objects, rest[0])
        if kind == "point":
            return Point(make(rest[0], objects))
        if kind == "action":
            return AgentAction("t", "\xe9", "{}", "x", make(rest[0], objects))
        if kind == "tuple":
            return (make(rest[0], objects), 1)
        return {"failing": Failing(value=1), "function": make, "set": {1}}[kind]
    if isinstance(value, list):
        return [make(item, objects) for item in value]
    if isinstance(value, dict):
        return {key: make(item, objects) for key, item in value.items()}
    return value


class World:
    """One record and the objects in it; ``take`` writes down what a checkpoint of it gives."""

    def __init__(self):
        self.objects, self.record, self.events, self.seen = Shared(), EventRecord(), [], []
        self.patched = False

    def event(self, kind, options, where):
        fields = ("parent_event_id", "triggered_by_event_id", "previous_event_id")
        found = dict(zip(fields, where[:3], strict=True))
        event = kind(event_id=f"e{len(self.events)}", timestamp=THEN, **found, **options)
        self.events.append(event)
        self.record.add(event)

    def run(self, program, take):
        for step, *what in program:
            if step == "checkpoint":
                self.seen.append(take(self))
                continue
            getattr(self, f"do_{step}")(*what)
        self.seen.append(take(self))
        return self.seen

    def do_add(self, kind, first, item, last, where):
        first, item, last = (make(value, self.objects) for value in (first, item, last))
        if KINDS[kind] is Typed:
            self.event(Typed, {"number": 3, "item": item, "names": ["n"]}, where)
        else:
            item = item if isinstance(item, Item) else None
            self.event(KINDS[kind], {"first": first, "item": item, "last": last}, where)

    def do_odd(self, kind, first, where):
        options = {"first": make(first, self.objects)}
        self.event(ODD[kind], options | ({"more": 1} if ODD[kind] is Extra else {}), where)

    def do_bad(self, value):
        self.event(Plain, {"last": make(value, self.objects)}, (None,) * 4)

    def do_set(self, index, name, value):
        if index < len(self.events) and name in type(self.events[index]).model_fields:
            setattr(self.events[index], name, make(value, self.objects))

    def do_mutate(self, index, value):
        if index < len(self.events):
            first = getattr(self.events[index], "first", None)
            if isinstance(first, list):
                first.append(value)
            elif isinstance(first, dict):
                first["new"] = value
            elif isinstance(first, AgentAction):
                first.result = value

    def do_shared(self, name, value):
        found = getattr(self.objects, name)
        if isinstance(found, Item):
            found.value = make(value, self.objects) if name == "item" else repr(value)

    def do_remove(self, index):
        self.record.nodes.pop(f"e{index}", None)

    def do_reorder(self, index):
        if index < len(self.events):
            content = self.events[index].__dict__
            content["type"] = content.pop("type", "gone")

    def do_patch(self):
        self.patched = True


def _error(error):
    return type(error).__name__, str(error).partition(" at 0x")[0]


def _acyclic(program):
    """Serialising a shared object that contains itself takes all the stack there is."""
    cyclic = ("item", "other", "nested", "loud")
    return [
        step
        for step in program
        if step[0] != "shared" or not any(f"'{name}'" in repr(step[2]) for name in cyclic)
    ]


def recorded(function, program):
    """``EventRecord.model_dump`` in both modes, and whether the record stays as it is."""

    def take(world):
        found = []
        patch = contextlib.nullcontext()
        if world.patched:
            patch = mock.patch.object(event_record, "RWLock", type("RWLock", (), {}))
        with patch:
            for options in ({"mode": "json"}, {}, {"mode": "json", "exclude_none": True}):
                before = dict(world.record.nodes)
                try:
                    found.append(repr(function(world.record, **options)))
                except Exception as error:
                    found.append(_error(error))
                assert world.record.nodes == before
        return found

    return World().run(_acyclic(program), take)


class Keeping(BaseProvider):
    """Keeps what it is given."""

    provider_type: str = "keeping"
    given: list = Field(default_factory=list)

    def checkpoint(self, data, location, *, parent_id=None, branch="main"):
        self.given.append((data, location, parent_id, branch))
        return f"c{len(self.given)}"

    async def acheckpoint(self, data, location, *, parent_id=None, branch="main"):
        raise NotImplementedError

    def prune(self, location, max_keep, *, branch="main"):
        return 0

    def extract_id(self, location):
        return location

    def from_checkpoint(self, location):
        raise NotImplementedError

    async def afrom_checkpoint(self, location):
        raise NotImplementedError


class Config(BaseModel):
    provider: Keeping
    location: str = "here"
    max_checkpoints: int | None = None


def written(function, program):
    """``_do_checkpoint``: the texts that the provider is given, and errors."""
    config = Config(provider=Keeping())
    state = RuntimeState(root=[])

    def take(world):
        state._event_record = world.record
        patch = contextlib.nullcontext()
        if world.patched:
            patch = mock.patch.object(
                checkpoint_listener,
                "json",
                mock.Mock(dumps=lambda made: json.dumps(made, indent=1)),
            )
        try:
            with patch:
                function(state, config, world.events[0] if world.events else None)
        except Exception as error:
            return _error(error)
        return config.provider.given[-1]

    return World().run(_acyclic(program), take)
