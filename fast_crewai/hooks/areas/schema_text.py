"""Everything pydantic reads to make the JSON schema of a model, as one text.

``BaseModel.model_json_schema()`` reads the core schema the class holds, and from each model class
in it the name, docstring and configuration. Two models with the same text have the same JSON
schema; a mutated, rebuilt or redefined one has another text. The text holds no class alive.
What it can't describe completely (functions that make schemas, objects as defaults, …) is declined.
"""

from __future__ import annotations

import functools
import io
import operator
import pickle
import sys
import types
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.kept import Kept

_SCALARS = frozenset({str, int, float, bool, type(None)})

# Their rules in GenerateJsonSchema read nothing but the core schema, and never warn.
_TYPES = frozenset(
    {
        "any", "none", "bool", "int", "float", "str", "date", "time", "datetime", "uuid",
        "list", "tuple", "set", "frozenset", "dict", "nullable", "default", "union", "literal",
        "model", "model-fields", "model-field", "definitions", "definition-ref",
        "function-before", "function-after", "function-wrap",
    }
)  # fmt: skip
_CHILD = frozenset({"schema", "items_schema", "keys_schema", "values_schema", "extras_schema"})
_CHILDREN = frozenset({"items_schema", "choices", "definitions"})
_DATA = frozenset({"expected", "default", "validation_alias", "pydantic_js_updates"})
# Of no influence on the schema of what is validated. A validator's function isn't asked; a
# default factory isn't called.
_UNREAD = frozenset(
    {"config", "computed_fields", "serialization", "function", "default_factory", "generic_origin"}
)
_MAX_DEPTH = 60
_DEPRECATED, _DATACLASS = "__deprecated__", "__dataclass_fields__"


_LEAF = operator.neg  # any function that can be pickled: it only marks what follows


class _Content(pickle.Pickler):
    """Writes plain data as it is, models as what ``_class`` reads, and of all else that it's there.

    So data and the rest can't be confused, and what the rest is doesn't matter: where it would be
    read, the model is declined.
    """

    def __init__(self, file: io.BytesIO, metaclass: type, hook: Any) -> None:
        super().__init__(file, 5)
        self._metaclass, self._hook = metaclass, hook

    def reducer_override(self, value: Any) -> Any:
        if value is _LEAF:
            return NotImplemented
        kind = type(value)
        if kind is self._metaclass:
            return _LEAF, (_about(value),)
        if kind is types.MethodType:
            return _LEAF, (value.__func__ is self._hook,)
        return _LEAF, (None,)


