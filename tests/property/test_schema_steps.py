"""Pydantic's slow steps and ours give the same of the same schema, to the same objects."""

import functools
import inspect
import uuid
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic._internal import _fields, _schema_gather

from fast_crewai import _core
from fast_crewai.imports import schema_steps

GATHER = _schema_gather.gather_schemas_for_cleaning
TAKES = _fields.takes_validated_data_argument
REFS = st.sampled_from(["a:1", "b:2", "c:3"])
PARTS = {
    "any": (),
    "definitions": ("schema", "definitions*"),
    "list": ("items_schema?",),
    "set": ("items_schema?",),
    "frozenset": ("items_schema?",),
    "generator": ("items_schema?",),
    "tuple": ("items_schema*?",),
    "dict": ("keys_schema?", "values_schema?"),
    "chain": ("steps*",),
    "lax-or-strict": ("lax_schema", "strict_schema"),
    "json-or-python": ("json_schema", "python_schema"),
    "model-fields": ("extras_schema?", "computed_fields*?", "fields%"),
    "typed-dict": ("extras_schema?", "computed_fields*?", "fields%"),
    "dataclass-args": ("computed_fields*?", "fields*"),
    "tagged-union": ("choices%",),
    "arguments": ("arguments_schema@", "var_args_schema?", "var_kwargs_schema?"),
    "arguments-v3": ("arguments_schema@", "var_args_schema?"),
    "call": ("arguments_schema", "return_schema?"),
    "computed-field": ("return_schema",),
    "function-before": ("schema?", "json_schema_input_schema?", "return_schema?"),
    "function-after": ("schema", "json_schema_input_schema?"),
    "function-plain": ("return_schema?", "json_schema_input_schema?", "schema?"),
    "function-wrap": ("return_schema?", "schema?", "json_schema_input_schema?"),
    "nullable": ("schema",),
    "model": ("schema", "items_schema?"),
}
METADATA = st.sampled_from(
    [None, {}, {"other": 1}, {"pydantic_internal_union_discriminator": "kind"}, "text", [1]]
)


def _part(inner: st.SearchStrategy[Any], kind: str) -> st.SearchStrategy[Any]:
    if kind == "*":
        return st.lists(inner, max_size=3)
    if kind == "%":
        return st.dictionaries(st.sampled_from("xyz"), inner, max_size=3)
    if kind == "@":
        return st.lists(st.fixed_dictionaries({"name": st.just("n"), "schema": inner}), max_size=2)
    return inner


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    kinds = []
    for name, parts in PARTS.items():
        needed: dict[str, Any] = {"type": st.just(name)}
        optional: dict[str, Any] = {"metadata": METADATA, "serialization": inner}
        for part in parts:
            key = part.rstrip("?*%@")
            kind = part[len(key) :]
            (optional if "?" in kind else needed)[key] = _part(inner, kind.rstrip("?"))
        kinds.append(st.fixed_dictionaries(needed, optional=optional))
    choices = st.lists(st.one_of(inner, st.tuples(inner, st.just("tag"))), max_size=3)
    kinds.append(st.fixed_dictionaries({"type": st.just("union"), "choices": choices}))
    return st.one_of(kinds)


LEAVES = st.one_of(
    st.fixed_dictionaries({"type": st.just("int")}, optional={"metadata": METADATA}),
    st.fixed_dictionaries(
        {"type": st.just("definition-ref"), "schema_ref": REFS}, optional={"metadata": METADATA}
    ),
)
ODD = st.sampled_from(
    [
        *(None, 3, {}, {"type": 3}, {"type": "list", "items_schema": None}, {"type": "union"}),
        *({"type": "definition-ref"}, {"type": "definition-ref", "schema_ref": 3}),
        OrderedDict(type="int"),
    ]
)
SCHEMAS = st.recursive(LEAVES, _schemas, max_leaves=12)
MAYBE_ODD = st.recursive(st.one_of(LEAVES, LEAVES, ODD), _schemas, max_leaves=12)


