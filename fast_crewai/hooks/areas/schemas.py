"""JSON schemas of tools' arguments, rendered once per content (component ``tools``)."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.kept import Kept
from fast_crewai.hooks.areas.schema_text import schema_text
from fast_crewai.hooks.dispatch import original_of
from fast_crewai.hooks.route import Route, Site, locate

_SCHEMAS = "crewai.utilities.pydantic_schema_utils"
_TOOLS = "crewai.tools.structured_tool"
_STEPS = tuple(
    f"{_SCHEMAS}:{name}"
    for name in (
        "force_additional_properties_false",
        "strip_unsupported_formats",
        "ensure_type_in_schemas",
        "resolve_refs",
        "fix_discriminator_mappings",
        "convert_oneof_to_anyof",
        "ensure_all_properties_required",
        "strip_null_from_types",
    )
)
_GENERATOR = "pydantic.json_schema:GenerateJsonSchema"
PYDANTIC = (
    "pydantic.main:BaseModel.model_json_schema",
    "pydantic.main:BaseModel.__get_pydantic_json_schema__",
    "pydantic.json_schema:model_json_schema",
    *(
        f"{_GENERATOR}.{name}"
        for name in (
            "generate",
            "generate_inner",
            "sort",
            "model_schema",
            "model_fields_schema",
            "_named_required_fields_schema",
            "_update_class_schema",
            "_get_alias_name",
            "field_is_required",
            "field_title_should_be_set",
            "get_title_from_name",
            "default_schema",
            "get_default_value",
            "encode_default",
            "nullable_schema",
            "union_schema",
            "literal_schema",
            "str_schema",
            "int_schema",
            "float_schema",
            "list_schema",
            "tuple_schema",
            "dict_schema",
            "function_before_schema",
            "function_after_schema",
            "function_wrap_schema",
            "definitions_schema",
            "definition_ref_schema",
            "get_defs_ref",
            "update_with_validations",
        )
    ),
)


def _model_description(site: Site) -> Callable[..., Any]:
    original, text_of, names = site.original, schema_text().of, vars(site.module)
    formats = frozenset(names["OPENAI_SUPPORTED_FORMATS"])
    kept = {True: Kept(), False: Kept()}

    def fast(model: Any, strip_null_types: Any) -> Any:
        if strip_null_types is not True and strip_null_types is not False:
            raise Declined("strip_null_types is not a bool")
        if names["OPENAI_SUPPORTED_FORMATS"] != formats:
            raise Declined("patched: OPENAI_SUPPORTED_FORMATS")
        text = text_of(model)
        copied = kept[strip_null_types].get(text)
        if copied is not None:
            return pickle.loads(copied)
        try:
            made = original(model, strip_null_types=strip_null_types)
        except Exception as error:
            raise Declined("its rendering fails") from error
        # Keep only what another thread didn't change meanwhile.
        if _is_json(made) and text_of(model) == text:
            kept[strip_null_types].put(text, pickle.dumps(made))
        return made

    return fast


def _tool_description(site: Site) -> Callable[..., Any]:
    names, text_of, kept = vars(site.module), schema_text().of, Kept()
    describe = original_of(locate(f"{_SCHEMAS}:generate_model_description").original)
    steps = vars(locate(_STEPS[0]).module)
    expected = [(name, steps[name]) for name in (step.partition(":")[2] for step in _STEPS)]
    formats = frozenset(steps["OPENAI_SUPPORTED_FORMATS"])
    dumps = json.dumps

    def fast(name: Any, args_schema: Any, description: Any) -> Any:
        if args_schema is None:
            raise Declined("no arguments")
        if original_of(names["generate_model_description"]) is not describe:
            raise Declined("patched: generate_model_description")
        if names["json"].dumps is not dumps:
            raise Declined("patched: json.dumps")
        if steps["OPENAI_SUPPORTED_FORMATS"] != formats:
            raise Declined("patched: OPENAI_SUPPORTED_FORMATS")
        for step, function in expected:
            if steps[step] is not function:
                raise Declined(f"patched: {step}")
        text = text_of(args_schema)
        authored = names["strip_composite_description_prefix"](description)
        arguments = kept.get(text)
        if arguments is None:
            try:
                schema = names["generate_model_description"](args_schema)
                arguments = dumps(schema["json_schema"]["schema"], indent=2)
            except Exception as error:
                raise Declined("its rendering fails") from error
            if text_of(args_schema) == text:
                kept.put(text, arguments)
        return (
            f"Tool Name: {names['sanitize_tool_name'](name)}\n"
            f"Tool Arguments: {arguments}\n"
            f"Tool Description: {authored}"
        )

    return fast


def _saved_schema(site: Site) -> Callable[..., Any]:
    original, text_of, kept = site.original, schema_text().of, Kept()

    def fast(model: Any) -> Any:
        if model is None:
            return None
        text = text_of(model)
        copied = kept.get(text)
        if copied is not None:
            return pickle.loads(copied)
        try:
            made = original(model)
        except Exception as error:
            raise Declined("its rendering fails") from error
        if _is_json(made) and text_of(model) == text:
            kept.put(text, pickle.dumps(made))
        return made

    return fast


def _is_json(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return all(type(key) is str and _is_json(item) for key, item in value.items())
    if kind is list:
        return all(map(_is_json, value))
    return kind in (str, int, float, bool, type(None))


ROUTES = (
    Route(
        name="tools.model-description",
        target=f"{_SCHEMAS}:generate_model_description",
        why="the schema of every tool's arguments is made again at every use of a tool",
        build=_model_description,
        pure=True,
        reads=(*_STEPS, *PYDANTIC),
    ),
    Route(
        name="tools.tool-description",
        target=f"{_TOOLS}:format_description_for_llm",
        why="every tool is described again at every use of a tool (17 % of a step with 3 tools)",
        build=_tool_description,
        pure=True,
        reads=(f"{_SCHEMAS}:generate_model_description", *_STEPS, *PYDANTIC),
    ),
    Route(
        name="tools.saved-schema",
        target=f"{_TOOLS}:_serialize_schema",
        why="a checkpoint has the schema of every tool once for each event (a third of its cost)",
        build=_saved_schema,
        pure=True,
        reads=PYDANTIC,
    ),
)
