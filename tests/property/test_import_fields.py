"""Fields that are copied from a model's base are those that pydantic makes for it."""

from __future__ import annotations

import re
import sys
import textwrap
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_crewai.imports import fields

construction = pytest.importorskip("pydantic._internal._model_construction")

HEAD = """
import abc, typing, functools
from typing import Annotated, Any, ClassVar, Final, Generic, List, Literal, Optional, TypeVar, Union
import pydantic, typing as t
from pydantic import (AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr,
    RootModel, computed_field, field_validator)
T = TypeVar("T")
class Mixin:
    shared = 3
    def method(self): ...
class Base(BaseModel):
    a: int = 1
    b: Optional[str] = Field(default=None, description="b", examples=["x"])
    c: ClassVar[int] = 5
    d: Annotated[List[int], Field(min_length=1)] = [1]
    later: "Optional[Later]" = None
    e: Any
    _p: int = 3
    _q: ClassVar[str] = "q"
"""
NAMES = ("a", "b", "c", "d", "e", "f", "later", "shared", "method", "_p", "_q", "_r", "x")
NAMES += ("model_config", "model_dump_it", "copy", "json", "class_", "root")
TYPES = ("int", "str", "Optional[int]", "'Later'", "Any", "ClassVar[int]", "t.ClassVar[int]")
TYPES += ("Annotated[int, Field(gt=0)]", "Annotated[str, BeforeValidator(str)]", "Literal['a']")
TYPES += ("Final[int]", "Annotated[ClassVar[int], 3]", "list[dict[str, 'Later']]", "T", "Missing")
TYPES += (
    "typing.Final",
    "'ClassVar[int]'",
    "ClassVar['Missing']",
    "Base",
    "Annotated[Final[int], 3]",
)
VALUES = ("", "3", "None", "Field()", "Field(default=4, title='t')", "Field(default_factory=list)")
VALUES += (
    "Field(alias='z', frozen=True)",
    "PrivateAttr(3)",
    "functools.partial(int)",
    "property()",
)
VALUES += ("Field(field_title_generator=lambda name, info: name.upper())", "Field(exclude=True)")
CONFIGS = ("arbitrary_types_allowed=True", "title='t'", "extra='allow'", "protected_namespaces=()")
CONFIGS += ("alias_generator=str.upper", "use_attribute_docstrings=True", "frozen=True")
CONFIGS += ("protected_namespaces=('f', 'x')", "defer_build=True", "ignored_types=(property,)")
CONFIGS += ("field_title_generator=lambda name, info: name.title()",)
METHODS = (
    "@field_validator('a')\n    @classmethod\n    def check(cls, value): return value",
    "@computed_field\n    @property\n    def whole(self) -> int: return 1",
    "@computed_field\n    @property\n    def a(self) -> int: return 1",
    "def f(self): ...",
    "a = 7",
    "e = property(lambda self: 1)",
    "shared = 5",
)

members = st.one_of(
    st.builds(
        lambda name, kind, value: f"{name}: {kind}" + (f" = {value}" if value else ""),
        st.sampled_from(NAMES),
        st.sampled_from(TYPES),
        st.sampled_from(VALUES),
    ),
    st.sampled_from(METHODS),
    st.builds(
        lambda options: f"model_config = ConfigDict({', '.join(options)})",
        st.lists(st.sampled_from(CONFIGS), unique_by=lambda text: text.partition("=")[0]),
    ),
)


@st.composite
def programs(draw: st.DrawFn) -> str:
    """Statements that define models, most of them with one base."""
    known = ["Base"]
    lines = ["from __future__ import annotations" if draw(st.booleans()) else "", HEAD]
    for number in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from((f"Model{number}", "Later")))
        bases = draw(
            st.one_of(
                st.sampled_from(known),
                st.sampled_from(known),
                st.sampled_from(("BaseModel", "BaseModel, abc.ABC", "RootModel[int]")),
                st.builds("{}, Mixin".format, st.sampled_from(known)),
                st.builds("{}, Generic[T]".format, st.sampled_from(known)),
                st.builds("Mixin, {}".format, st.sampled_from(known)),
            )
        )
        body = draw(st.lists(members, max_size=5)) or ["pass"]
        lines += [f"class {name}({bases}):", *(f"    {line}" for line in body)]
        known.append(name)
    return "\n".join(lines)


