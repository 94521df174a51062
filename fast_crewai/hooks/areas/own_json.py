"""Whether Python's ``json`` reads and writes as it did when we came; what we do natively is that.

Tracers may have replaced its functions before us, and count.
"""

from __future__ import annotations

import json
from operator import is_
from typing import Any

from fast_crewai._core import Declined

_READING = ("decode", "raw_decode")
_WRITING = ("encode", "iterencode", "default")
_OPTIONS = ("skipkeys", "ensure_ascii", "check_circular", "allow_nan", "sort_keys", "indent")
_SEPARATORS = ("item_separator", "key_separator")


def _methods(owner: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    own = getattr(owner, "__dict__", ())
    return (*(getattr(type(owner), name, None) for name in names), *(name in own for name in names))


def _reader() -> tuple[Any, ...]:
    """What ``json.loads`` decodes with."""
    decoder: Any = getattr(json, "_default_decoder", None)
    scan = getattr(decoder, "scan_once", None)
    return json.loads, json.JSONDecoder, decoder, scan, *_methods(decoder, _READING)


def _writer() -> tuple[Any, ...]:
    """What ``json.dumps`` without options encodes with."""
    encoder: Any = getattr(json, "_default_encoder", None)
    module: Any = json.encoder
    return (
        *(json.dumps, json.JSONEncoder, encoder, *_methods(encoder, _WRITING)),
        *(getattr(encoder, name, None) for name in (*_OPTIONS, *_SEPARATORS)),
        *(module.encode_basestring_ascii, module.c_make_encoder),
    )


_reads, _writes = _reader(), _writer()
_is_own = all(
    getattr(function, "__globals__", None) is vars(json) for function in (_reads[0], _writes[0])
)


def check_reading(module: Any) -> None:
    """Raise Declined unless a module that uses this ``json`` reads as usual."""
    if module is not json or not _is_own or not all(map(is_, _reader(), _reads)):
        raise Declined("patched: json")


def writes_as_usual(module: Any) -> bool:
    """Whether a module that uses this ``json`` writes as usual."""
    return module is json and _is_own and all(map(is_, _writer(), _writes))
