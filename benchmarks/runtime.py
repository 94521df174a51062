"""CPU of a step, a task, a flow method: plain against accelerated, in turns.

    python benchmarks/runtime.py [--rounds 9] [--workload react …]

The workloads are in workloads.py: `research` is examples/research_crew.py (OpenAI provider over
loopback, tools, structured output), the others have models that cost nothing. The outputs must be
equal before anything is measured.
"""

from __future__ import annotations

import argparse
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
    args = parser.parse_args()
    results: dict[str, Any] = {"unit": "CPU ms"}
    for workload in args.workload:
        samples = measure(workload, args.rounds, "cpu_ms")
        ratios = [off / on for off, on in zip(samples["off"], samples["on"], strict=True)]
        for side, values in samples.items():
            print(line(f"{workload}, {side}", values, f"ms/{WORKLOADS[workload]}"))
        print(line(f"{workload}, off / on", ratios, "x"), flush=True)
        results[workload] = {**samples, "ratio": ratios, "per": WORKLOADS[workload]}
    print(f"written to {write('runtime', results)}")


if __name__ == "__main__":
    main()
