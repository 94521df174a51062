"""Does a long-lived process grow, or slow down, with the number of kickoffs?

    python benchmarks/soak.py [--kickoffs 2000]

Plain and accelerated side by side: resident memory after the first tenth and at the end, what of
it a kickoff leaves for good (least squares over the second half, where garbage was collected
before each measurement), and the CPU of a kickoff in the second and the last tenth.
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
    if args.kickoffs < 100:
        parser.error("--kickoffs: 100 at least, to compare the tenths")
    rows: dict[str, list[dict[str, Any]]] = {"off": [], "on": []}
    tenth = args.kickoffs // 10
    every = max(1, args.kickoffs // 40)
    with both("one-answer") as workers:
        for number in range(args.kickoffs):
            for side, worker in workers.items():
                rows[side].append(worker.run(collect=number % every == 0))
    results: dict[str, Any] = {"kickoffs": args.kickoffs}
    for side, answers in rows.items():
        rss = [float(answer["rss_kb"]) for answer in answers]
        cpu = [float(answer["cpu_ms"]) for answer in answers]
        first, last = statistics.median(cpu[tenth : 2 * tenth]), statistics.median(cpu[-tenth:])
        collected = rss[::every]
        kept = slope(collected[len(collected) // 2 :]) / every * 1024
        print(
            f"{side:4} {rss[tenth] / 1024:.0f} -> {rss[-1] / 1024:.0f} MB, "
            f"{kept:.0f} B kept a kickoff; CPU of a kickoff {first:.2f} -> {last:.2f} ms"
        )
        results[side] = {"kept_bytes": kept, "rss_kb": rss, "cpu_ms": cpu}
    print(f"written to {write('soak', results)}")


if __name__ == "__main__":
    main()
