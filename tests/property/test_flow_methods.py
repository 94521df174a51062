"""What flows' decorators make of a method is what pydantic makes of the same values."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("crewai")

from crewai.flow.flow_definition import FlowCodeActionDefinition, FlowMethodDefinition
from pydantic import BaseModel, ValidationError

from fast_crewai.imports import flow_methods

REAL = FlowMethodDefinition.__pydantic_validator__


class Text(str):
    pass


class Mine(FlowMethodDefinition):
    pass


class Code(FlowCodeActionDefinition):
    pass


class Waiting:
    """What is asked of a class that waits; counts how often pydantic had to be asked."""

    cls = FlowMethodDefinition
    asked = 0

    def value(self, name: str) -> Any:
        assert name == "__pydantic_validator__"
        self.asked += 1
        return REAL


NAMES = st.text(max_size=3) | st.builds(Text)
ODD = st.none() | st.integers(0, 2) | st.binary(max_size=2) | st.just("yes") | st.just(("a",))
CONDITIONS = st.recursive(
    NAMES, lambda c: st.dictionaries(NAMES | st.integers(), st.lists(c, max_size=2), max_size=2)
)
ACTIONS = (
    st.builds(FlowCodeActionDefinition, ref=st.just("a:b"))
    | st.builds(Code, ref=st.just("a:b"))
    | st.sampled_from([{"call": "code", "ref": "a:b"}, {"call": "none"}, None, "a:b"])
)
DATA = st.fixed_dictionaries(
    {},
    optional={
        "emit": st.lists(NAMES | st.integers(), max_size=3) | ODD,
        "listen": CONDITIONS | ODD,
        "do": ACTIONS,
        "router": st.booleans() | ODD,
        "start": st.booleans() | CONDITIONS | ODD,
        "description": NAMES | ODD,
        "human_feedback": st.just({"message": "m", "emit": ["a"], "llm": "gpt-4o"}) | ODD,
        "persist": st.just({"enabled": True}) | ODD,
        "other": ODD,
    },
)


def made(validator: Any, cls: type, data: dict[str, Any]) -> Any:
    instance = cls.__new__(cls)
    try:
        assert validator.validate_python(data, self_instance=instance) is instance
    except ValidationError as error:
        return error.title, error.errors(include_url=False)
    slots = [object.__getattribute__(instance, name) for name in BaseModel.__slots__]
    values = slots[0]
    same = [name for name, value in data.items() if values.get(name) is value]
    inner = [type(item) for value in (values["emit"], values["listen"]) for item in value or ()]
    return slots, [*values], [*slots[1]], [type(value) for value in values.values()], same, inner


@settings(max_examples=400)
@given(DATA, st.sampled_from([FlowMethodDefinition, FlowMethodDefinition, Mine]), st.randoms())
def test_it_makes_what_pydantic_makes(data: dict[str, Any], cls: type, random: Any) -> None:
    names = [*data]
    random.shuffle(names)
    data = {name: data[name] for name in names}
    waiting: Any = Waiting()
    ours = flow_methods.Validator(waiting, FlowCodeActionDefinition)
    assert made(ours, cls, data) == made(REAL, cls, data)


@pytest.mark.parametrize(
    "data",
    [
        {"start": True},
        {"start": "a"},
        {"listen": {"or": ["a", "b"]}, "router": True, "emit": ["c"]},
    ],
)
def test_pydantic_is_not_asked_for_what_decorators_give(data: dict[str, Any]) -> None:
    waiting: Any = Waiting()
    ours = flow_methods.Validator(waiting, FlowCodeActionDefinition)
    data["do"] = FlowCodeActionDefinition(ref="a:b")
    assert made(ours, FlowMethodDefinition, data) == made(REAL, FlowMethodDefinition, data)
    assert waiting.asked == 0


def test_a_class_with_other_fields_has_pydantics() -> None:
    waiting: Any = Waiting()
    waiting.fields = FlowMethodDefinition.model_fields
    assert flow_methods.validator(FlowMethodDefinition, waiting) is not None
    assert flow_methods.validator(Mine, waiting) is None
    waiting.fields = {**waiting.fields, "more": None}
    assert flow_methods.validator(FlowMethodDefinition, waiting) is None
