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
from fast_crewai.hooks import store
from fast_crewai.imports import texts


@pytest.fixture(scope="module")
def routes() -> Generator[dict[str, Any], None, None]:
    """All routes by name, active for the tests of a module."""
    fast_crewai.install()
    yield engine.registry().states
    fast_crewai.uninstall()


@pytest.fixture
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Generator[None, None, None]:
    """A store of what imports have compiled, for one test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(store, "_entries", None)
        patch.setattr(store, "_used", {})
        patch.setattr(store, "_new", False)
        store._place.cache_clear()
        yield
    store._place.cache_clear()
    texts.end()


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
