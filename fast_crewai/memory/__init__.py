"""Texts found by their words."""

from __future__ import annotations

from fast_crewai.memory.storage import AcceleratedMemoryStorage

__all__ = ["AcceleratedMemoryStorage"]
