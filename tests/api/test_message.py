"""AgentMessage and RustSerializer: Rust and Python do the same, and what JSON says."""

import copy
import json
import pickle
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fast_crewai.errors import SerializationError
from fast_crewai.serialization import AcceleratedMessage, AgentMessage, RustSerializer

SIDES = (True, False)
anything = st.text(st.characters(exclude_categories=()), max_size=30)  # surrogates, too
stamps = st.integers(0, 2**64 - 1)
fields = st.fixed_dictionaries(
    {"id": anything, "sender": anything, "recipient": anything, "content": anything}
    | {"timestamp": stamps}
)
NAMES = ("id", "sender", "recipient", "content", "timestamp")


def outcome(call: Any, *arguments: Any, **named: Any) -> Any:
    try:
        return "returned", call(*arguments, **named)
    except SerializationError as error:
        return "raised", error.kind, error.field, error.index
    except TypeError as error:
        return "TypeError", str(error)


def values(message: Any) -> dict[str, Any]:
    return {name: getattr(message, name) for name in NAMES}


def both(call: Any, *arguments: Any) -> Any:
    rust, python = (outcome(call, *arguments, use_rust=side) for side in SIDES)
    if rust[0] == python[0] == "returned" and not isinstance(rust[1], str):
        rust, python = ("returned", values(rust[1])), ("returned", values(python[1]))
    assert rust == python, (arguments, rust, python)
    return rust


@given(fields)
def test_written_and_read(data: dict[str, Any]) -> None:
    rust, python = (AgentMessage(**data, use_rust=side) for side in SIDES)
    assert (rust.implementation, python.implementation) == ("rust", "python")
    assert rust.to_json() == python.to_json()
    assert values(rust) == values(python) == data
    assert repr(rust) == repr(python) and hash(rust) == hash(python)
    text = rust.to_json()
    text.encode()  # valid Unicode always
    expected = json.loads(json.dumps(data))  # pairs of surrogates become one character
    assert json.loads(text) == expected
    assert both(AgentMessage.from_json, text) == ("returned", expected)
    assert both(AgentMessage.from_json, json.dumps(data, indent=1)) == ("returned", expected)


@given(fields)
def test_an_object_of_its_own(data: dict[str, Any]) -> None:
    for side in SIDES:
        message, same = (AgentMessage(**data, use_rust=side) for _ in range(2))
        assert message == same and len({message, same}) == 1
        assert message != AgentMessage(
            **{**data, "timestamp": data["timestamp"] ^ 1}, use_rust=side
        )
        assert message != 1
        assert isinstance(message, AgentMessage) and isinstance(message, AcceleratedMessage)
        assert not isinstance("text", AgentMessage)
        for other in (copy.copy(message), copy.deepcopy(message)):
            assert values(other) == data
        assert values(pickle.loads(pickle.dumps(message))) == data
        with pytest.raises(AttributeError):
            message.id = "2"


values_of_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | anything,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(NAMES) | anything
documents = st.lists(st.tuples(keys, st.one_of(anything, stamps, values_of_json)), max_size=9)


@given(documents, st.booleans())
def test_documents_of_any_kind(items: list[tuple[str, Any]], complete: bool) -> None:
    if complete:
        items = [*items, *zip(NAMES, ["1", "a", "b", "c", 5], strict=True)]
    text = "{" + ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in items) + "}"
    both(AgentMessage.from_json, text)
    both(AgentMessage.from_json, text.encode())


PIECES = [*'{}[],:" \\\n\x01é', "id", '"id":', '"1"', "\\u", "\\ud800", "NaN", "-0", "1e5", "0.5"]
VALID = '{"id":"1","sender":"a","recipient":"b","content":"c","timestamp":5}'


@given(st.data())
def test_damaged_documents(data: st.DataObject) -> None:
    text = VALID
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 3))
        text = text[:at] + data.draw(st.sampled_from(["", *PIECES])) + text[at + cut :]
    both(AgentMessage.from_json, text)