@contextmanager
def ours() -> Iterator[list[bool]]:
    """Pydantic collects fields as in CrewAI's import; → which classes were copied from."""
    used: list[bool] = []
    look = fields._inherited

    def inherited(*given: Any) -> Any:
        found = look(*given)
        used.append(found is not None)
        return found

    collect = fields.collector(construction.collect_model_fields, lambda cls: True)
    with (
        mock.patch.object(construction, "collect_model_fields", collect),
        mock.patch.object(fields, "_inherited", inherited),
    ):
        yield used


def without_addresses(text: str) -> str:
    return re.sub("0x[0-9a-f]+|:[0-9]{8,}", "#", text)


def shown(value: Any) -> str:
    return without_addresses(repr(value))


def of_field(field: Any) -> list[tuple[str, str]]:
    slots = [name for name in type(field).__slots__ if hasattr(field, name)]
    return [(name, shown(getattr(field, name))) for name in slots]


def of_model(cls: Any) -> list[Any]:
    fields = {name: of_field(field) for name, field in cls.__pydantic_fields__.items()}
    names = {n: shown(v) for n, v in vars(cls).items() if not n.startswith("__pydantic_")}
    return [
        [*fields.items()],
        sorted(cls.__class_vars__),
        shown(cls.__private_attributes__),
        [*names.items()],
        cls.__pydantic_complete__,
        shown(cls.__pydantic_core_schema__),
    ]


def outcome(program: str) -> list[Any]:
    """What a program that defines models does and makes."""
    module = types.ModuleType("models")
    made: list[Any] = []
    with (
        warnings.catch_warnings(record=True) as warned,
        mock.patch.dict(sys.modules, {"models": module}),
    ):
        warnings.simplefilter("always")
        try:
            exec(compile(program, "models.py", "exec", dont_inherit=True), vars(module))
        except Exception as error:
            made.append((type(error), without_addresses(str(error))))
        classes = [held for held in vars(module).values() if hasattr(held, "__pydantic_fields__")]
        models = [cls for cls in classes if cls.__module__ == "models"]
        made += [of_model(cls) for cls in models]
        for model in models:  # a copied list or set is nobody else's
            for field in model.__pydantic_fields__.values():
                field.metadata.append(model.__name__)
                field._qualifiers.add(model.__name__)
                field._attributes_set[model.__name__] = 1
        made += [of_model(cls)[0] for cls in models]
    made += [(w.category, str(w.message), w.filename, w.lineno) for w in warned]
    return made


@settings(max_examples=400, deadline=None)
@given(programs())
def test_models_are_the_same(program: str) -> None:
    plain = outcome(program)
    with ours():
        assert outcome(program) == plain


CASES = {
    "a final class variable": """
        class One(Base):
            f: Final[int] = 3
        class Two(One):
            g: int = 1
    """,
    "two models": """
        class One(BaseModel):
            f: int = 1
            a: str = "x"
        class Two(One, Base):
            pass
        class Three(Two):
            x: int
    """,
    "a computed field of a field's name": """
        class One(Base):
            f: int
        class Two(One):
            @computed_field
            @property
            def f(self) -> int: return 1
    """,
    "a title generator of the base's field": """
        class One(Base):
            f: int = Field(default=1, field_title_generator=lambda name, info: name.upper())
            g: Missing = Field(default=1, field_title_generator=lambda name, info: name.upper())
        class Two(One):
            pass
    """,
    "warnings, in the order of the names": """
        class One(Mixin, BaseModel):
            shared: int
            method: int
        class Two(One):
            h: int
            method: Final[int] = 1
            shared: Final[int] = 2
    """,
    "fields that can be evaluated later": """
        class One(Base):
            f: "Later"
        class Later(One):
            g: "One"
        One.model_rebuild()
        class Two(One):
            pass
    """,
}


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_the_same(name: str) -> None:
    program = f"{HEAD}{textwrap.dedent(CASES[name])}"
    plain = outcome(program)
    with ours():
        assert outcome(program) == plain


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_a_plain_subclass_is_copied_from_its_base(future: str) -> None:
    program = f"{future}{HEAD}class Mine(Base):\n    b: str = 'x'\n    f: int\n"
    plain = outcome(program)
    with ours() as used:
        assert outcome(program) == plain
    assert used == [False, True]  # Base itself has none to copy from


def test_a_warning_points_where_pydantics_does() -> None:
    program = (
        f"{HEAD}class Mine(Base):\n    method: int\nclass Two(Mixin, BaseModel):\n    method: int\n"
    )
    plain = outcome(program)
    line = program.splitlines().index("class Two(Mixin, BaseModel):") + 1
    assert plain[-1][2:] == ("models.py", line)
    with ours():
        assert outcome(program) == plain
