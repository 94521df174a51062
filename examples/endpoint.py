"""Where an example finds its model: a real endpoint, or `ModelServer` on loopback.

Without a key and without options the examples run offline: they start the server themselves,
what CrewAI sends home (telemetry, traces, its version check) is off, and its files go to a folder
that is removed at the end.
"""

from __future__ import annotations

import argparse
import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from model_server import ModelServer, Rule

DEFAULT_MODEL = "openai/gpt-4o-mini"
OPENAI = "api.openai.com"


@dataclass(frozen=True)
class Endpoint:
    """The model to talk to."""

    model: str
    base_url: str | None
    offline: bool
    alias: str | None = None
    show_requests: bool = False

    @contextmanager
    def connect(self, script: Sequence[Rule]) -> Iterator[dict[str, Any]]:
        """The arguments of `LLM`; offline, a server with this script runs meanwhile."""
        if self.offline:
            with ModelServer(script, alias=self.alias) as server:
                yield {"model": self.model, "base_url": server.base_url, "api_key": "not-needed"}
            if self.show_requests:
                print(f"Requests: {server.counts}", file=sys.stderr)
            return
        settings = {"model": self.model, "api_key": os.environ.get("OPENAI_API_KEY", "not-needed")}
        if self.base_url:
            settings["base_url"] = self.base_url
        yield settings


def choose_endpoint(description: str | None) -> Endpoint:
    """Read the command line. Call it before CrewAI is imported: it sets the environment."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--base-url", help="an OpenAI-compatible endpoint to use")
    parser.add_argument("--model", help="the model to use (default: openai/gpt-4o-mini)")
    parser.add_argument("--offline", action="store_true", help="use the built-in server anyway")
    parser.add_argument(
        "--as-openai",
        action="store_true",
        help="offline: give the built-in server OpenAI's name, so that CrewAI counts tokens too",
    )
    parser.add_argument(
        "--show-requests", action="store_true", help="offline: say how many there were, on stderr"
    )
    given = parser.parse_args()

    online = given.base_url or given.model or os.environ.get("OPENAI_API_KEY")
    if not online or given.offline or given.as_openai:
        _go_offline()
        alias = OPENAI if given.as_openai else None
        return Endpoint(DEFAULT_MODEL, None, True, alias, given.show_requests)
    return Endpoint(given.model or DEFAULT_MODEL, given.base_url, False)


def _go_offline() -> None:
    """No connection leaves this machine, and no file stays behind."""
    folder = tempfile.mkdtemp(prefix="crewai-example-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    tempfile.tempdir = folder  # CrewAI's lock files
    os.environ.update(
        CREWAI_STORAGE_DIR=folder,
        HOME=folder,  # CrewAI's settings and caches
        CREWAI_DISABLE_TELEMETRY="true",
        CREWAI_DISABLE_VERSION_CHECK="true",
        CREWAI_TRACING_ENABLED="false",
        OTEL_SDK_DISABLED="true",
        NO_PROXY=f"127.0.0.1,{OPENAI}",  # the server is on this machine, whatever proxy is set
        no_proxy=f"127.0.0.1,{OPENAI}",
    )
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "REDIS_URL"):
        os.environ.pop(name, None)
    # On compatible servers CrewAI warns before each call that it estimates the tokens.
    logging.getLogger("crewai.llms.base_llm").setLevel(logging.ERROR)
