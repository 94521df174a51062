"""JSON Schema in Python, a mirror of ``src/schema/check.rs``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable
from typing import Any

MAX_NESTING = 64
MAX_DEPTH = 180
Place = tuple[list[Any], list[Any]]


def too_deep(value: Any, left: int) -> bool:
    """Whether containers are nested over so many levels."""
    if isinstance(value, dict):
        inner: Any = value.values()
    elif isinstance(value, list | tuple):
        inner = value
    else:
        return False
    return left == 0 or any(too_deep(one, left - 1) for one in inner)


def is_dict(value: Any) -> bool:
    """A JSON object; dicts with other keys are none."""
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    return is_number(value) and (
        isinstance(value, int) or (value % 1 == 0 and math.isfinite(value))
    )


_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": is_integer,
    "number": is_number,
    "string": lambda value: isinstance(value, str),
    "array": is_list,
    "object": is_dict,
}


def is_type(value: Any, name: Any) -> bool:
    """Whether the value is of the type that a schema names."""
    return isinstance(name, str) and name in _TYPES and _TYPES[name](value)


def key(value: Any) -> Hashable:
    """What two values share if they are equal: 1 and 1.0, but not True."""
    if value is None or isinstance(value, bool):
        return ("constant", value)
    if is_number(value):
        return object() if value != value else ("number", value)
    if isinstance(value, str):
        return str.__str__(value)
    if is_list(value):
        return ("list", *map(key, value))
    if is_dict(value):
        return ("dict", frozenset((name, key(inner)) for name, inner in value.items()))
    return object()


def count(limit: Any) -> int | None:
    """A limit of a length."""
    return max(limit, 0) if isinstance(limit, int) and not isinstance(limit, bool) else None


def found(pattern: str, text: str) -> bool | None:
    """Whether a pattern is found; None if it is invalid."""
    try:
        return re.search(pattern, text) is not None
    except Exception:
        return None


class Checker:
    """Collects what of a schema a value breaks, in the schema's order."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self.found: list[Place] = []
        self._path: list[Any] = []
        self._schema_path: list[Any] = []
        self._depth = 0
        self._open: list[tuple[str, int]] = []  # references that are being followed

    def check(self, schema: Any, value: Any) -> None:
        """Check a value, or a part of it, against a schema, or a part of it."""
        if schema is False:
            self._report()
        elif is_dict(schema):
            if self._depth >= MAX_DEPTH:
                self._broken("$ref")
                return
            self._depth += 1
            for name, argument in schema.items():
                self._schema_path.append(name)
                self._keyword(schema, name, argument, value)
                self._schema_path.pop()
            self._depth -= 1

    def _report(self) -> None:
        self.found.append((list(self._path), list(self._schema_path)))

    def _broken(self, step: str | int) -> None:
        self._schema_path.append(step)
        self._report()
        self._schema_path.pop()

    def _require(self, holds: bool) -> None:
        if not holds:
            self._report()

    def _valid(self, schema: Any, value: Any) -> bool:
        before = len(self.found)
        self.check(schema, value)
        valid = len(self.found) == before
        del self.found[before:]
        return valid

    def _below(self, schema_step: list[Any], step: list[Any], schema: Any, value: Any) -> None:
        self._schema_path += schema_step
        self._path += step
        self.check(schema, value)
        if schema_step:
            self._schema_path.pop()
        if step:
            self._path.pop()

    def _keyword(self, schema: Any, name: str, argument: Any, value: Any) -> None:
        if general := _GENERAL.get(name):
            general(self, schema, argument, value)
        elif isinstance(value, dict):
            if is_dict(value) and (rule := _DICT.get(name)):
                rule(self, schema, argument, value)
        elif is_list(value):
            if rule := _LIST.get(name):
                rule(self, schema, argument, value)
        elif isinstance(value, str):
            if rule := _TEXT.get(name):
                rule(self, schema, argument, value)
        elif is_number(value) and is_number(argument) and (test := _NUMBER.get(name)):
            self._require(test(value, argument))

    def _type(self, _schema: Any, argument: Any, value: Any) -> None:
        if isinstance(argument, str):
            self._require(is_type(value, argument))
        elif is_list(argument):
            self._require(any(is_type(value, name) for name in argument))

    def _enum(self, _schema: Any, argument: Any, value: Any) -> None:
        if is_list(argument):
            self._require(key(value) in map(key, argument))

    def _const(self, _schema: Any, argument: Any, value: Any) -> None:
        self._require(key(argument) == key(value))

    def _ref(self, _schema: Any, argument: Any, value: Any) -> None:
        if isinstance(argument, str):
            exists, schema = resolve(self.root, argument)
            here = (argument, id(value))  # the value lives as long as it is looked at
            if exists and here not in self._open:
                self._open.append(here)
                self.check(schema, value)
                self._open.pop()
            else:
                self._report()  # it doesn't exist, or leads back to itself

    def _all_of(self, _schema: Any, argument: Any, value: Any) -> None:
        if is_list(argument):
            for index, schema in enumerate(argument):
                self._below([index], [], schema, value)

    def _any_of(self, _schema: Any, argument: Any, value: Any) -> None:
        if is_list(argument):
            self._require(any(self._valid(schema, value) for schema in argument))

    def _one_of(self, _schema: Any, argument: Any, value: Any) -> None:
        if is_list(argument):
            fits = 0
            for schema in argument:
                fits += self._valid(schema, value)
                if fits == 2:
                    break
            self._require(fits == 1)

    def _not(self, _schema: Any, argument: Any, value: Any) -> None:
        self._require(not self._valid(argument, value))

    def _if(self, schema: Any, argument: Any, value: Any) -> None:
        branch = "then" if self._valid(argument, value) else "else"
        if branch in schema:
            self._below([branch], [], schema[branch], value)

    def _properties(self, _schema: Any, argument: Any, value: Any) -> None:
        if is_dict(argument):
            for name, schema in argument.items():
                if name in value:
                    self._below([name], [name], schema, value[name])

    def _required(self, _schema: Any, argument: Any, value: Any) -> None:
        if is_list(argument):
            for index, name in enumerate(argument):
                if isinstance(name, str) and name not in value:
                    self._broken(index)

    def _additional(self, schema: Any, argument: Any, value: Any) -> None:
        own, patterns = schema.get("properties"), schema.get("patternProperties")
        for name, inner in value.items():
            if is_dict(own) and name in own:
                continue
            if is_dict(patterns) and any(found(pattern, name) for pattern in patterns):
                continue
            self._below([], [name], argument, inner)

    def _pattern_properties(self, _schema: Any, argument: Any, value: Any) -> None:
        if is_dict(argument):
            for pattern, schema in argument.items():
                for name, inner in value.items():
                    if found(pattern, name):
                        self._below([pattern], [name], schema, inner)

    def _names(self, _schema: Any, argument: Any, value: Any) -> None:
        for name in value:
            self._below([], [name], argument, name)

    def _dependent_required(self, _schema: Any, argument: Any, value: Any) -> None:
        if is_dict(argument):
            for name, needed in argument.items():
                if name not in value or not is_list(needed):
                    continue
                if any(isinstance(one, str) and one not in value for one in needed):
                    self._broken(name)

    def _dependent_schemas(self, _schema: Any, argument: Any, value: Any) -> None:
        if is_dict(argument):
            for name, schema in argument.items():
                if name in value:
                    self._below([name], [], schema, value)

    def _at_least(self, _schema: Any, argument: Any, value: Any) -> None:
        limit = count(argument)
        self._require(limit is None or len(value) >= limit)

    def _at_most(self, _schema: Any, argument: Any, value: Any) -> None:
        limit = count(argument)
        self._require(limit is None or len(value) <= limit)

    def _prefix(self, _schema: Any, argument: Any, value: Any) -> None:
        if is_list(argument):
            for index, (schema, item) in enumerate(zip(argument, value, strict=False)):
                self._below([index], [index], schema, item)

    def _items(self, schema: Any, argument: Any, value: Any) -> None:
        if is_list(argument):
            self._prefix(schema, argument, value)
            return
        prefix = schema.get("prefixItems")
        self._from(len(prefix) if is_list(prefix) else 0, argument, value)

    def _additional_items(self, schema: Any, argument: Any, value: Any) -> None:
        if is_list(schema.get("items")):
            self._from(len(schema["items"]), argument, value)

    def _from(self, first: int, schema: Any, value: Any) -> None:
        for index in range(first, len(value)):
            self._below([], [index], schema, value[index])

    def _contains(self, schema: Any, argument: Any, value: Any) -> None:
        fits = sum(self._valid(argument, item) for item in value)
        least, most = count(schema.get("minContains")), count(schema.get("maxContains"))
        self._require(fits >= (1 if least is None else least) and (most is None or fits <= most))

    def _unique(self, _schema: Any, argument: Any, value: Any) -> None:
        if argument is True:
            keys = [key(item) for item in value]
            self._require(len(set(keys)) == len(keys))

    def _pattern(self, _schema: Any, argument: Any, value: Any) -> None:
        if isinstance(argument, str):
            self._require(found(argument, value) is not False)


