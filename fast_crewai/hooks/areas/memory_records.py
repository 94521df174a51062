"""Memory records, made from rows of the table without pydantic's validation.

A row whose values aren't of exactly the types that CrewAI wrote goes to CrewAI's own function,
which may convert it or raise. Rows that are in RAM become records in Rust (``native``).
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from functools import partial
from typing import Any, Optional

from fast_crewai._core import Declined, MemoryRecords
from fast_crewai.hooks.areas.own_json import check_reading

_FIELDS: dict[str, Any] = {
    "id": str,
    "content": str,
    "scope": str,
    "categories": list[str],
    "metadata": dict[str, Any],
    "importance": float,
    "created_at": datetime.datetime,
    "last_accessed": datetime.datetime,
    "embedding": Optional[list[float]],  # noqa: UP045 - it is compared
    "source": Optional[str],  # noqa: UP045
    "private": bool,
}
COLUMNS = (
    "id",
    "content",
    "scope",
    "categories_str",
    "metadata_str",
    "importance",
    "created_at",
    "last_accessed",
    "source",
    "private",
    "vector",
)

_loads = json.loads
_new, _set = object.__new__, object.__setattr__
_fromisoformat = datetime.datetime.fromisoformat
_only_strings = {str}.issuperset
_only_atoms = frozenset((str, int, float, bool, type(None))).issuperset
_KEPT, _SHORT = 2000, 1000  # parsed texts, and characters of one


class Records:
    """Makes records; knows CrewAI's class as it was, and says when it is another."""

    def __init__(self, module: dict[str, Any]) -> None:
        from pydantic import BaseModel
        from pydantic_core import SchemaValidator

        self._module = module
        self._record: Any = module["MemoryRecord"]
        self._init, self._plain_validator = BaseModel.__init__, SchemaValidator
        self._datetime = datetime.datetime  # freezegun replaces it in modules, ours too
        self._labels: dict[str, list[str]] = {}
        self._details: dict[str, dict[str, Any]] = {}
        self._parse_labels = partial(_parse, known=self._labels, kind=list, flat=_only_strings)
        self._parse_details = partial(_parse, known=self._details, kind=dict, flat=_only_atoms)
        self.native = MemoryRecords(
            _new,
            self._record,
            dict.fromkeys(_FIELDS),
            frozenset(_FIELDS),
            self._labels,
            self._details,
            self._parse_labels,
            self._parse_details,
            _fromisoformat,
        )
        self._validator = self._record.__pydantic_validator__
        fields = self._record.__pydantic_fields__
        bounds = {name: repr(field.metadata) for name, field in fields.items() if field.metadata}
        self._provable = (
            self._record.__mro__ == (self._record, BaseModel, object)
            and list(fields) == list(_FIELDS)
            and all(field.annotation == _FIELDS[name] for name, field in fields.items())
            and bounds == {"importance": "[Ge(ge=0.0), Le(le=1.0)]"}
            and not _validates(self._record.__pydantic_decorators__)
            and not self._record.model_config
            and self._record.__pydantic_post_init__ is None
            and not self._record.__private_attributes__
        )

    def check(self) -> None:
        """Raise Declined if a record would be made in another way now."""
        module, record = self._module, self._record
        if not self._provable or module["MemoryRecord"] is not record:
            raise Declined("patched: MemoryRecord")
        if (
            record.__pydantic_validator__ is not self._validator
            or type(self._validator) is not self._plain_validator  # a plugin of pydantic's
            or record.__init__ is not self._init
            or record.__new__ is not object.__new__
        ):
            raise Declined("changed: MemoryRecord")
        check_reading(module["json"])
        if module["datetime"] is not self._datetime:
            raise Declined("patched: datetime")

    def make(self, row: tuple[Any, ...], original: Callable[[dict[str, Any]], Any]) -> Any:
        """The record of a row (values in the order of ``COLUMNS``), which takes its vector."""
        id_, content, scope, categories, metadata, importance, created, accessed = row[:8]
        labels = self._labels.get(categories)
        if labels is None:
            labels = self._parse_labels(categories)
        details = self._details.get(metadata)
        if details is None:
            details = self._parse_details(metadata)
        if type(labels) is not list or type(details) is not dict or not 0.0 <= importance <= 1.0:
            return original(dict(zip(COLUMNS, row[:11], strict=True)))
        record = _new(self._record)
        values = {
            "id": id_,
            "content": content,
            "scope": scope,
            "categories": labels.copy(),
            "metadata": details.copy(),
            "importance": importance,
            "created_at": _fromisoformat(created.replace("Z", "+00:00")),
            "last_accessed": _fromisoformat(accessed.replace("Z", "+00:00")),
            "embedding": row[10],
            "source": row[8] or None,
            "private": row[9],
        }
        _set(record, "__dict__", values)
        _set(record, "__pydantic_fields_set__", set(_FIELDS))
        _set(record, "__pydantic_extra__", None)
        _set(record, "__pydantic_private__", None)
        return record


def _parse(text: str, known: dict[str, Any], kind: type, flat: Callable[[Any], bool]) -> Any:
    """The value of a JSON text; flat ones are kept by their text, to be copied."""
    value: Any = _loads(text) if text else kind()
    if type(value) is not kind:
        return None
    parts: Any = value.values() if type(value) is dict else value
    if not flat(map(type, parts)):
        return value if kind is dict else None
    if len(text) <= _SHORT:
        if len(known) >= _KEPT:
            known.clear()
        known[text] = value
    return value


def _validates(decorators: Any) -> bool:
    return any(
        getattr(decorators, kind)
        for kind in ("validators", "field_validators", "root_validators", "model_validators")
    )
