"""A record of events that grows while it is written: the dump is of one moment."""

import json
from contextlib import nullcontext
from itertools import count
from typing import Annotated
from unittest.mock import patch

import pytest
from crewai.agents.parser import AgentAction
from crewai.events.base_events import BaseEvent
from crewai.state import checkpoint_listener
from crewai.state.event_record import EventRecord
from crewai.state.runtime import RuntimeState
from crewai.tasks.task_output import TaskOutput
from pydantic import BaseModel, Field, PlainSerializer, field_serializer
from strategies.checkpoints import Config, Keeping, Plain

import fast_crewai
from fast_crewai.hooks.areas.record_text import Answers
from fast_crewai.hooks.dispatch import is_active, original_of


@pytest.fixture(scope="module", autouse=True)
def installed():
    fast_crewai.install()
    yield
    fast_crewai.uninstall()


class Adding(BaseModel):
    """Adds an event to the record whenever it is dumped, as another thread would."""

    record: object
    changed: list = []

    @field_serializer("record")
    def add(self, record):
        record.add(Plain(parent_event_id="first"))
        return "added"


class Changing(BaseModel):
    """Changes a dictionary of its own at the first dump, while pydantic reads it."""

    content: dict
    times: list

    @field_serializer("times")
    def count(self, times):
        return len(times)


class Key(BaseModel):
    owner: object

    @field_serializer("owner")
    def change(self, owner):
        if not owner.times:
            owner.times.append(1)
            owner.content["new"] = 1
        return "changed"


def growing():
    record = EventRecord()
    record.add(Plain(event_id="first", first=Adding(record=record)))
    record.add(Plain(event_id="second", parent_event_id="first", first=Adding(record=record)))
    return record


def taken(record, function=None):
    config, state = Config(provider=Keeping()), RuntimeState(root=[])
    state._event_record = record
    (function or checkpoint_listener._do_checkpoint)(state, config)
    return json.loads(config.provider.given[-1][0])["event_record"]["nodes"]


def test_crewai_loses_it():
    with pytest.raises(BaseException, match="changed size during iteration"):
        EventRecord.model_dump.__wrapped__(growing(), mode="json")


def test_the_dump_is_of_one_moment():
    assert is_active(EventRecord.model_dump)
    nodes = growing().model_dump(mode="json")["nodes"]
    assert list(nodes) == ["first", "second"]
    assert nodes["first"]["edges"] == {"child": ["second"]}


def test_the_checkpoint_is_of_one_moment():
    assert is_active(checkpoint_listener._do_checkpoint)
    nodes = taken(growing())
    assert list(nodes) == ["first", "second"]
    assert nodes["first"]["edges"] == {"child": ["second"]}


def test_what_changes_under_pydantic_is_dumped_again():
    def changing():
        made = Changing(content={}, times=[])
        made.content |= {"key": Key(owner=made), "other": 1}
        record = EventRecord()
        record.add(Plain(event_id="only", first=made))
        return record

    with pytest.raises(BaseException, match="changed size during iteration"):
        taken(changing(), original_of(checkpoint_listener._do_checkpoint))
    content = taken(changing())["only"]["event"]["first"]["content"]
    assert content == {"key": {"owner": "changed"}, "other": 1, "new": 1}


def test_events_of_a_class_made_later_are_written():
    class Later(BaseEvent):
        type: str = "later"
        value: object = None

    record = EventRecord()
    record.add(Later(event_id="x", value=[1]))
    assert taken(record)["x"]["event"]["value"] == [1]


@pytest.mark.parametrize("name", ["text", "__getattribute__"])
def test_an_answer_whose_class_is_changed_between_two_checkpoints(name):
    def read(answer, field):
        return "other" if field == "text" else object.__getattribute__(answer, field)

    other = {"text": property(lambda _: "other"), "__getattribute__": read}[name]

    def nodes(function=None):
        record = EventRecord()
        record.add(Plain(event_id="only", first=AgentAction("t", "u", "i", "x")))
        before = taken(record, function)["only"]["event"]["first"]
        with patch.object(AgentAction, name, other, create=True):
            return before, taken(record, function)["only"]["event"]["first"]

    ours = nodes()
    assert ours == nodes(original_of(checkpoint_listener._do_checkpoint))
    assert ours[0] != ours[1]


def test_an_answer_whose_class_was_changed_before_us():
    with patch.object(AgentAction, "text", property(lambda _: "other"), create=True):
        assert not Answers().read(AgentAction)
    assert Answers().read(AgentAction)


