"""CrewAI's function compiled again: what is replaced, and what isn't."""

import itertools
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from fast_crewai.hooks.areas.recompile import evaluating, recompiled
from fast_crewai.hooks.route import TargetError


def pairs(numbers: list[int]) -> list[int]:
    found = []
    for number in list(numbers):
        found.append(number)
        for other in list(numbers):
            found += [number, other]
    return found


def noted() -> Any:
    return sys.getswitchinterval()


def test_what_is_new_in_a_loop_is_not_looked_into() -> None:
    """A replacement may hold the expression that it replaces: that one is CrewAI's."""
    calls = itertools.count()

    def passed(numbers: list[int]) -> Iterator[int]:
        next(calls)
        return iter(numbers)

    again = recompiled(pairs, {"list(numbers)": "_fc(list(numbers))"}, {"_fc": passed})
    assert again([1, 2]) == pairs([1, 2])
    assert next(calls) == 3  # one outer loop, two inner ones


def test_what_a_loop_goes_through_is_replaced() -> None:
    again = recompiled(pairs, {"list(numbers)": "_fc(numbers)"}, {"_fc": reversed})
    assert again([1, 2]) == [2, 2, 2, 2, 1, 1, 1, 2, 1, 1]


def test_an_expression_alone_is_of_its_function() -> None:
    alone = evaluating(noted, "sys.getswitchinterval()")
    assert alone() == noted()
    code, whole = alone.__code__, noted.__code__
    assert (code.co_name, code.co_filename) == (whole.co_name, whole.co_filename)
    assert whole.co_firstlineno + 1 in {line for *_, line in code.co_lines()}
    assert alone.__globals__ is noted.__globals__
    with pytest.raises(TargetError):
        evaluating(noted, "sys.exit()")