class SchemaText:
    """Reads models, as long as pydantic's own machinery is as it was."""

    def __init__(self) -> None:
        from pydantic import BaseModel
        from pydantic._internal._model_construction import ModelMetaclass
        from pydantic.plugin import _loader

        self._known = Kept()
        self._metaclass: Any = ModelMetaclass
        base: Any = BaseModel
        self._entry = base.model_json_schema.__func__
        self._hook = base.__get_pydantic_json_schema__.__func__
        self._plugins: Any = _loader
        self._machinery = [
            (vars(owner), dict(vars(owner)))
            for owner in (
                sys.modules["pydantic.json_schema"].GenerateJsonSchema,
                sys.modules["pydantic.json_schema"].GenerateJsonSchema.ValidationsMapping,
            )
        ]
        read = {
            "pydantic.main": ("model_json_schema",),
            "pydantic.json_schema": (
                "model_json_schema", "to_jsonable_python", "inspect", "pydantic_core",
            ),
        }  # fmt: skip
        self._helpers = [
            (vars(sys.modules[module]), name, vars(sys.modules[module])[name])
            for module, names in read.items()
            for name in names
        ]

    def of(self, model: Any) -> str:
        """The text; raises Declined."""
        if type(model) is not self._metaclass:
            raise Declined("not a plain model class")
        if getattr(model.model_json_schema, "__func__", None) is not self._entry:
            raise Declined("model_json_schema is the model's own")
        if self._plugins._plugins:
            raise Declined("pydantic has plugins")
        for namespace, name, expected in self._helpers:
            if namespace[name] is not expected:
                raise Declined(f"patched: {name}")
        for live, known in self._machinery:
            if live != known:
                raise Declined("patched: GenerateJsonSchema")
        content = self._content(model)
        text = self._known.get(content) if content is not None else None
        if text is not None:
            return str(text)
        found: list[Any] = [_plain(model.__name__)]
        self._schema(model.__pydantic_core_schema__, found, 0)
        text = repr(found)
        # Keep only what another thread didn't change meanwhile.
        if content is not None and self._content(model) == content:
            self._known.put(content, text)
        return text

    def _content(self, model: Any) -> bytes | None:
        """Bytes from which the text follows: the same, pickled in C, without the checks."""
        written = io.BytesIO()
        try:
            _Content(written, self._metaclass, self._hook).dump(
                (model.__name__, model.__pydantic_core_schema__)
            )
        except Exception:
            return None
        return written.getvalue()

    def _schema(self, schema: Any, found: list[Any], depth: int) -> None:
        # ``found`` gets key, value, key, value, …, Ellipsis; values are scalars, plain data, or
        # again such a sequence, which of them follows from the key: so no two schemas look alike.
        if type(schema) is not dict or depth > _MAX_DEPTH:
            raise Declined("not a finished core schema")
        kind = schema["type"]
        if kind not in _TYPES:
            raise Declined(f"a schema of type {kind}")
        for key, value in schema.items():
            if type(value) in _SCALARS:
                found += (key, value)
            elif key in _UNREAD:
                continue
            elif key == "fields":
                found += (key, len(value))
                for name, field in value.items():
                    found.append(_plain(name))
                    self._schema(field, found, depth + 1)
            elif key == "metadata":
                found.append(key)
                self._metadata(value, found)
            elif key in _CHILD and type(value) is dict:
                found.append(key)
                self._schema(value, found, depth + 1)
            elif key in _CHILDREN and type(value) is list:
                found += (key, len(value))
                for child in value:
                    self._schema(child, found, depth + 1)
            elif key in _DATA:
                found += (key, _plain(value))
            elif key == "cls" and kind == "model":
                found.append(key)
                self._class(value, found)
            else:
                raise Declined(f"{key} of {kind}")
        found.append(...)

    def _metadata(self, metadata: Any, found: list[Any]) -> None:
        for key, value in metadata.items():
            if key == "pydantic_js_functions":
                for function in value:
                    if type(function) is not types.MethodType or (
                        function.__func__ is not self._hook
                    ):
                        raise Declined("a function that makes the schema")
                found += (key, len(value))
            elif key == "pydantic_js_updates" or key == "pydantic_js_extra":
                found += (key, _plain(value))
            else:
                raise Declined(f"metadata {key}")
        found.append(...)

    def _class(self, model: Any, found: list[Any]) -> None:
        if type(model) is not self._metaclass:
            raise Declined("not a plain model class")
        root, name, doc, config, *marks = _about(model)
        if root:
            raise Declined("not a plain model class")
        if config.get("json_schema_mode_override") is not None:
            raise Declined("json_schema_mode_override")
        found += (_plain(name), _plain(doc), _plain(config), *marks)


@functools.cache
def schema_text() -> SchemaText:
    """The one of this process."""
    return SchemaText()


def _about(model: Any) -> tuple[Any, ...]:
    """All that is read of a model class that the core schema mentions."""
    private = model.__dict__.get("__private_attributes__") or ()
    deprecated, dataclass = _DEPRECATED in private, _DATACLASS in private
    for owner in model.__mro__:  # hasattr: the refusals of pydantic's metaclass are slow
        named = owner.__dict__
        deprecated = deprecated or _DEPRECATED in named
        dataclass = dataclass or _DATACLASS in named
    return (
        model.__pydantic_root_model__,
        model.__name__,
        model.__doc__,
        model.model_config,
        deprecated,
        dataclass,
    )


def _plain(value: Any, depth: int = 0) -> Any:
    """The value, if its ``repr`` says all about it. Raises Declined."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if depth > _MAX_DEPTH:
        raise Declined("data too deep")
    if kind is list or kind is tuple:
        for item in value:
            if type(item) not in _SCALARS:
                _plain(item, depth + 1)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise Declined("a key that is not a string")
            if type(item) not in _SCALARS:
                _plain(item, depth + 1)
    else:
        raise Declined(f"a {kind.__name__} in the schema")
    return value
