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


def _defaults(function: Any) -> tuple[Any, ...]:
    """A function's code, and what its options are when none are given."""
    return getattr(function, "__code__", None), *(
        getattr(function, "__kwdefaults__", None) or {}
    ).values()


def _reader() -> tuple[Any, ...]:
    """What ``json.loads`` decodes with."""
    decoder: Any = getattr(json, "_default_decoder", None)
    scan = getattr(decoder, "scan_once", None)
    return (
        *(json.loads, json.JSONDecoder, decoder, scan, *_methods(decoder, _READING)),
        *_defaults(json.loads),
    )


def _writer() -> tuple[Any, ...]:
    """What ``json.dumps`` without options encodes with."""
    encoder: Any = getattr(json, "_default_encoder", None)
    module: Any = json.encoder
    return (
        *(json.dumps, json.JSONEncoder, encoder, *_methods(encoder, _WRITING)),
        *(getattr(encoder, name, None) for name in (*_OPTIONS, *_SEPARATORS)),
        *(module.encode_basestring_ascii, module.c_make_encoder),
        *_defaults(json.dumps),
    )


def _is_pythons(function: Any, module: Any) -> bool:
    """Whether a function is the module's, and its code, too."""
    code = getattr(function, "__code__", None)
    return (
        getattr(function, "__globals__", None) is vars(module)
        and getattr(code, "co_filename", "") == module.__file__
    )


def _is_untouched() -> bool:
    """Whether ``json`` is Python's own, as far as we use it."""
    encoder: Any = getattr(json, "_default_encoder", None)
    decoder: Any = getattr(json, "_default_decoder", None)
    if type(encoder) is not json.encoder.JSONEncoder or type(decoder) is not json.JSONDecoder:
        return False
    fresh: Any = json.encoder.JSONEncoder()
    return (
        all(_is_pythons(function, json) for function in (json.dumps, json.loads))
        and all(_is_pythons(getattr(type(encoder), name), json.encoder) for name in _WRITING)
        and all(_is_pythons(getattr(type(decoder), name), json.decoder) for name in _READING)
        and vars(encoder) == vars(fresh)
        and not any((json.loads.__kwdefaults__ or {}).values())
        and all(
            value == vars(fresh).get(name)
            for name, value in (json.dumps.__kwdefaults__ or {}).items()
        )
    )


_reads, _writes = _reader(), _writer()
_is_own = _is_untouched()


def check_reading(module: Any) -> None:
    """Raise Declined unless a module that uses this ``json`` reads as usual."""
    if module is not json or not _is_own or not all(map(is_, _reader(), _reads)):
        raise Declined("patched: json")


def writes_as_usual(module: Any) -> bool:
    """Whether a module that uses this ``json`` writes as usual."""
    return module is json and _is_own and all(map(is_, _writer(), _writes))
