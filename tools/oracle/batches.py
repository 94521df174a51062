"""Cutting the suite into batches: the same ones, in the same order, whatever runs them.

A batch is one interpreter. Tests of CrewAI's depend on what ran before them in the process, so
both sides of a comparison must have the same neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MAX_FILES = 12
MAX_FILES_OF_LIST = 30
MAX_TESTS = 400


@dataclass(frozen=True)
class Batch:
    number: int
    files: tuple[str, ...]


def plan(
    files: Iterable[str],
    sizes: Mapping[str, int],
    max_files: int = MAX_FILES,
    max_tests: int = MAX_TESTS,
) -> list[Batch]:
    """Consecutive files, cut where a batch has enough files or (where known) tests."""
    batches: list[Batch] = []
    current: list[str] = []
    tests = 0
    for file in files:
        size = sizes.get(file, 0)
        if current and (len(current) == max_files or tests + size > max_tests):
            batches.append(Batch(len(batches), tuple(current)))
            current, tests = [], 0
        current.append(file)
        tests += size
    if current:
        batches.append(Batch(len(batches), tuple(current)))
    return batches
