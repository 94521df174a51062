"""Routes that find and read JSON in what a model has written (components tools, tasks)."""

from __future__ import annotations

import ast
import json
import threading
from collections.abc import Callable
from json import JSONDecodeError
from typing import Any

from fast_crewai._core import Declined, kind_of_json, python_literal
from fast_crewai.hooks.areas import json_repairing
from fast_crewai.hooks.areas.json_repairing import Repairing
from fast_crewai.hooks.areas.json_steps import has_room
from fast_crewai.hooks.areas.json_texts import json5_object, span
from fast_crewai.hooks.areas.own_json import check_reading
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Route, Site

_CONVERTER = "crewai.utilities.converter"


def _partial_json(site: Site) -> Callable[..., Any]:
    expected = vars(site.module)["_JSON_PATTERN"]

    def search(regex: Any, text: Any) -> Any:
        if regex is not expected or type(text) is not str:
            return regex.search(text)
        return span(text)

    return recompiled(
        site.original,
        {"_JSON_PATTERN.search(result)": "_fc_search(_JSON_PATTERN, result)"},
        {"_fc_search": search},
    )


class _Repaired(threading.local):
    """A text and its repair, between CrewAI's two requests for it."""

    broken: tuple[str, bool] | None = None  # not JSON; whether because it is cut off
    text: str | None = None
    result: Any = None
    read: tuple[str, Any] | None = None  # a text, and what json5 will make of it
    cut: tuple[str, SyntaxError] | None = None  # a text cut off, and the error made up for it


def _validate_tool_input(site: Site) -> Callable[..., Any]:
    names = vars(site.module)
    expected, json5, loads, decode = (
        names["repair_json"],
        names["json5"],
        names["json5"].loads,
        json.loads,
    )
    literal_eval, parse = ast.literal_eval, ast.parse
    own_literals = all(
        getattr(function, "__globals__", None) is vars(ast) for function in (literal_eval, parse)
    )
    kept = _Repaired()
    repaired = Repairing()

    def decoded(module: Any, text: Any) -> Any:
        """What surely is no JSON isn't made into objects up to where it ends being any."""
        kept.broken = None
        if type(text) is str and len(text) >= json_repairing.WORTH and _is_refused(module, text):
            raise JSONDecodeError("no JSON", "", 0)
        return module.loads(text)

    def _is_refused(module: Any, text: str) -> bool:
        try:
            check_reading(module)
        except Declined:
            return False
        kind = kind_of_json(text)
        if kind in ("broken", "cut") and has_room():
            kept.broken = text, kind == "cut" and text.isascii() and "\x7f" not in text
        return kept.broken is not None

    def is_cut_json(text: str) -> bool:
        """Then json5, which reads what JSON is, raises ValueError, too."""
        broken = kept.broken
        return broken is not None and broken[0] is text and broken[1]

    def literal(module: Any, text: Any) -> Any:
        """An object that is cut off is no literal: Python would parse all of it to find out."""
        kept.cut = None
        own = own_literals and module is ast and ast.parse is parse
        if not own or module.literal_eval is not literal_eval or type(text) is not str:
            return module.literal_eval(text)
        if _is_cut_off(text, is_cut_json(text)):
            error = SyntaxError("a bracket or a string was never closed")
            kept.cut = text, error
            raise error
        found = python_literal(text)
        if found is None or not has_room():
            return literal_eval(text)
        if type(found) is dict:
            kept.broken = None
        return found

    def first(repair: Any, text: Any) -> Any:
        cut = kept.cut
        if cut is None or cut[0] is not text:
            return tried(repair, text)
        try:
            return tried(repair, text)
        except Exception as error:
            _in_the_context_of_the_literals_error(error, cut[1], literal_eval, text)
            raise

    def tried(repair: Any, text: Any) -> Any:
        """CrewAI throws this result away; what counts is whether it raises."""
        kept.text = kept.read = None
        if repair is not expected or type(text) is not str or json.loads is not decode:
            return repair(text)
        if kept.broken is None or kept.broken[0] is not text:
            try:
                return decode(text)
            except ValueError:
                pass
        own = names["json5"] is json5 and json5.loads is loads
        if kept.cut is None and own and not is_cut_json(text):
            try:
                kept.read = text, json5_object(text)
            except Exception:  # then CrewAI needs the repair
                pass
            else:
                return None
        result = repaired(repair, text, skip_json_loads=True)
        kept.text, kept.result = text, result
        return result

    def again(repair: Any, text: Any) -> Any:
        known, result = kept.text, kept.result
        kept.text = kept.result = None
        if known is not None and known is text and repair is expected:
            return result
        if repair is expected and type(text) is str:
            return repaired(repair, text, skip_json_loads=True)
        return repair(text, skip_json_loads=True)

    def read(module: Any, text: Any) -> Any:
        known, kept.read = kept.read, None
        cut, kept.cut = kept.cut, None
        is_cut, kept.broken = is_cut_json(text), None
        if module is json5 and module.loads is loads and type(text) is str:
            if known is not None and known[0] is text:
                return known[1]
            if is_cut or (cut is not None and cut[0] is text):
                raise ValueError("cut off")
            try:
                return json5_object(text)
            except Declined:
                pass
        return module.loads(text)

    return recompiled(
        site.original,
        {
            "json.loads(tool_input)": "_fc_decoded(json, tool_input)",
            "ast.literal_eval(tool_input)": "_fc_literal(ast, tool_input)",
            "repair_json(tool_input)": "_fc_first(repair_json, tool_input)",
            "repair_json(tool_input, skip_json_loads=True)": "_fc_again(repair_json, tool_input)",
            "json5.loads(tool_input)": "_fc_read(json5, tool_input)",
        },
        {
            "_fc_decoded": decoded,
            "_fc_literal": literal,
            "_fc_first": first,
            "_fc_again": again,
            "_fc_read": read,
        },
    )


def _is_cut_off(text: str, as_json: bool) -> bool:
    """Whether it surely is. Backslashes could make Python warn before it finds the end."""
    if len(text) < json_repairing.WORTH or not text.lstrip(" \t\r\n").startswith("{"):
        return False
    if as_json and "\\/" not in text:  # the only escape of JSON's that isn't Python's
        return True
    if "\\" in text or text.rstrip().endswith("}"):
        return False
    try:
        json5_object(text)
    except Declined:
        return False
    except ValueError:
        return True
    return False


def _in_the_context_of_the_literals_error(
    error: BaseException, made_up: SyntaxError, literal_eval: Any, text: str
) -> None:
    """``error`` was raised while ``made_up`` was handled: in its stead, what Python says."""
    try:
        literal_eval(text)
    except (ValueError, SyntaxError) as found:
        found.__context__ = made_up.__context__
        link: BaseException | None = error
        while link is not None and link.__context__ is not made_up:
            link = link.__context__
        if link is not None:
            link.__context__ = found


TOOL_INPUT = Route(
    name="tools.input",
    target="crewai.tools.tool_usage:ToolUsage._validate_tool_input",
    why="a truncated input keeps json5 busy for 7 s per MB, and is repaired twice",
    build=_validate_tool_input,
)

_SPAN = "braces that nothing closes are tried one after the other: 20,000 take a second"
PARTIAL = (
    Route(
        name="tasks.partial-json",
        target=f"{_CONVERTER}:handle_partial_json",
        why=_SPAN,
        build=_partial_json,
        reads=(f"{_CONVERTER}:_JSON_PATTERN",),
    ),
)
