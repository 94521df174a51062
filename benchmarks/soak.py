"""Does a long-lived process grow, or slow down, with the number of kickoffs?

    python benchmarks/soak.py [--kickoffs 2000]

Plain and accelerated side by side: resident memory per kickoff (least squares over the second
half) and the CPU of a kickoff in the first and the last tenth.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from harness import write
from sides import both


def slope(values: list[float]) -> float:
    """What a value gains with each step, by least squares."""
    return statistics.linear_regression(range(len(values)), values).slope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kickoffs", type=int, default=2000)
    args = parser.parse_args()
    if args.kickoffs < 20:
        parser.error("--kickoffs: 20 at least, to compare the first tenth with the last")
    rows: dict[str, list[dict[str, Any]]] = {"off": [], "on": []}
    with both("one-answer") as workers:
        for _ in range(args.kickoffs):
            for side, worker in workers.items():
                rows[side].append(worker.run())
    results: dict[str, Any] = {"kickoffs": args.kickoffs}
    tenth = args.kickoffs // 10
    for side, answers in rows.items():
        rss = [float(answer["rss_kb"]) for answer in answers]
        cpu = [float(answer["cpu_ms"]) for answer in answers]
        first, last = statistics.median(cpu[tenth : 2 * tenth]), statistics.median(cpu[-tenth:])
        growth = slope(rss[len(rss) // 2 :]) * 1024
        print(
            f"{side:3}  {growth:8.0f} B a kickoff ({rss[0] / 1024:.0f} -> {rss[-1] / 1024:.0f} MB)"
            f"   CPU of a kickoff {first:.2f} -> {last:.2f} ms"
        )
        results[side] = {"bytes_per_kickoff": growth, "cpu_ms": [first, last], "rss_kb": rss}
    print(f"written to {write('soak', results)}")


if __name__ == "__main__":
    main()
