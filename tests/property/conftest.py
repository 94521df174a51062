"""CrewAI is imported once, quietly, before the tests that compare with it."""

import os
import sys
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))  # model_server

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")
os.environ.setdefault("OTEL_SDK_DISABLED", "true")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # CrewAI's own imports warn
    import crewai
    import crewai.memory.encoding_flow
    import crewai.memory.recall_flow
    import crewai.memory.storage.lancedb_storage  # noqa: F401

import fast_crewai
from fast_crewai import engine


@pytest.fixture(scope="module")
def routes() -> Generator[dict[str, Any], None, None]:
    """All routes by name, active for the tests of a module."""
    fast_crewai.install()
    yield engine.registry().states
    fast_crewai.uninstall()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store of memories, to be copied."""
    from strategies import memories

    folder = tmp_path_factory.mktemp("memories") / "s"
    memories.build(folder, 2)
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """What tests print or log may hold lone surrogates, which xdist can't send: it would end."""
    report = yield
    report.sections = [(name, _sendable(text)) for name, text in report.sections]
    if report.longrepr and _sendable(str(report.longrepr)) != str(report.longrepr):
        report.longrepr = _sendable(str(report.longrepr))
    return report


def _sendable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
