"""CPU and wall time of a step, a task, a flow method: plain against accelerated, in turns.

    python benchmarks/runtime.py [--rounds 9] [--workload react …] [--telemetry]

The workloads are in workloads.py: `research` is examples/research_crew.py (OpenAI provider over
loopback, tools, structured output), the others have models that cost nothing. The outputs must be
equal before anything is measured. CrewAI's telemetry is off, unless asked for: then it does all
that it does by default, but for a proxy that lets nothing out.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from harness import line, write
from sides import measure

# name → unit; what workloads.py calls it
WORKLOADS = {
    "react": "step",
    "react-20-tools": "step",
    "native-3-tools": "step",
    "history-300": "step",
    "sequential": "task",
    "hierarchical": "step",
    "structured": "task",
    "flow": "method",
    "verbose": "step",
    "one-answer": "kickoff",
    "agent": "kickoff",
    "research": "crew",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--workload", choices=WORKLOADS, nargs="+", default=list(WORKLOADS))
    parser.add_argument("--telemetry", action="store_true")
    args = parser.parse_args()
    gains: dict[str, dict[str, float]] = {}
    results: dict[str, Any] = {"telemetry": args.telemetry, "times_faster": gains}
    for workload in args.workload:
        unit = WORKLOADS[workload]
        results[workload] = {"per": unit}
        gains[workload] = {}
        for what, samples in measure(workload, args.rounds, args.telemetry).items():
            name = f"{workload}, {what.partition('_')[0]}"
            ratios = [off / on for off, on in zip(samples["off"], samples["on"], strict=True)]
            for side, values in samples.items():
                print(line(f"{name}, {side}", values, f"ms/{unit}"))
            print(line(f"{name}, off / on", ratios, "x"), flush=True)
            results[workload][what] = {**samples, "ratio": ratios}
            gains[workload][what.removesuffix("_ms")] = statistics.median(ratios)
    print(f"written to {write('runtime', results)}")


if __name__ == "__main__":
    main()
