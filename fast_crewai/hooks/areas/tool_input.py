"""A tool's input as a model has written it (component tools).

CrewAI tries JSON, a Python literal, JSON5 and a repaired text, one after the other. What one
attempt has found out of a text is kept for the next.
"""

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
from fast_crewai.hooks.areas.json_texts import json5_object
from fast_crewai.hooks.areas.own_json import check_reading
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Route, Site


class _Known(threading.local):
    """What is known of the text that this thread is at."""

    broken: tuple[str, bool] | None = None  # not JSON; whether because it is cut off
    repaired: tuple[str, Any] | None = None  # a text and its repair, which CrewAI asks for twice
    read: tuple[str, Any] | None = None  # a text, and what json5 will make of it
    cut: tuple[str, SyntaxError] | None = None  # a text cut off, and the error made up for it


class _Attempts:
    """CrewAI's attempts in their order; its function gets each module as it has it then."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names
        self._repair_json, self._json5 = names["repair_json"], names["json5"]
        self._json5_loads, self._loads = self._json5.loads, json.loads
        self._literal_eval, self._parse = ast.literal_eval, ast.parse
        self._own_literals = all(
            getattr(function, "__globals__", None) is vars(ast)
            for function in (self._literal_eval, self._parse)
        )
        self._repairing = Repairing()
        self._known = _Known()

    def decoded(self, module: Any, text: Any) -> Any:
        """What surely is no JSON isn't made into objects up to where it ends being any."""
        self._known.broken = None
        worth = type(text) is str and len(text) >= json_repairing.WORTH
        if worth and self._is_refused(module, text):
            raise JSONDecodeError("no JSON", "", 0)
        return module.loads(text)

    def _is_refused(self, module: Any, text: str) -> bool:
        try:
            check_reading(module)
        except Declined:
            return False
        known, kind = self._known, kind_of_json(text)
        if kind in ("broken", "cut") and has_room():
            known.broken = text, kind == "cut" and text.isascii() and "\x7f" not in text
        return known.broken is not None

    def _is_cut_json(self, text: str) -> bool:
        """Then json5, which reads what JSON is, raises ValueError, too."""
        broken = self._known.broken
        return broken is not None and broken[0] is text and broken[1]

    def literal(self, module: Any, text: Any) -> Any:
        """An object that is cut off is no literal: Python would parse all of it to find out."""
        known = self._known
        known.cut = None
        own = self._own_literals and module is ast and ast.parse is self._parse
        if not own or module.literal_eval is not self._literal_eval or type(text) is not str:
            return module.literal_eval(text)
        if _is_cut_off(text, self._is_cut_json(text)):
            error = SyntaxError("a bracket or a string was never closed")
            known.cut = text, error
            raise error
        found = python_literal(text)
        if found is None or not has_room():
            return self._literal_eval(text)
        if type(found) is dict:
            known.broken = None
        return found

    def repaired_first(self, repair: Any, text: Any) -> Any:
        cut = self._known.cut
        if cut is None or cut[0] is not text:
            return self._tried(repair, text)
        try:
            return self._tried(repair, text)
        except Exception as error:
            self._in_the_literals_context(error, cut[1], text)
            raise

    def _tried(self, repair: Any, text: Any) -> Any:
        """CrewAI throws this result away; what counts is whether it raises."""
        known = self._known
        known.repaired = known.read = None
        own = repair is self._repair_json and json.loads is self._loads
        if not own or type(text) is not str:
            return repair(text)
        if known.broken is None or known.broken[0] is not text:
            try:
                return self._loads(text)
            except ValueError:
                pass
        if known.cut is None and self._has_json5() and not self._is_cut_json(text):
            try:
                known.read = text, json5_object(text)
            except Exception:  # then CrewAI needs the repair
                pass
            else:
                return None
        result = self._repairing(repair, text, skip_json_loads=True)
        known.repaired = text, result
        return result

    def repaired_again(self, repair: Any, text: Any) -> Any:
        known, self._known.repaired = self._known.repaired, None
        if repair is not self._repair_json or type(text) is not str:
            return repair(text, skip_json_loads=True)
        if known is not None and known[0] is text:
            return known[1]
        return self._repairing(repair, text, skip_json_loads=True)

    def json5(self, module: Any, text: Any) -> Any:
        known = self._known
        read, known.read = known.read, None
        cut, known.cut = known.cut, None
        is_cut, known.broken = self._is_cut_json(text), None
        if module is self._json5 and module.loads is self._json5_loads and type(text) is str:
            if read is not None and read[0] is text:
                return read[1]
            if is_cut or (cut is not None and cut[0] is text):
                raise ValueError("cut off")
            try:
                return json5_object(text)
            except Declined:
                pass
        return module.loads(text)

    def _has_json5(self) -> bool:
        json5 = self._names["json5"]
        return json5 is self._json5 and json5.loads is self._json5_loads

    def _in_the_literals_context(
        self, error: BaseException, made_up: SyntaxError, text: str
    ) -> None:
        """``error`` was raised while ``made_up`` was handled: in its stead, what Python says."""
        try:
            self._literal_eval(text)
        except (ValueError, SyntaxError) as found:
            found.__context__ = made_up.__context__
            link: BaseException | None = error
            while link is not None and link.__context__ is not made_up:
                link = link.__context__
            if link is not None:
                link.__context__ = found


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


def _validate_tool_input(site: Site) -> Callable[..., Any]:
    attempts = _Attempts(vars(site.module))
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
            "_fc_decoded": attempts.decoded,
            "_fc_literal": attempts.literal,
            "_fc_first": attempts.repaired_first,
            "_fc_again": attempts.repaired_again,
            "_fc_read": attempts.json5,
        },
    )


TOOL_INPUT = Route(
    name="tools.input",
    target="crewai.tools.tool_usage:ToolUsage._validate_tool_input",
    why="a truncated input keeps json5 busy for 7 s per MB, and is repaired twice",
    build=_validate_tool_input,
)
