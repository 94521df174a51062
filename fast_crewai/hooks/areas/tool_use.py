"""One use of a tool: finding it by name, and keeping the arguments that it knows.

``ToolUsage._use`` makes the JSON schema of the tool's arguments to look at the names in it. The
function is CrewAI's own, compiled again with a schema that holds just the names.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.kept import Kept
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.areas.schema_text import schema_text
from fast_crewai.hooks.areas.schemas import PYDANTIC
from fast_crewai.hooks.dispatch import original_of
from fast_crewai.hooks.route import Route, Site

_USAGE = "crewai.tools.tool_usage:ToolUsage"
_SCHEMA = "tool.args_schema.model_json_schema()"

_matcher = difflib.SequenceMatcher
_SHORT = 200  # from here on SequenceMatcher leaves out frequent characters


def _text(text_of: Callable[[Any], str], model: Any) -> str | None:
    try:
        return text_of(model)
    except Exception:
        return None


def _schema_of_names() -> Callable[[Any], Any]:
    text_of, kept = schema_text().of, Kept()

    def schema(model: Any) -> Any:
        """The model's JSON schema, or as much of it as is read: the names of its properties."""
        text = _text(text_of, model)
        if text is None:  # outside of the handler: an error of the model's has no context of ours
            return model.model_json_schema()
        names = kept.get(text)
        if names is not None:
            return {"properties": dict.fromkeys(json.loads(names))}
        made = model.model_json_schema()
        properties = made.get("properties") if type(made) is dict else None
        if type(properties) is dict and _text(text_of, model) == text:
            kept.put(text, json.dumps(list(properties)))
        return made

    return schema


def _use(site: Site) -> Callable[..., Any]:
    return recompiled(
        site.original,
        {_SCHEMA: "_fc_schema(tool.args_schema)"},
        {"_fc_schema": _schema_of_names()},
    )


def _select_tool(site: Site) -> Callable[..., Any]:
    names = vars(site.module)
    sanitize = original_of(names["sanitize_tool_name"])

    def fast(usage: Any, tool_name: Any) -> Any:
        if names["SequenceMatcher"] is not _matcher:
            raise Declined("patched: SequenceMatcher")
        if original_of(names["sanitize_tool_name"]) is not sanitize:
            raise Declined("patched: sanitize_tool_name")
        tools = usage.tools
        if type(tools) is not list:
            raise Declined("tools that are not a list")
        given = [tool_name, *[tool.name for tool in tools]]
        if not all(type(name) is str for name in given):
            raise Declined("a name that is not a string")
        wanted, *found = map(names["sanitize_tool_name"], given)
        if not all(type(name) is str and len(name) < _SHORT for name in (wanted, *found)):
            raise Declined("an unusual name")
        if wanted not in found:
            raise Declined("no tool of exactly this name")
        # Only an equal name has the highest ratio, and the first of them stays the first.
        return tools[found.index(wanted)]

    return fast


ROUTES = (
    Route(
        name="tools.use",
        target=f"{_USAGE}._use",
        why="every use of a tool makes its JSON schema to read the names (20 % of a ReAct step)",
        build=_use,
        reads=PYDANTIC,
    ),
    Route(
        name="tools.use-async",
        target=f"{_USAGE}._ause",
        why="every use of a tool makes its JSON schema to read the names",
        build=_use,
        reads=PYDANTIC,
    ),
    Route(
        name="tools.selection",
        target=f"{_USAGE}._select_tool",
        why="twice a step every tool's name is compared by difflib (15 % of it with 20 tools)",
        build=_select_tool,
        pure=True,
    ),
)
