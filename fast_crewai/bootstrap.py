"""``import fast_crewai.bootstrap``: upstream's other name for ``import fast_crewai.shim``."""

from __future__ import annotations

from fast_crewai.shim import disable_acceleration, enable_acceleration

__all__ = ["disable_acceleration", "enable_acceleration"]
