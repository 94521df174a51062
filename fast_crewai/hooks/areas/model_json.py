"""A route that finds JSON in what a model has written (component tasks); see also tool_input.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fast_crewai.hooks.areas.json_texts import span
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
