"""Crews per second when many run at once (`akickoff`, three model calls of 0.1 s each).

    python benchmarks/concurrency.py [--rounds 7] [--crews 50 200]

Plain and accelerated in turns; the outputs must be equal before anything is measured.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from harness import line, write
from sides import measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--crews", type=int, choices=[50, 200], nargs="+", default=[50, 200])
    args = parser.parse_args()
    gains: dict[str, float] = {}
    results: dict[str, Any] = {"unit": "crews per second", "times_faster": gains}
    for count in args.crews:
        waits = measure(f"crews-{count}", args.rounds)["wall_ms"]
        rates = {side: [1e3 / value for value in values] for side, values in waits.items()}
        ratios = [on / off for off, on in zip(rates["off"], rates["on"], strict=True)]
        for side, values in rates.items():
            print(line(f"{count} crews at once, {side}", values, "crews/s"))
        print(line(f"{count} crews at once, on / off", ratios, "x"), flush=True)
        results[f"crews-{count}"] = {**rates, "ratio": ratios}
        gains[f"{count} crews at once"] = statistics.median(ratios)
    print(f"written to {write('concurrency', results)}")


if __name__ == "__main__":
    main()
