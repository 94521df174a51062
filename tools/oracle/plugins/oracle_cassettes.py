"""CrewAI's recorded requests: played back, never recorded, the same for every provider's host."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

HOSTS = (
    (
        re.compile(r"//bedrock-runtime\.[a-z0-9-]+\.amazonaws\.com"),
        "//bedrock-runtime.vcr.amazonaws.com",
    ),
    (re.compile(r"//[^/]+\.openai\.azure\.com"), "//fake-azure-endpoint.openai.azure.com"),
)


def _recorded_host(request: Any) -> Any:
    """The recordings have placeholders for hosts: both sides of a comparison get those."""
    uri = request.uri
    for pattern, placeholder in HOSTS:
        uri = pattern.sub(placeholder, uri)
    if uri != request.uri:
        request.uri = uri
    request.method = request.method.upper()
    return request


def _playable(response: dict[str, Any]) -> dict[str, Any] | None:
    """Leave out recordings that are empty or errors; unzip zipped ones.

    vcrpy asks this as it loads a recording, so it decides which answer is the n-th.
    """
    body = (response.get("body") or {}).get("string") or b""
    headers = response.get("headers") or {}
    names = {str(name).lower(): name for name in headers}

    def first(name: str) -> Any:
        value = headers.get(names.get(name))
        return value[0] if isinstance(value, list) and value else value

    code = (response.get("status") or {}).get("code")
    is_error = isinstance(code, int) and code >= 400
    if not body or first("content-length") == "0" or is_error:
        return None
    if first("content-encoding") == "gzip":
        del headers[names["content-encoding"]]
        if isinstance(body, bytes) and body.startswith(b"\x1f\x8b"):
            response["body"]["string"] = gzip.decompress(body)
    return response


@pytest.fixture(scope="module")
def vcr_cassette_dir(request: pytest.FixtureRequest) -> str:
    """The folder of recordings that mirrors the test file's folder."""
    tests = Path(str(request.config.rootpath)) / "tests"
    folder = request.path.resolve().parent
    recordings = tests / "cassettes"
    if folder.is_relative_to(tests):
        return str(recordings / folder.relative_to(tests))
    return str(recordings)


@pytest.fixture(scope="module")
def vcr_config(vcr_cassette_dir: str) -> dict[str, Any]:
    return {
        "cassette_library_dir": vcr_cassette_dir,
        "record_mode": "none",
        "match_on": ["method", "scheme", "host", "port", "path"],
        "before_record_request": _recorded_host,
        "before_record_response": _playable,
        "filter_query_parameters": ["key"],
    }


def pytest_recording_configure(config: pytest.Config, vcr: Any) -> None:
    # earlier suites name this matcher in a mark
    vcr.register_matcher("bedrock_host", lambda one, other: one.host == other.host)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "telemetry: telemetry is under test")
