"""The schemas of the embedders' typed dictionaries are made once for models built together.

A crew, an agent and what belongs to them have a field for the embedder each: 40 typed dictionaries,
whose schemas pydantic makes anew for each of the models. Building CrewAI's models, which waited for
that, here makes them once, and the other models get copies.

That holds for dictionaries that consist of nothing but what is listed below, so that their schemas
depend on nothing else: no names to be looked up, no validators, no configuration but that of the
models, of which these have none that matters. Nothing is kept when the models are built.
"""

from __future__ import annotations

import functools
import sys
import threading
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

_MODULES = "crewai.rag.embeddings.providers."
_CONFIG = frozenset({"arbitrary_types_allowed"})  # about classes that pydantic doesn't know

_NAMES = frozenset(  # what such a class has; anything else may change its schema
    {"__annotations__", "__closed__", "__dict__", "__doc__", "__extra_items__", "__module__"}
    | {"__mutable_keys__", "__optional_keys__", "__orig_bases__", "__qualname__", "__total__"}
    | {"__readonly_keys__", "__required_keys__", "__weakref__"}
)
_KINDS = frozenset({("typing_extensions", "_TypedDictMeta"), ("typing", "_TypedDictMeta")})
_LEAVES = frozenset({str, int, float, bool, types.NoneType})
_CONSTANTS = (str, int, float, bool)
_UNIONS = (typing.Union, types.UnionType)


class _Known(NamedTuple):
    """One class: what it was, the classes within, and its schema as pydantic has made it."""

    state: tuple[Any, ...]
    within: tuple[type, ...]
    schema: dict[str, Any]


class _Batch(threading.local):
    """Models of CrewAI's that this thread builds, each of them for another."""

    def __init__(self) -> None:
        self.depth = 0
        self.generators: list[Any] = []
        self.known: dict[type, _Known] = {}


_batch = _Batch()


@contextmanager
def together() -> Iterator[None]:
    """What is built meanwhile is built at once: nobody else does anything in between."""
    batch = _batch
    batch.depth += 1
    try:
        yield
    finally:
        batch.depth -= 1
        if not batch.depth:
            batch.known.clear()


@contextmanager
def of_crewai(generator: Any) -> Iterator[None]:
    """A model of CrewAI's is built by this generator, as one of those that are built together."""
    generators = _batch.generators
    generators.append(generator)
    try:
        yield
    finally:
        generators.pop()


def remembering(original: Callable[..., Any]) -> Callable[..., Any]:
    """``GenerateSchema._typed_dict_schema``: pydantic's, the first time."""
    core_schema: Any = sys.modules["pydantic_core.core_schema"]
    reference = core_schema.definition_reference_schema

    @functools.wraps(original)
    def _typed_dict_schema(self: Any, typed_dict_cls: Any, origin: Any) -> Any:
        if origin is not None or not _is_one(self) or not _is_usual(self):
            return original(self, typed_dict_cls, origin)
        known, definitions = _batch.known, self.defs._definitions
        new = _missing(typed_dict_cls, known, definitions)
        if new is not None:
            for cls in new:
                schema = known[cls].schema
                definitions[schema["ref"]] = _copied(schema)
            return reference(known[typed_dict_cls].schema["ref"])
        number = len(definitions)
        result = original(self, typed_dict_cls, origin)
        if len(definitions) > number and typed_dict_cls not in known:  # else it was there
            made = definitions[next(reversed(definitions))]
            if made["ref"] == result.get("schema_ref"):
                _remember(typed_dict_cls, made, known)
        return result

    return _typed_dict_schema


def _is_one(generator: Any) -> bool:
    return bool(_batch.depth and _batch.generators) and _batch.generators[-1] is generator


def _is_usual(generator: Any) -> bool:
    """Whether the model's configuration doesn't change the schemas of what is listed here."""
    return not generator._config_wrapper.config_dict.keys() - _CONFIG


def _missing(
    cls: type, known: dict[type, _Known], definitions: dict[str, Any]
) -> dict[type, None] | None:
    """The classes whose schemas this generator lacks, in pydantic's order; None: not known."""
    found = known.get(cls)
    if found is None or not _is_same(found.state, _state(cls)):
        return None
    if found.schema["ref"] in definitions:
        return {}
    new: dict[type, None] = {}
    for inner in found.within:
        missing = _missing(inner, known, definitions)
        if missing is None:
            return None
        new.update(missing)
    return {**new, cls: None}


def _remember(cls: Any, schema: Any, known: dict[type, _Known]) -> None:
    within: dict[type, None] = {}
    if (
        _is_plain_class(cls)
        and all(_is_plain(annotation, within) for annotation in cls.__annotations__.values())
        and _is_tree(schema, set())
    ):
        known[cls] = _Known(_state(cls), tuple(within), _copied(schema))


def _is_plain_class(cls: Any) -> bool:
    return (
        (type(cls).__module__, type(cls).__qualname__) in _KINDS
        and cls.__module__.startswith(_MODULES)
        and cls.__mro__ == (cls, dict, object)
        and vars(cls).keys() <= _NAMES
        and not getattr(cls, "__readonly_keys__", ())
        and getattr(cls, "__closed__", None) is None
        and getattr(cls, "__extra_items__", None) in (None, _no_extra_items())
    )


def _no_extra_items() -> Any:
    return getattr(sys.modules.get("typing_extensions"), "NoExtraItems", None)


def _is_plain(annotation: Any, within: dict[type, None]) -> bool:
    """Whether the annotation means the same everywhere. The classes in it are added."""
    if annotation is typing.Any or (isinstance(annotation, type) and annotation in _LEAVES):
        return True
    if (type(annotation).__module__, type(annotation).__qualname__) in _KINDS:
        within[annotation] = None
        return _is_plain_class(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return all(type(value) in _CONSTANTS for value in arguments)
    if origin is typing.Annotated:
        inner, *metadata = arguments
        found: dict[type, None] = {}
        if any(type(value) not in _CONSTANTS for value in metadata):
            return False
        return _is_plain(inner, found) and not found  # pydantic looks at what is defined
    if origin is type:
        return len(arguments) == 1 and isinstance(arguments[0], type)
    known = origin in (list, dict, *_UNIONS) or origin in _qualifiers()
    return known and all(_is_plain(argument, within) for argument in arguments)


def _qualifiers() -> list[Any]:
    names, modules = ("Required", "NotRequired"), (typing, sys.modules.get("typing_extensions"))
    return [getattr(module, name, None) for module in modules for name in names]


def _state(cls: Any) -> tuple[Any, ...]:
    """All that may change of a class."""
    names = vars(cls)
    return *names.items(), *names["__annotations__"].items()


def _is_same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(
        a[0] == b[0] and a[1] is b[1] for a, b in zip(one, other, strict=True)
    )


def _is_tree(schema: Any, seen: set[int]) -> bool:
    """Whether a copy is as good: no part is in two places, and what isn't copied never changes."""
    kind = type(schema)
    if kind is not dict and kind is not list:
        return schema is None or kind in _CONSTANTS or isinstance(schema, type)
    if id(schema) in seen:
        return False
    seen.add(id(schema))
    return all(_is_tree(part, seen) for part in (schema.values() if kind is dict else schema))


def _copied(schema: Any) -> Any:
    kind = type(schema)
    if kind is dict:
        return {
            name: _copied(part) if type(part) is dict or type(part) is list else part
            for name, part in schema.items()
        }
    return [_copied(part) for part in schema] if kind is list else schema
