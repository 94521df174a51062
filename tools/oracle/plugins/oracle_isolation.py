"""Tests of CrewAI's don't see this machine, its user, the network or each other."""

from __future__ import annotations

import contextvars
import itertools
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

# Keys have to be there, endpoints have to be the recorded ones, and nothing may phone home.
ENVIRONMENT = {
    "ANONYMIZED_TELEMETRY": "False",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_PERSONAL_ACCESS_TOKEN": "fake-personal-token",
    "CREWAI_PLUS_URL": "https://fake.crewai.com",
    "CREWAI_TESTING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "MEM0_TELEMETRY": "False",
    "OTEL_SDK_DISABLED": "true",
    "ANTHROPIC_API_KEY": "fake-anthropic-key",
    "AWS_ACCESS_KEY_ID": "fake-aws-access-key",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_SECRET_ACCESS_KEY": "fake-aws-secret-key",
    "AZURE_API_KEY": "fake-azure-key",
    "AZURE_API_VERSION": "2024-02-15-preview",
    "AZURE_ENDPOINT": "https://fake-azure-endpoint.openai.azure.com",
    "AZURE_OPENAI_API_KEY": "fake-azure-openai-key",
    "AZURE_OPENAI_ENDPOINT": "https://fake-azure-endpoint.openai.azure.com",
    "BRAVE_API_KEY": "fake-brave-key",
    "EXA_API_KEY": "fake-exa-key",
    "GEMINI_API_KEY": "fake-gemini-key",
    "OPENAI_API_KEY": "fake-api-key",
    "OPENAI_API_VERSION": "2024-02-15-preview",
    "OPENROUTER_API_KEY": "fake-openrouter-key",
    "SERPER_API_KEY": "fake-serper-key",
    "TAVILY_API_KEY": "fake-tavily-key",
}
LOOPBACK = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "", None}

_scratch = Path(tempfile.mkdtemp(prefix="crewai-oracle-"))
_number = itertools.count()


def _settle(place: Path) -> Path:
    """Make ``place`` the home of what runs from now on; returns its storage folder."""
    home, storage = place / "home", place / "storage"
    home.mkdir(parents=True)
    storage.mkdir()
    os.environ.update(ENVIRONMENT, HOME=str(home), CREWAI_STORAGE_DIR=str(storage))
    return storage


_settle(_scratch / "session")  # for what is read while CrewAI and the test files are imported


@pytest.fixture(autouse=True)
def private_environment() -> Iterator[None]:
    """A home, a storage folder and an environment for each test."""
    before, folder = dict(os.environ), Path.cwd()
    storage = _settle(_scratch / f"test{next(_number):05d}")
    yield
    os.chdir(folder)
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)
    # the home stays until the process ends: CrewAI keeps paths below it
    shutil.rmtree(storage, ignore_errors=True)


def pytest_unconfigure() -> None:
    shutil.rmtree(_scratch, ignore_errors=True)


# ------------------------------------------------------------------------- network


class OfflineError(OSError):
    """A test wanted to leave the machine."""


_getaddrinfo = socket.getaddrinfo
_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex


def _is_local(host: Any) -> bool:
    return (host.decode("ascii", "replace") if isinstance(host, bytes) else host) in LOOPBACK


def _check(connection: socket.socket, address: Any) -> None:
    internet = connection.family in (socket.AF_INET, socket.AF_INET6)
    if internet and not _is_local(address[0]):
        raise OfflineError(f"the oracle is offline: {address!r}")


def _offline_getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
    if not _is_local(host):
        raise socket.gaierror(socket.EAI_NONAME, f"the oracle is offline: {host!r}")
    return _getaddrinfo(host, *arguments, **options)


def _offline_connect(self: socket.socket, address: Any) -> None:
    _check(self, address)
    _connect(self, address)


def _offline_connect_ex(self: socket.socket, address: Any) -> int:
    _check(self, address)
    return _connect_ex(self, address)


# threads of earlier tests too: for the life of the process
socket.getaddrinfo = _offline_getaddrinfo
socket.socket.connect = _offline_connect  # type: ignore[method-assign,assignment]
socket.socket.connect_ex = _offline_connect_ex  # type: ignore[method-assign,assignment]


# -------------------------------------------------------------------- CrewAI's state


@pytest.fixture(autouse=True)
def clean_events() -> Iterator[None]:
    """The event bus, the event context and the tracing of each test are new."""
    _no_backoff()
    with suppress(ImportError, AttributeError):  # earlier releases have no such state
        from crewai.events import base_events, event_context

        base_events.reset_emission_counter()
        event_context._event_id_stack.set(())
        event_context._event_context_config.set(event_context.EventContextConfig())
    yield
    _forget_tracing()
    with suppress(ImportError, AttributeError):
        from crewai.events.event_bus import crewai_event_bus as bus

        with bus._rwlock.w_locked():
            bus._sync_handlers.clear()
            bus._async_handlers.clear()


def _no_backoff() -> None:
    """Clients don't sleep before they ask again.

    CrewAI counts tokens by requests that no recording has; each would cost 1.5 s of waiting.
    """
    for name in ("openai._base_client", "anthropic._base_client"):
        client = getattr(sys.modules.get(name), "BaseClient", None)
        if client is not None and "_calculate_retry_timeout" in vars(client):
            client._calculate_retry_timeout = lambda *arguments, **options: 0.0


def _forget_tracing() -> None:
    """The trace listener is one object per process: the next test gets a new one."""
    tracing = "crewai.events.listeners.tracing"
    listener = getattr(
        sys.modules.get(f"{tracing}.trace_listener"), "TraceCollectionListener", None
    )
    if listener is not None:
        listener._instance = None
        for flag in ("_initialized", "_listeners_setup"):
            if flag in vars(listener):
                setattr(listener, flag, False)
    utils = sys.modules.get(f"{tracing}.utils")
    for name, value in (
        ("_tracing_enabled", None),
        ("_first_time_trace_hook", None),
        ("_suppress_tracing_messages", False),
        ("_tui_mode", False),
    ):
        variable = getattr(utils, name, None)
        if isinstance(variable, contextvars.ContextVar):
            variable.set(value)
