"""Reading a ReAct answer, and repairing the input it ends with, in linear time.

CrewAI's regular expressions try every way of sharing out white space between their parts: on
``Action:`` and 800 line breaks they take 0.4 s, on 1,600 eight times that. Here each part is looked
for once; the rest of the function is CrewAI's own, compiled again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fast_crewai.hooks.areas.json_repairing import Repairing
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Route, Site

_PARSER, _CONSTANTS = "crewai.agents.parser", "crewai.agents.constants"

# "\s*\d*\s*" without the choice between its two "\s*".
_GAP = r"\s*(?:\d+\s*)?"
_ACTION = re.compile(f"Action{_GAP}:")
_INPUT = re.compile(f"Action{_GAP}Input{_GAP}:")


class _Match:
    """As much of a match of ``ACTION_INPUT_REGEX`` as is read."""

    __slots__ = ("_groups",)

    def __init__(self, *groups: str) -> None:
        self._groups = groups

    def group(self, number: int) -> str:
        return self._groups[number - 1]


def action_and_input(text: str) -> _Match | None:
    """What ``ACTION_INPUT_REGEX`` finds.

    It matches from the first action on, if from any: a later one leaves fewer inputs behind it.
    Its lazy group ends before the white space in front of the first input behind the action.
    """
    action = _ACTION.search(text)
    found = _INPUT.search(text, action.end()) if action else None
    if action is None or found is None:
        return None
    return _Match(text[action.end() : found.start()].strip(), text[found.end() :].lstrip())


def _parse(site: Site) -> Callable[..., Any]:
    names = vars(site.module)

    def search(name: str, fast: Callable[[str], Any]) -> Callable[[Any, Any], Any]:
        expected = names[name]

        def found(regex: Any, text: Any) -> Any:
            if regex is not expected or type(text) is not str:
                return regex.search(text)
            return fast(text)

        return found

    ways: dict[str, Callable[[str], Any]] = {
        "ACTION_INPUT_REGEX": action_and_input,
        "ACTION_REGEX": _ACTION.search,  # of these two it only matters whether there is one
        "ACTION_INPUT_ONLY_REGEX": _INPUT.search,
    }
    return recompiled(
        site.original,
        {f"{name}.search(text)": f"_fc_{name.lower()}({name}, text)" for name in ways},
        {f"_fc_{name.lower()}": search(name, fast) for name, fast in ways.items()},
    )


PARSE = Route(
    name="agents.react-parser",
    target=f"{_PARSER}:parse",
    why="the regular expressions take cubic time on line breaks (0.4 s for 800, 3 s for 1,600)",
    build=_parse,
    reads=(
        f"{_CONSTANTS}:ACTION_INPUT_REGEX",
        f"{_CONSTANTS}:ACTION_REGEX",
        f"{_CONSTANTS}:ACTION_INPUT_ONLY_REGEX",
    ),
)


def _safe_repair(site: Site) -> Callable[..., Any]:
    expected, repaired = vars(site.module)["repair_json"], Repairing()

    def repair(function: Any, text: Any) -> Any:
        return repaired(function, text) if function is expected else function(text)

    return recompiled(
        site.original,
        {"repair_json(tool_input)": "_fc_repair(repair_json, tool_input)"},
        {"_fc_repair": repair},
    )


REPAIR = Route(
    name="agents.react-repair",
    target=f"{_PARSER}:_safe_repair_json",
    why="json_repair copies what it has of a string for each character: 12 s for 1 MB cut off",
    build=_safe_repair,
)
