"""The fields that a model has from its base are copied from there, without another look at them.

For each model pydantic evaluates the annotations of all its bases once more, to see again that they
are no class variables, and then copies the base's fields. Here a model with one base only has its
own annotations evaluated, by pydantic's own code; whatever isn't as simple as that, or might warn,
is left to pydantic altogether.
"""

from __future__ import annotations

import operator
import types
import typing
import warnings
from collections.abc import Callable
from typing import Any

Collected = tuple[dict[str, Any], set[str]]

_CLASSVAR = ("ClassVar[", "typing.ClassVar[", "t.ClassVar[")
_COPIED = ("metadata", "_attributes_set", "_qualifiers")  # pydantic copies these, too
_absent = object()


def collector(
    original: Callable[..., Collected], is_wanted: Callable[[Any], bool]
) -> Callable[..., Collected]:
    """Build the replacement of ``collect_model_fields`` for the classes that are wanted.

    Raises what a strange pydantic makes it.
    """
    function: Any = original
    kind = function.__globals__["import_cached_field_info"]()
    copy = _copier(kind)
    usual, own = _farther(function, {}), _farther(function, {"_typing_extra": _own_only(function)})

    def collect_model_fields(
        cls: Any, config_wrapper: Any, ns_resolver: Any, *, typevars_map: Any = None
    ) -> Collected:
        inherited = None
        if not typevars_map and ns_resolver is not None and is_wanted(cls):
            inherited = _inherited(cls, config_wrapper, kind)
        if inherited is None:
            return usual(cls, config_wrapper, ns_resolver, typevars_map=typevars_map)
        fields, of_base, class_vars = {}, *inherited
        found, own_class_vars = own(cls, config_wrapper, ns_resolver, typevars_map=typevars_map)
        for name in _names(cls):
            if name in found:
                fields[name] = found[name]
            elif name in of_base:
                fields[name] = copy(of_base[name])
        return fields, class_vars | own_class_vars

    return collect_model_fields


def _names(cls: type) -> dict[str, Any]:
    """What the class and its bases annotate, in pydantic's order → the annotation that counts."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        found.update(vars(base).get("__annotations__", {}))
    return found


def _is_simple(cls: Any, config: Any) -> bool:
    """Whether nothing but annotations makes the fields."""
    return (
        len(cls.__bases__) == 1
        and bool(getattr(cls.__bases__[0], "__pydantic_fields__", None))
        and not cls.__pydantic_root_model__
        and cls.__pydantic_generic_metadata__["origin"] is None
        and not cls.__pydantic_decorators__.computed_fields
        and config.alias_generator is None
        and config.field_title_generator is None
        and not config.use_attribute_docstrings
        and all(type(prefix) is str for prefix in config.protected_namespaces)
    )


def _inherited(cls: Any, config: Any, kind: Any) -> Collected | None:
    """The base's fields that remain, and its class variables; None: pydantic has to look."""
    if not _is_simple(cls, config):
        return None
    base, annotations = cls.__bases__[0], vars(cls).get("__annotations__", {})
    of_base, prefixes = base.__pydantic_fields__, tuple(config.protected_namespaces)
    fields: dict[str, Any] = {}
    class_vars = set()
    for name, annotation in _names(cls).items():
        if name.startswith(prefixes):
            return None  # it may warn, or raise
        if name in annotations:
            continue
        field = of_base.get(name)
        if field is not None:
            if type(field) is not kind or field.field_title_generator is not None:
                return None
            if getattr(cls, name, _absent) is not _absent:
                return None
            fields[name] = field
        elif name in base.__class_vars__:
            if not _is_class_variable(annotation):
                return None
            class_vars.add(name)
        elif name[:1] != "_" and name != "model_config":
            return None
    return fields, class_vars


def _is_class_variable(annotation: Any) -> bool:
    if type(annotation) is str:
        return annotation.startswith(_CLASSVAR)
    return typing.get_origin(annotation) is typing.ClassVar


class _Only:
    """A class without its bases, for what looks at no other attribute."""

    def __init__(self, cls: type) -> None:
        self.__mro__ = (cls,)


def _own_only(function: Any) -> types.SimpleNamespace:
    """What the function uses, but it finds the class's own annotations only."""
    extra = function.__globals__["_typing_extra"]
    hints_of = extra.get_model_type_hints

    def get_model_type_hints(cls: Any, *, ns_resolver: Any) -> dict[str, Any]:
        hints = hints_of(_Only(cls), ns_resolver=ns_resolver)
        return {name: hints[name] for name in _names(cls) if name in hints}

    ours = types.SimpleNamespace(**vars(extra))
    ours.get_model_type_hints = get_model_type_hints
    return ours


def _farther(function: Any, names: dict[str, Any]) -> Callable[..., Collected]:
    """Pydantic's function, called from one frame more: where it warns of doesn't change."""
    warning = {"warnings": types.SimpleNamespace(warn=_warn)}
    check = function.__globals__["_check_protected_namespaces"]
    checked = {"_check_protected_namespaces": _with_names(check, warning)}
    moved: Callable[..., Collected] = _with_names(function, {**warning, **checked, **names})
    return moved


def _warn(message: Any, category: Any = None, stacklevel: int = 1) -> None:
    warnings.warn(message, category, stacklevel + 2)


def _with_names(function: Any, names: dict[str, Any]) -> Any:
    """A function of the same code, to which these global names mean something else."""
    made = types.FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _copier(kind: Any) -> Callable[[Any], Any]:
    """Build what pydantic's ``FieldInfo._copy`` does for this very class."""
    slots = kind.__slots__
    places = [slots.index(name) for name in _COPIED]
    get = operator.attrgetter(*slots)
    put = [vars(kind)[name].__set__ for name in slots]

    def copy(field: Any) -> Any:
        try:
            values = list(get(field))
        except AttributeError:  # one isn't set
            return field._copy()
        for place in places:
            values[place] = values[place].copy()
        made = kind.__new__(kind)
        for set_to, value in zip(put, values, strict=True):
            set_to(made, value)
        return made

    return copy
