"""CPU of whole crew runs, plain against accelerated: two long-lived processes, in turns.

    python benchmarks/crew.py [--rounds 30] [--workload research|react]

research: examples/research_crew.py (OpenAI provider over loopback, tools, structured output).
react: one agent, 20 tool steps in ReAct text format, a model that costs nothing.
The outputs must be equal before anything is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import interleave, line, write

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "examples"))

from model_server import ModelServer  # noqa: E402
from research_script import SCRIPT  # noqa: E402

SIDES = {"off": [], "on": ["-m", "fast_crewai", "run"]}


class Worker:
    """One process that runs the workload on demand."""

    def __init__(self, side: str, workload: str, base_url: str, storage: str) -> None:
        environment = {
            **os.environ,
            "CREWAI_DISABLE_TELEMETRY": "true",
            "CREWAI_DISABLE_VERSION_CHECK": "true",
            "CREWAI_TRACING_ENABLED": "false",
            "OTEL_SDK_DISABLED": "true",
            "CREWAI_STORAGE_DIR": storage,
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        program = [str(HERE / "crew_worker.py"), workload, base_url]
        self._process = subprocess.Popen(
            [sys.executable, *SIDES[side], *program],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        print(file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        self._process.communicate()


def measure(workload: str, rounds: int) -> dict[str, list[float]]:
    """CPU ms per run of both sides. Raises AssertionError if their outputs differ."""
    with ModelServer(SCRIPT) as server, tempfile.TemporaryDirectory() as storage:
        workers = {side: Worker(side, workload, server.base_url, storage) for side in SIDES}
        try:
            first = {side: worker.run()["output"] for side, worker in workers.items()}
            assert first["off"] == first["on"], f"outputs differ: {first}"
            for worker in workers.values():
                worker.run()  # warm
            return interleave(
                {side: lambda w=worker: w.run()["cpu_ms"] for side, worker in workers.items()},
                rounds,
            )
        finally:
            for worker in workers.values():
                worker.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--workload", choices=["research", "react"], action="append")
    args = parser.parse_args()
    results: dict[str, Any] = {"unit": "CPU ms per crew run"}
    for workload in args.workload or ["research", "react"]:
        samples = measure(workload, args.rounds)
        ratios = [off / on for off, on in zip(samples["off"], samples["on"], strict=True)]
        for side, values in samples.items():
            print(line(f"{workload}, {side}", values, "ms"))
        print(line(f"{workload}, off / on", ratios, "x "))
        results[workload] = {**samples, "ratio": ratios}
    print(f"written to {write('crew', results)}")


if __name__ == "__main__":
    main()
