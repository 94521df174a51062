"""Models of tool arguments, and what users do to them between two renderings."""

import copy
import datetime
import enum
import re
import uuid
import warnings
from typing import Annotated, Any, Generic, Literal, TypeVar

from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, create_model


class Colour(enum.Enum):
    """What it is painted with."""

    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    """Where it is."""

    x: int = 0
    y: float = Field(default=0.5, ge=0, description="height")


class Tree(BaseModel):
    value: str
    children: list["Tree"] = []


T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    """Holds one thing."""

    held: T
    label: str | None = None


class Own(BaseModel):
    """Makes its schema itself."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        return {**handler(schema), "own": True}


TYPES = [
    str, int, float, bool, Any, None, datetime.date, datetime.datetime, uuid.UUID,
    list, list[int], list[Point], dict[str, Any], dict[str, Point], set[str], tuple[int, str],
    tuple[int, ...], str | None, int | str | None, Point, Point | None, Tree, Tree | Point,
    Literal["a"], Literal["a", 1, True], Literal["a", None], Box[int], Box[Point],
    Annotated[str, Field(min_length=1, pattern="^a")], Annotated[int, Field(ge=1, lt=9)],
    Annotated[str, BeforeValidator(str)], Annotated[list[int], AfterValidator(list)],
]  # fmt: skip
ODD_TYPES = [Colour, Own, bytes, Annotated[str, Field(json_schema_extra=lambda s: s.clear())]]

words = st.text("ab é\n'\"{}\\", max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, -0.0, 1.0]) | words,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "format", "anyOf", "items", "additionalProperties", "z"]),
            inner | st.sampled_from(["object", "email", "date"]),
            max_size=3,
        )
    ),
    max_leaves=5,
)
defaults = (
    st.just(...)
    | st.just(...)
    | plain
    | plain
    | st.sampled_from([Colour.RED, (1, "a"), {1: 2}, float("inf")])
)
contents = st.dictionaries(
    st.sampled_from(["type", "zz", "examples", "$ref"]), plain, min_size=1, max_size=2
)
extras = st.none() | contents
fields = st.tuples(
    st.sampled_from(TYPES * 6 + ODD_TYPES), defaults, st.none() | words, extras, st.none() | words
)
configs = st.fixed_dictionaries(
    {},
    optional={
        "title": words,
        "extra": st.sampled_from(["allow", "forbid", "ignore"]),
        "json_schema_extra": contents,
        "arbitrary_types_allowed": st.booleans(),
        "use_attribute_docstrings": st.booleans(),
    },
)
names = st.sampled_from(["query", "n", "output", "a_b", "$ref", "properties"])
composites = st.builds(
    "Tool Name: {0}\nTool Arguments: {{}}\nTool Description: {1}".format, words, words
)
steps = st.tuples(
    st.sampled_from(
        [
            "nothing", "describe", "describe", "describe and rebuild", "doc", "doc", "name", "name",
            "config", "extra",
            "default", "result", "override", "core schema", "nested doc", "nested rebuild",
            "deprecated", "subclass", "generator",
        ]
    ),
    words,
    st.integers(0, 3),
)  # fmt: skip
programs = st.tuples(
    st.sampled_from(["Args", "Output"]),
    st.none() | words,
    st.dictionaries(names, fields, max_size=4),
    configs,
    st.booleans(),
    st.lists(steps, max_size=4),
)


def build(name: str, doc: str | None, spec: Any, config: Any, nested: bool) -> Any:
    """A new model each time, and the containers its user still holds."""
    held = []
    made: dict[str, Any] = {}
    for key, (kind, default, description, extra, title) in spec.items():
        default, extra = copy.deepcopy((default, extra))
        held += [thing for thing in (default, extra) if isinstance(thing, (list, dict))]
        options = {"description": description, "json_schema_extra": extra, "title": title}
        made[key] = (kind, Field(default, **options))
    config = copy.deepcopy(config)
    held += [config["json_schema_extra"]] if "json_schema_extra" in config else []
    own = create_model("Own", n=(int, Field(1, description="one")))
    if nested:
        made["own"] = (list[own], Field(default_factory=list))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = create_model(name, __config__=ConfigDict(**config), __doc__=doc, **made)
    return model, own, held


def change(model: Any, own: Any, held: list[Any], step: str, word: str, number: int) -> Any:
    """One thing a user does; returns the model to render from now on."""
    field = next(iter(model.model_fields.values()), None)
    if step.startswith("describe") and field is not None:
        field.description = word
    if step == "describe and rebuild":
        model.model_rebuild(force=True)
    elif step == "doc":
        model.__doc__ = word or None
    elif step == "name":
        model.__name__ = word
    elif step == "config":
        model.model_config["title" if number % 2 else "extra"] = word
    elif step in ("extra", "default"):
        for container in held[number % len(held) :][:1] if held else ():
            if isinstance(container, dict):
                container[word] = [True, 1, 1.0, {"type": "object"}][number]
            elif container and type(container[0]) in (bool, int):
                container[0] = float(container[0]) if number else int(container[0])
            else:
                container.append(word)
    elif step == "override":
        model.model_json_schema = classmethod(lambda cls, **options: {"title": word})
    elif step == "core schema":
        found = model.__pydantic_core_schema__
        if found["type"] == "model":
            found["schema"]["fields"].pop(next(iter(found["schema"]["fields"]), None), None)
    elif step == "nested doc":
        own.__doc__ = word
    elif step == "nested rebuild":
        own.model_fields["n"].description = word
        own.model_rebuild(force=True)
        model.model_rebuild(force=bool(number))
    elif step == "deprecated":
        model.__deprecated__ = word
    elif step == "subclass":
        return create_model(model.__name__, __base__=model, **{f"more{number}": (int, 3)})
    elif step == "generator":
        model.model_config["model_title_generator"] = lambda cls: word
    return model


def spoil(value: Any) -> None:
    """What the worst caller does to a result."""
    if isinstance(value, dict):
        for inner in list(value.values()):
            spoil(inner)
        value.clear()
    elif isinstance(value, list):
        for inner in value:
            spoil(inner)
        value.append("spoilt")


def render(call: Any, program: Any) -> Any:
    """All that a program of renderings and changes shows; ``call(model)`` renders."""
    name, doc, spec, config, nested, todo = program
    try:
        model, own, held = build(name, doc, spec, config, nested)
    except Exception as error:
        return type(error)
    seen: list[Any] = []
    for step, word, number in [("nothing", "", 0), *todo]:
        try:
            model = change(model, own, held, step, word, number)
        except Exception as error:
            seen.append(type(error))
        for _ in range(3):
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                try:
                    result = call(model)
                    seen.append(repr(result))
                    spoil(result)
                except Exception as error:
                    seen.append((type(error), str(error)))
            seen.append([(w.category, str(w.message)) for w in warned])
            seen.append(repr(held))
    return re.sub(r"\b\d{12,}\b|0x[0-9a-f]+", "ID", repr(seen))