def _outcome(function: Callable[..., Any], *given: Any) -> Any:
    try:
        return function(*given)
    except Exception as error:
        return type(error), str(error)


def _same(first: Any, second: Any) -> None:
    assert first == second
    if isinstance(first, dict):
        assert list(first) == list(second)
        a, b = (list(found["collected_references"].items()) for found in (first, second))
        assert [(name, id(schema)) for name, schema in a] == [(name, id(s)) for name, s in b]
        key = "deferred_discriminator_schemas"
        assert [*map(id, first[key])] == [*map(id, second[key])]


@settings(max_examples=400)
@given(schema=SCHEMAS, known=st.dictionaries(REFS, SCHEMAS, min_size=3))
def test_plain_schemas_are_walked_natively(schema: Any, known: Any) -> None:
    theirs = _outcome(GATHER, schema, known)
    if isinstance(theirs, dict) and _is_plain([schema, *known.values()]):
        found = _core.gather_schemas(schema, known)
        names = ("collected_references", "deferred_discriminator_schemas")
        _same(theirs, dict(zip(names, found, strict=True)))


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        plain = not isinstance(value.get("metadata"), str | list)
        return plain and all(map(_is_plain, value.values()))
    return all(map(_is_plain, value)) if isinstance(value, list | tuple) else True


@settings(max_examples=400)
@given(schema=MAYBE_ODD, known=st.dictionaries(REFS, MAYBE_ODD))
def test_whatever_it_is(schema: Any, known: Any) -> None:
    ours = schema_steps.gather_schemas_for_cleaning(GATHER)
    _same(_outcome(GATHER, schema, known), _outcome(ours, schema, definitions := known))
    assert definitions is known


@pytest.mark.parametrize("levels", [140, 160, 3000])
def test_deep_schemas(levels: int) -> None:
    schema: Any = {"type": "int"}
    for _ in range(levels):
        schema = {"type": "nullable", "schema": schema}
    ours = schema_steps.gather_schemas_for_cleaning(GATHER)
    _same(_outcome(GATHER, schema, {}), _outcome(ours, schema, {}))
    if levels > 150:
        with pytest.raises(_core.Declined):
            _core.gather_schemas(schema, {})


def test_a_schema_that_contains_itself() -> None:
    schema: dict[str, Any] = {"type": "nullable"}
    schema["schema"] = schema
    ours = schema_steps.gather_schemas_for_cleaning(GATHER)
    assert _outcome(ours, schema, {})[0] is RecursionError


class _Meta(type):
    def __hash__(cls) -> int:
        raise AssertionError("nobody asks for it")


class _Own(metaclass=_Meta):
    def __init__(self, data: object) -> None: ...


class _List(list[int]):
    pass


def _takes(data: object) -> None: ...
def _takes_none() -> None: ...


FACTORIES: list[Any] = [
    *(dict, list, set, tuple, frozenset, int, float, str, bool, bytes, object, type, complex),
    *(OrderedDict, defaultdict, uuid.uuid4, _Own, _List, _takes, _takes_none, print, len, 3),
    *(functools.partial(_takes, 1), functools.partial(_takes), lambda: 3, lambda data: data),
    *(list.append, [].append, pydantic.BaseModel, None),
]


@pytest.mark.parametrize("factory", FACTORIES, ids=range(len(FACTORIES)))
def test_factories_that_take_what_is_validated(factory: Any) -> None:
    ours = schema_steps.takes_validated_data_argument(TAKES)
    expected = _outcome(TAKES, factory)
    assert [_outcome(ours, factory) for _ in range(3)] == [expected] * 3


def test_the_signatures_of_known_classes_cannot_change() -> None:
    for factory in schema_steps._FACTORIES:
        with pytest.raises(TypeError):
            factory.__signature__ = inspect.Signature()  # type: ignore[attr-defined]