def test_a_circle_is_the_originals_error():
    """Two ways around it: 2**2000 steps for who doesn't see it."""
    root = {"name": "root"}
    root["children"] = [{"parent": root}, {"parent": root}]
    for function in (None, original_of(checkpoint_listener._do_checkpoint)):
        record = EventRecord()
        record.add(Plain(event_id="only", first=root))
        with pytest.raises(ValueError, match="Circular reference"):
            taken(record, function)


numbers = count()


class Numbered(BaseEvent):
    type: str = "numbered"
    name: Annotated[str, PlainSerializer(lambda _: f"{next(numbers)}")] = "a"
    names: list[Annotated[str, PlainSerializer(lambda _: f"{next(numbers)}")]] = Field(
        default=["b"]
    )


def test_a_type_that_serializes_is_asked_each_time():
    def nodes(function=None):
        global numbers
        numbers = count()
        record = EventRecord()
        record.add(Numbered(event_id="only"))
        found = [taken(record, function)["only"]["event"] for _ in range(3)]
        return [(one["name"], one["names"]) for one in found]

    ours = nodes()
    assert ours == nodes(original_of(checkpoint_listener._do_checkpoint))
    assert ours[2] == ("4", ["5"])


class Score(BaseModel):
    value: float = float("nan")


def test_numbers_that_json_has_not_are_null():
    record = EventRecord()
    record.add(Plain(event_id="only", first=Score(), last=[Score(value=float("inf")), "NaN"]))
    found = taken(record)
    assert found == taken(record, original_of(checkpoint_listener._do_checkpoint))
    assert found["only"]["event"]["last"] == [{"value": None}, "NaN"]


def test_fields_that_swap_their_values():
    def nodes(function=None):
        event = Plain(event_id="only", first=["plain"], last=[Counting()])
        record = EventRecord()
        record.add(event)
        found = [taken(record, function)["only"]["event"]]
        event.first, event.last = event.last, event.first
        found.append(taken(record, function)["only"]["event"])
        event.last.append("more")
        found.append(taken(record, function)["only"]["event"])
        return [(one["first"], one["last"]) for one in found]

    ours = nodes()
    assert ours == nodes(original_of(checkpoint_listener._do_checkpoint))
    assert ours[-1] == ([{"number": 2}], ["plain", "more"])


class Metaclass(type):
    asked = 0

    def __hash__(cls):
        Metaclass.asked += 1
        return 1


def test_no_class_is_asked_for_its_hash():
    def asked(function=None):
        value = Metaclass("Value", (dict,), {})({"a": 1})
        record = EventRecord()
        record.add(Plain(event_id="only", first=value))
        Metaclass.asked = 0
        assert taken(record, function)["only"]["event"]["first"] == {"a": 1}
        return Metaclass.asked

    assert asked() == asked(original_of(checkpoint_listener._do_checkpoint))


class Counting(BaseModel):
    """Another text at each dump, inside of a model of CrewAI's."""

    number: int = 0

    @field_serializer("number")
    def count(self, number):
        self.number += 1
        return number


def test_a_users_serializer_within_crewais_model_is_asked_for_each_event():
    def nodes(function=None):
        counting = Counting()
        output = TaskOutput(description="d", agent="a", json_dict={"a": counting})
        record = EventRecord()
        for name in ("a", "b"):
            record.add(Plain(event_id=name, first=output))
        found = taken(record, function)
        return [found[name]["event"]["first"] for name in ("a", "b")], counting.number

    assert nodes() == nodes(original_of(checkpoint_listener._do_checkpoint))


@pytest.mark.parametrize("what", ["c_make_encoder", "_default_encoder"])
def test_another_encoder_writes_all_of_it(what):
    def text(function):
        config, state = Config(provider=Keeping()), RuntimeState(root=[])
        state._event_record.add(Plain(event_id="only", first="é"))
        function(state, config)
        return config.provider.given[-1][0]

    if what == "c_make_encoder":  # Python's own one, which asks for other quotes
        quotes = patch.object(
            json.encoder, "encode_basestring_ascii", json.encoder.encode_basestring
        )
        other = patch.object(json.encoder, "c_make_encoder", None)
    else:
        quotes = patch.object(json, "_default_encoder", json.JSONEncoder(ensure_ascii=False))
        other = nullcontext()
    with quotes, other:
        found = [text(checkpoint_listener._do_checkpoint)]
        found.append(text(original_of(checkpoint_listener._do_checkpoint)))
    assert all('"first": "é"' in one and "\\u00e9" not in one for one in found)
