"""The installed version that telemetry notes on its spans, one for every use of a tool.

``importlib.metadata.version`` parses the package's whole METADATA with the e-mail parser. Here the
distribution is found and its METADATA read as there; the text is parsed when it is another one.
"""

from __future__ import annotations

import importlib.metadata
import types
from collections.abc import Callable
from typing import Any

from fast_crewai.hooks.route import Route, Site, TargetError

_FILE = "METADATA"
_ATTRIBUTES = ("version", "metadata", "read_text")


class _Only(importlib.metadata.PathDistribution):
    """A distribution that has nothing but the text of its METADATA."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read_text(self, filename: Any) -> str:
        if filename != _FILE:
            raise ValueError("the version isn't in METADATA")
        return self._text


def _is_of(text: str, version: str) -> bool:
    """Whether this text alone gives the version (the file was read again, and may have changed)."""
    try:
        return bool(_Only(text).version == version)
    except Exception:
        return False


def _attributes(kind: type) -> list[Any]:
    return [vars(owner).get(name) for owner in kind.__mro__ for name in _ATTRIBUTES]


def _version(site: Site) -> Callable[..., Any]:
    original, plain = site.original, importlib.metadata.PathDistribution
    code = getattr(original, "__code__", None)
    if type(code) is not types.CodeType or code.co_names != ("distribution", "version"):
        raise TargetError("importlib.metadata is not what it was")
    machinery, namespace = _attributes(plain), original.__globals__
    kept: tuple[str, str] | None = None  # text and version of the METADATA read last

    def fast(distribution_name: Any) -> Any:
        nonlocal kept
        found = namespace["distribution"](distribution_name)
        if type(found) is not plain or _attributes(plain) != machinery:
            return found.version
        text = found.read_text(_FILE)
        known = kept
        if known is not None and text == known[0]:
            return known[1]
        version = found.version
        if type(text) is str and type(version) is str and _is_of(text, version):
            kept = text, version
        return version

    return fast


PACKAGE_VERSION = Route(
    name="tools.package-version",
    target="crewai.telemetry.telemetry:version",
    why="with telemetry on, the default, every use of a tool parses 36 KB of METADATA (0.8 ms)",
    build=_version,
)
