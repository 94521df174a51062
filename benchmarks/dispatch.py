"""What a route's own bookkeeping costs: a call through a dispatcher, less the function it calls.

python benchmarks/dispatch.py
"""

from __future__ import annotations

import sys
import timeit
import types

from harness import interleave, line, write

from fast_crewai.hooks.dispatch import Dispatcher, Tally
from fast_crewai.hooks.route import Route, locate

CALLS = 20_000
ROUNDS = 21


def bare(value: object) -> object:
    return value


def dispatched() -> types.FunctionType:
    """`bare` behind a dispatcher with one watched collaborator, as most routes have."""
    module = types.ModuleType("bench_target")
    sys.modules["bench_target"] = module
    exec("def helper(): ...\ndef target(value): return value", vars(module))
    route = Route(
        "tools.bench", "bench_target:target", "", lambda _: bare, reads=("bench_target:helper",)
    )
    dispatcher = Dispatcher(route, locate(route.target), Tally(route.name))
    dispatcher.watch()
    dispatcher.switch(True)
    return dispatcher.function


def nanoseconds(function: object) -> float:
    """The best of a few short runs: the others were interrupted."""
    runs = timeit.repeat("f(1)", globals={"f": function}, number=CALLS, repeat=5)
    return min(runs) / CALLS * 1e9


def main() -> None:
    routed = dispatched()
    assert routed(1) == bare(1)
    samples = interleave(
        {"direct": lambda: nanoseconds(bare), "routed": lambda: nanoseconds(routed)}, ROUNDS
    )
    extra = [on - off for off, on in zip(samples["direct"], samples["routed"], strict=True)]
    print(line("function called directly", samples["direct"], "ns"))
    print(line("same function through its route", samples["routed"], "ns"))
    print(line("bookkeeping", extra, "ns"))
    print(f"written to {write('dispatch', {'unit': 'ns', **samples, 'bookkeeping': extra})}")


if __name__ == "__main__":
    main()
