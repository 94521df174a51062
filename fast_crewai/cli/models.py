"""CrewAI's pydantic models as text: what was built when it was asked for must be what plain gives.

A part of ``description``, and of the tests; nothing in it imports us.
"""

from __future__ import annotations

import hashlib
import random
import re
import types
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

_ADDRESS = re.compile(r"0x[0-9a-fA-F]+|(?<=:)\d{9,}|(?<=Py\()\w+|(?<=id=)\d+")
_WORD = re.compile(r"[^\s{}()\[\],]+")
# Functions make the others anew for each call.
_LOCAL = frozenset({"Flow.__class_getitem__.<locals>._FlowGeneric"})


def all_models() -> list[Any]:
    """The models that CrewAI's modules define, in their order."""
    from pydantic import BaseModel

    return [
        model
        for model in dict.fromkeys(_below(BaseModel))
        if model.__module__.startswith("crewai")
        and ("<locals>" not in model.__qualname__ or model.__qualname__ in _LOCAL)
    ]


def touch(seed: int, share: float = 1) -> None:
    """Use some of them for the first time, in a random order, each in another way."""
    models = all_models()
    order = random.Random(seed)
    order.shuffle(models)
    for model in models[: int(len(models) * share)]:
        order.choice(_WAYS)(model)


_WAYS = (
    lambda model: model.__pydantic_validator__,
    lambda model: model.__pydantic_serializer__,
    lambda model: model.__pydantic_core_schema__,
    lambda model: model.__pydantic_complete__,
    lambda model: model.model_fields,
    lambda model: model.__pydantic_fields__,
    lambda model: hasattr(model, "__pydantic_core_schema__"),
)


def describe(thorough: bool = False) -> dict[str, str]:
    """Model → digest, or if ``thorough`` the text, of what pydantic has made for it."""
    found: dict[str, str] = {}
    for model in all_models():
        name = f"{model.__module__}:{model.__qualname__}"
        while name in found:  # classes of one name, in their order
            name += "'"
        lines = [*_lines(model), *(_more_lines(model) if thorough else ())]
        text = "\n".join(lines)
        found[name] = text if thorough else hashlib.sha256(text.encode()).hexdigest()[:16]
    return found


def _below(base: Any) -> Iterator[Any]:
    for model in type.__subclasses__(base):
        yield model
        yield from _below(model)


def _lines(model: Any) -> Iterator[str]:
    yield f"complete {model.__pydantic_complete__} {model.__pydantic_fields_complete__}"
    yield f"fields {_plain(model.__pydantic_fields__)}"
    yield f"config {_plain(model.model_config)}"
    if model.__pydantic_complete__:  # else another class's is found
        yield f"schema {_plain(model.__pydantic_core_schema__)}"
        made = (model.__pydantic_validator__, model.__pydantic_serializer__)
        yield f"made {[_plain(type(one)) for one in made]} {[one.title for one in made[:1]]}"
    yield f"signature {_without_addresses(str(getattr(model, '__signature__', None)))}"


def _more_lines(model: Any) -> Iterator[str]:
    yield f"names {[n for n in vars(model) if n.startswith('__pydantic') or n == 'model_config']}"
    yield f"computed {_plain(model.__pydantic_computed_fields__)}"
    if not model.__pydantic_complete__:
        return
    for made in (model.__pydantic_validator__, model.__pydantic_serializer__):
        words = sorted(_WORD.findall(_without_addresses(repr(made))))  # Rust's maps have no order
        yield f"{type(made).__name__} {' '.join(words)}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield f"json {_json_schema(model)}"


def _json_schema(model: Any) -> str:
    try:
        return _without_addresses(str(model.model_json_schema()))
    except Exception as error:
        return f"{type(error).__name__} {_without_addresses(str(error))}"


def _without_addresses(text: str) -> str:
    return _ADDRESS.sub("#", text)


def _plain(value: Any) -> Any:
    """The same for the same schema in another process."""
    kind = type(value)
    if isinstance(value, dict):
        return [kind.__name__, [(_plain(key), _plain(item)) for key, item in value.items()]]
    if isinstance(value, (list, tuple)):
        return [kind.__name__, [_plain(item) for item in value]]
    if isinstance(value, (set, frozenset)):
        return [kind.__name__, sorted(repr(_plain(item)) for item in value)]
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, types.MethodType):
        return ["method", _plain(value.__func__), _plain(value.__self__)]
    if isinstance(value, types.FunctionType):
        cells = [_cell(cell) for cell in value.__closure__ or ()]
        line = value.__code__.co_firstlineno
        return ["function", value.__module__, value.__qualname__, line, cells]
    if isinstance(value, partial):
        return ["partial", _plain(value.func), _plain(value.args), _plain(value.keywords)]
    return f"{kind.__module__}.{kind.__qualname__} {_without_addresses(repr(value))}"


def _cell(cell: types.CellType) -> str:
    try:
        return _without_addresses(repr(cell.cell_contents))
    except ValueError:
        return "empty"
