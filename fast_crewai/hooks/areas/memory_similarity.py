"""The comparison of every pair of a batch of memories, in Rust, equal to the bit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fast_crewai import _core
from fast_crewai.hooks.route import Site

_sqrt = math.sqrt
# Python 3.12 and later compensate what adding floats loses.
_COMPENSATED = sum([1e100, 1.0, -1e100]) == 1.0


def cosine_similarity(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``EncodingFlow._cosine_similarity``."""
    own = vars(site.module)

    def fast(a: Any, b: Any) -> Any:
        if own["math"] is not math or math.sqrt is not _sqrt:
            raise _core.Declined("patched: math")
        if type(a) is not list or type(b) is not list:
            raise _core.Declined("a vector that isn't a list of floats")
        return _core.cosine_similarity(a, b, _COMPENSATED)

    return fast