def is_multiple(value: Any, of: Any) -> bool:
    """Whether a number is a multiple of another (of zero, any is)."""
    if of == 0:
        return True
    if isinstance(value, int) and isinstance(of, int):
        return value % of == 0
    try:
        quotient = float(value) / float(of)
    except (OverflowError, ZeroDivisionError):
        return False
    return math.isfinite(quotient) and quotient % 1 == 0


def resolve(root: Any, pointer: str) -> tuple[bool, Any]:
    """(whether it exists, the schema that "#/…" points to)."""
    if pointer == "#":
        return True, root
    if not pointer.startswith("#/"):
        return False, None
    here = root
    for step in pointer[2:].split("/"):
        step = step.replace("~1", "/").replace("~0", "~")
        if is_dict(here) and step in here:
            here = here[step]
        elif is_list(here) and re.fullmatch("[0-9]{1,9}", step) and int(step) < len(here):
            here = here[int(step)]
        else:
            return False, None
    return True, here


_Rule = Callable[[Checker, Any, Any, Any], None]
_GENERAL: dict[str, _Rule] = {
    "type": Checker._type,
    "enum": Checker._enum,
    "const": Checker._const,
    "$ref": Checker._ref,
    "allOf": Checker._all_of,
    "anyOf": Checker._any_of,
    "oneOf": Checker._one_of,
    "not": Checker._not,
    "if": Checker._if,
}
_DICT: dict[str, _Rule] = {
    "properties": Checker._properties,
    "required": Checker._required,
    "additionalProperties": Checker._additional,
    "patternProperties": Checker._pattern_properties,
    "propertyNames": Checker._names,
    "dependentRequired": Checker._dependent_required,
    "dependentSchemas": Checker._dependent_schemas,
    "minProperties": Checker._at_least,
    "maxProperties": Checker._at_most,
}
_LIST: dict[str, _Rule] = {
    "prefixItems": Checker._prefix,
    "items": Checker._items,
    "additionalItems": Checker._additional_items,
    "contains": Checker._contains,
    "minItems": Checker._at_least,
    "maxItems": Checker._at_most,
    "uniqueItems": Checker._unique,
}
_TEXT: dict[str, _Rule] = {
    "minLength": Checker._at_least,
    "maxLength": Checker._at_most,
    "pattern": Checker._pattern,
}
_NUMBER: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, limit: not value < limit,
    "maximum": lambda value, limit: not value > limit,
    "exclusiveMinimum": lambda value, limit: not value <= limit,
    "exclusiveMaximum": lambda value, limit: not value >= limit,
    "multipleOf": is_multiple,
}
