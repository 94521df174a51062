"""``pytest -p fast_crewai.pytest_plugin``: the test session runs with the accelerator on.

Loaded with ``-p``, it is imported before conftest files and tests, hence before CrewAI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import fast_crewai

if TYPE_CHECKING:
    import pytest

fast_crewai.install()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    routes = fast_crewai.status().routes()
    active = sum(route["state"] == "active" for route in routes)
    calls = sum(route["calls"] for route in routes)
    fallbacks = sum(route["fallbacks"] for route in routes)
    terminalreporter.write_line(
        f"fast-crewai: {active} of {len(routes)} routes active, {calls:,} calls, "
        f"{fallbacks:,} fallbacks"
    )
