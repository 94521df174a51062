"""The long form of test_routes.py: any route against its original, for as long as you like.

    python tests/property/fuzz.py [--seconds 60] [--route tools.input tasks.partial-json …]

Ends with the smallest example that differs. Found ones go into the corpus of the route's strategy.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))  # as conftest.py

from hypothesis import HealthCheck, given, settings
from strategies.routes import case_for

import fast_crewai
from fast_crewai import engine

MODEL_OUTPUT = ["agents.react-parser", "agents.react-repair", "tools.input", "tasks.partial-json"]
BATCH = settings(
    max_examples=1_000, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


def fuzz(route: str, seconds: float) -> int:
    """How many examples were equal. Raises AssertionError for one that isn't."""
    state = engine.registry().states[route]
    assert state.dispatcher, f"{route}: {state.reason}"
    ours = state.dispatcher.attribute
    case, equal = case_for(route, state.dispatcher.site.namespace), 0

    @BATCH
    @given(case.examples)
    def check(example: Any) -> None:
        nonlocal equal
        assert case.observe(ours, example) == case.observe(ours.__wrapped__, example)
        equal += 1

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        check()
    return equal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--route", nargs="+", default=MODEL_OUTPUT)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    fast_crewai.install()
    for route in args.route:
        print(f"{route}: {fuzz(route, args.seconds)} examples, no difference", flush=True)


if __name__ == "__main__":
    main()
