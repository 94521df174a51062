"""Routes of tools (component ``tools``)."""

from __future__ import annotations

from fast_crewai import _core
from fast_crewai.hooks.areas import schemas, tool_use
from fast_crewai.hooks.areas.package_version import PACKAGE_VERSION
from fast_crewai.hooks.areas.private_attributes import private_attributes
from fast_crewai.hooks.areas.tool_input import TOOL_INPUT
from fast_crewai.hooks.route import Route

_STRINGS = "crewai.utilities.string_utils"

ROUTES = (
    Route(
        name="tools.sanitize-tool-name",
        target=f"{_STRINGS}:sanitize_tool_name",
        why="called for every tool at every step, six regular expressions each",
        build=lambda site: _core.sanitize_tool_name,
        pure=True,
        reads=(
            f"{_STRINGS}:_CAMEL_UPPER_LOWER",
            f"{_STRINGS}:_CAMEL_LOWER_UPPER",
            f"{_STRINGS}:_QUOTE_PATTERN",
            f"{_STRINGS}:_DISALLOWED_CHARS_PATTERN",
            f"{_STRINGS}:_DUPLICATE_UNDERSCORE_PATTERN",
        ),
    ),
    *schemas.ROUTES,
    *tool_use.ROUTES,
    TOOL_INPUT,
    PACKAGE_VERSION,
    private_attributes("tools", "crewai.tools.base_tool:BaseTool"),
    private_attributes("tools", "crewai.tools.structured_tool:CrewStructuredTool"),
)
