"""Schemas of typed dictionaries that are made once are what pydantic makes each time."""

import copy
import re
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

typing_extensions = pytest.importorskip("typing_extensions")
pydantic = pytest.importorskip("pydantic")

from pydantic import BaseModel, ConfigDict, Field  # noqa: E402
from pydantic._internal._config import ConfigWrapper  # noqa: E402
from pydantic._internal._generate_schema import GenerateSchema  # noqa: E402
from pydantic_core import SchemaValidator  # noqa: E402

from fast_crewai.imports import typed_dicts  # noqa: E402

ORIGINAL = GenerateSchema._typed_dict_schema
MODULE = "crewai.rag.embeddings.providers.made.types"
TypedDict: Any = typing_extensions.TypedDict
Required, NotRequired = typing_extensions.Required, typing_extensions.NotRequired


class Known(BaseModel):
    """A model that dictionaries mention."""

    number: int = Field(1, ge=0)


class Plain:
    """A class that pydantic doesn't know."""


FLAT = st.sampled_from(
    [
        *(str, int, float, bool, type(None), Any, list[str], dict[str, Any], dict[str, str] | None),
        *(Literal["a"], Literal["a", 1, None], Literal["b", True], type[Plain], type[int]),
        *(Annotated[str, "large"], Annotated[int, 5], Annotated[bool, False], Annotated[int, None]),
        *(Annotated[int, Field(gt=1)], Known, Known | None, bytes, "int", list["int"], list, dict),
        *(typing.Optional[int], Plain, typing.Callable[[], int], tuple[int, ...]),  # noqa: UP045
    ]
)
OPTIONS = st.sampled_from(({}, {}, {"arbitrary_types_allowed": True}, {"extra": "forbid"}))


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    yield
    assert typed_dicts._batch.known == {} and typed_dicts._batch.generators == []
    assert typed_dicts._batch.depth == 0


@st.composite
def dictionaries(draw: st.DrawFn) -> list[Any]:
    """Classes, of which the later ones mention earlier ones."""
    made: list[Any] = []
    for number in range(draw(st.integers(1, 6))):
        fields: dict[str, Any] = {}
        for name in draw(st.lists(st.sampled_from("abcdef"), max_size=4, unique=True)):
            kind = draw(FLAT)
            if made and draw(st.booleans()):
                one = draw(st.sampled_from(made))
                kind = draw(st.sampled_from((one, list[one], one | None, Annotated[one, "x"])))
            if draw(st.booleans()):
                kind = draw(st.sampled_from((Required, NotRequired)))[kind]
            fields[name] = kind
        cls = TypedDict(f"Made{number}", fields, total=draw(st.booleans()))
        cls.__module__ = draw(st.sampled_from((MODULE, MODULE, MODULE, __name__)))
        if draw(st.integers(0, 9)) == 0:
            cls.__pydantic_config__ = ConfigDict(title="other")
        made.append(cls)
    return made


def shown(schema: Any) -> Any:
    """The schema with the order of its keys; objects by their name."""
    if isinstance(schema, dict):
        return [(key, shown(value)) for key, value in schema.items()]
    if isinstance(schema, (list, tuple)):
        return [type(schema), *map(shown, schema)]
    return re.sub("0x[0-9a-f]+", "#", repr(schema))


def generated(roots: list[Any], options: Any, ours: bool) -> Any:
    """The schema of one model, cleaned; and all that was defined on the way."""
    generator = GenerateSchema(ConfigWrapper(options))
    try:
        if ours:
            with typed_dicts.of_crewai(generator):
                schema = generator.generate_schema(typing.Union[tuple(roots)])  # noqa: UP007
        else:
            schema = generator.generate_schema(typing.Union[tuple(roots)])  # noqa: UP007
        defined = shown(generator.defs._definitions)
        schema = generator.clean_schema(schema)
    except Exception as error:
        return type(error), str(error)
    return shown(schema), defined, schema


