"""Where the ``sitecustomize`` of ``run`` is."""

from __future__ import annotations

from pathlib import Path


def bootstrap_folder() -> Path:
    """The folder that goes first on PYTHONPATH of everything that ``run`` starts."""
    return Path(__file__).resolve().parent.parent / "_sitecustomize"
