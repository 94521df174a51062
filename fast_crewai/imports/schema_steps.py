"""Two steps of building a schema that pydantic takes a long time for.

A finished schema is walked through for what may be simplified, the nested ones again with each that
contains them; and each field's default factory is asked for its signature, which Python parses from
a text for classes like ``list``. Both answer what pydantic's own functions answer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

_FACTORIES = frozenset({bool, dict, float, frozenset, int, list, set, str, tuple})  # never change


def gather_schemas_for_cleaning(original: Callable[..., Any]) -> Callable[..., Any]:
    from fast_crewai import _core  # this module is loaded without it, too

    @functools.wraps(original)
    def gather_schemas_for_cleaning(schema: Any, definitions: Any) -> Any:
        try:
            references, unions = _core.gather_schemas(schema, definitions)
        except (_core.Declined, _core.CoreError):  # also for what the original refuses
            return original(schema, definitions)
        return {"collected_references": references, "deferred_discriminator_schemas": unions}

    return gather_schemas_for_cleaning


def takes_validated_data_argument(original: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[type, Any] = {}

    @functools.wraps(original)
    def takes_validated_data_argument(default_factory: Any) -> Any:
        if type(default_factory) is not type or default_factory not in _FACTORIES:
            return original(default_factory)
        if default_factory not in known:
            known[default_factory] = original(default_factory)
        return known[default_factory]

    return takes_validated_data_argument


STEPS = (gather_schemas_for_cleaning, takes_validated_data_argument)