@given(dictionaries(), st.data())
def test_as_pydantic(made: list[Any], data: st.DataObject) -> None:
    jobs = data.draw(
        st.lists(
            st.tuples(st.lists(st.sampled_from(made), min_size=1, max_size=3), OPTIONS),
            min_size=2,
            max_size=5,
        )
    )
    plain = [generated(roots, dict(options), ours=False) for roots, options in jobs]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GenerateSchema, "_typed_dict_schema", typed_dicts.remembering(ORIGINAL))
        with typed_dicts.together():
            ours = [generated(roots, dict(options), ours=True) for roots, options in jobs]
        outside = [generated(roots, dict(options), ours=True) for roots, options in jobs]
    for one, other, last in zip(plain, ours, outside, strict=True):
        assert other[:2] == one[:2]
        assert last[:2] == one[:2]
        if len(one) == 3:
            validators = [SchemaValidator(which[2]) for which in (one, other)]
            for value in ({}, {"a": "1"}, {"a": 1, "b": {}, "c": [], "d": None}, {"a": {"b": "x"}}):
                assert tried(validators[1], value) == tried(validators[0], value)
    parts: set[int] = set()
    for answer in ours:  # no model shares a part that pydantic may change with another
        if len(answer) == 3:
            mine = set(inner(answer[2]))
            assert not mine & parts
            parts |= mine


def tried(validator: Any, value: Any) -> Any:
    try:
        return validator.validate_python(copy.deepcopy(value))
    except pydantic.ValidationError as error:
        return str(error)


def inner(schema: Any) -> Iterator[int]:
    """What pydantic has made for typed dictionaries: not what models consist of."""
    if isinstance(schema, dict) and schema.get("type") in ("model", "function-wrap"):
        return
    if isinstance(schema, (dict, list)):
        yield id(schema)
        for part in schema.values() if isinstance(schema, dict) else schema:
            yield from inner(part)


@pytest.mark.parametrize(
    "change",
    [
        lambda cls: cls.__annotations__.update(a=str),
        lambda cls: cls.__annotations__.update(b=str),
        lambda cls: setattr(cls, "__pydantic_config__", ConfigDict(extra="forbid")),
        lambda cls: setattr(cls, "__required_keys__", frozenset()),
        lambda cls: setattr(cls, "__module__", "other"),
    ],
)
def test_a_class_that_changes(change: Any) -> None:
    cls = TypedDict("cls", {"a": int})
    cls.__module__ = MODULE
    with pytest.MonkeyPatch.context() as patch, typed_dicts.together():
        patch.setattr(GenerateSchema, "_typed_dict_schema", typed_dicts.remembering(ORIGINAL))
        generated([cls], {}, ours=True)
        assert cls in typed_dicts._batch.known
        change(cls)
        assert generated([cls], {}, True)[:2] == generated([cls], {}, False)[:2]


def test_a_schema_with_the_settings_of_another_class() -> None:
    """A class within another has its settings; they aren't those that it has alone."""
    within = TypedDict("within", {"a": str})
    outer = TypedDict("outer", {"b": within})
    within.__module__ = outer.__module__ = MODULE
    outer.__pydantic_config__ = ConfigDict(title="other")
    with pytest.MonkeyPatch.context() as patch, typed_dicts.together():
        patch.setattr(GenerateSchema, "_typed_dict_schema", typed_dicts.remembering(ORIGINAL))
        generated([outer, within], {}, ours=True)
        assert generated([within], {}, True)[:2] == generated([within], {}, False)[:2]


def test_it_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def made(self: Any, cls: Any, origin: Any) -> Any:
        calls.append(cls)
        return ORIGINAL(self, cls, origin)

    monkeypatch.setattr(GenerateSchema, "_typed_dict_schema", typed_dicts.remembering(made))
    inner_one = TypedDict("inner_one", {"a": int})
    outer = TypedDict("outer", {"b": inner_one, "c": Literal["x"]})
    inner_one.__module__ = outer.__module__ = MODULE
    with typed_dicts.together():
        for options in ({}, {}, {"arbitrary_types_allowed": True}):
            generated([outer], options, ours=True)
        assert calls == [outer, inner_one]
        generated([outer], {"extra": "allow"}, ours=True)
        generated([outer], {}, ours=False)
        assert calls == [outer, inner_one] * 3