def with_timestamp(text: str) -> str:
    return VALID.replace(":5", ":" + text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("syntax", None)),
        ("[1,", ("syntax", None)),
        ("[1]", ("type", None)),
        ("null", ("type", None)),
        ("\ud800", ("syntax", None)),
        (b"\xff", ("syntax", None)),
        ("\ufeff" + VALID, ("syntax", None)),
        (VALID + "x", ("syntax", None)),
        (VALID.replace('"a"', '"\x00"'), ("syntax", None)),
        ('{"id": NaN}', ("syntax", None)),
        ('{"id": 1, "x": -Infinity}', ("syntax", None)),
        ('{"id": "1"}', ("missing", "sender")),
        ('{"id": 1}', ("type", "id")),
        (with_timestamp("1.0"), ("type", "timestamp")),
        (with_timestamp("true"), ("type", "timestamp")),
        (with_timestamp("-1"), ("range", "timestamp")),
        (with_timestamp("18446744073709551616"), ("range", "timestamp")),
        (with_timestamp("9" * 5000), ("range", "timestamp")),
        (f'{{"x": {"[" * 200}{"]" * 200}}}', ("syntax", None)),
        (f'{{"x": {"[" * 199}{"]" * 199}}}', ("missing", "id")),
        (f'{{"x": {"[" * 100_000}{"]" * 100_000}}}', ("syntax", None)),
        (f'{{"id": "{"[" * 300}"}}', ("missing", "sender")),
    ],
)
def test_what_is_wrong(text: Any, expected: tuple[str, str | None]) -> None:
    assert both(AgentMessage.from_json, text) == ("raised", *expected, None)


def test_numbers_that_are_right() -> None:
    assert both(AgentMessage.from_json, with_timestamp("-0"))[1]["timestamp"] == 0
    assert both(AgentMessage.from_json, with_timestamp(str(2**64 - 1)))[1]["timestamp"] == 2**64 - 1


class Role(str, Enum):
    ASSISTANT = "assistant"


odd = st.one_of(
    anything,
    st.integers(),
    st.none(),
    st.booleans(),
    st.floats(),
    st.binary(),
    st.just(Role.ASSISTANT),
)


@given(odd, odd, odd, odd, odd)
def test_arguments_of_any_kind(a: Any, b: Any, c: Any, d: Any, e: Any) -> None:
    both(AgentMessage, a, b, c, d, e)


def test_a_subclass_of_str_is_its_text() -> None:
    for side in SIDES:
        message = AgentMessage("1", Role.ASSISTANT, "b", "c", 1, use_rust=side)
        assert message.sender == "assistant" and type(message.sender) is str


@given(st.lists(fields, max_size=5))
def test_batches(batch: list[dict[str, Any]]) -> None:
    rust, python = (RustSerializer(use_rust=side) for side in SIDES)
    texts = rust.serialize_batch(batch)
    assert texts == python.serialize_batch(batch)
    assert texts == [AgentMessage(**data).to_json() for data in batch]
    for side in SIDES:
        messages = [AgentMessage(**data, use_rust=side) for data in batch]
        assert rust.serialize_batch(messages) == python.serialize_batch(iter(messages)) == texts
    found = rust.deserialize_batch(texts)
    assert found == python.deserialize_batch(texts) == [json.loads(text) for text in texts]


@pytest.mark.parametrize("side", SIDES)
def test_a_bad_one_in_a_batch(side: bool) -> None:
    serializer = RustSerializer(use_rust=side)
    good = {"id": "1", "sender": "a", "recipient": "b", "content": "c", "timestamp": 5, "x": 1}
    assert outcome(serializer.serialize_batch, [good, {**good, "timestamp": -1}]) == (
        "raised",
        "range",
        "timestamp",
        1,
    )
    assert outcome(serializer.serialize_batch, [{"id": "1"}])[1:] == ("missing", "sender", 0)
    assert outcome(serializer.serialize_batch, [5]) == (
        "TypeError",
        "not an AgentMessage or dict: int",
    )
    assert outcome(serializer.deserialize_batch, [VALID, "{"])[1:] == ("syntax", None, 1)
    assert outcome(serializer.deserialize_batch, [5]) == (
        "TypeError",
        "JSON is str or bytes, not int",
    )


def test_it_is_not_a_base_class() -> None:
    with pytest.raises(TypeError, match="subclassed"):

        class Own(AgentMessage):
            pass
