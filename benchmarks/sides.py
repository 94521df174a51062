"""The two sides of a benchmark: long-lived processes, plain and accelerated, asked in turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "examples"))

from model_server import ModelServer  # noqa: E402
from research_script import SCRIPT  # noqa: E402

SIDES = {"off": [], "on": ["-m", "fast_crewai", "run"]}


class Worker:
    """One process that runs a workload of workloads.py on demand."""

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
        program = [str(HERE / "workloads.py"), workload, base_url]
        self._process = subprocess.Popen(
            [sys.executable, *SIDES[side], *program],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self) -> dict[str, Any]:
        """One run: what workloads.py answers. Raises RuntimeError when the process has ended."""
        assert self._process.stdin and self._process.stdout
        print(file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the workload ended with {self._process.wait()}")
        return json.loads(answer)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._process.communicate()


@contextmanager
def both(workload: str) -> Iterator[dict[str, Worker]]:
    """A worker for each side. Raises AssertionError if their outputs differ."""
    with ModelServer(SCRIPT) as server, tempfile.TemporaryDirectory() as storage:
        workers = {
            side: Worker(side, workload, server.base_url, str(Path(storage) / side))
            for side in SIDES
        }
        try:
            first = {side: worker.run()["output"] for side, worker in workers.items()}
            assert first["off"] == first["on"], f"outputs differ: {first}"
            yield workers
        finally:
            for worker in workers.values():
                worker.close()


def measure(workload: str, rounds: int, what: str) -> dict[str, list[float]]:
    """Both sides' ``what`` ("cpu_ms" or "wall_ms") per unit of the workload."""
    from harness import interleave

    with both(workload) as workers:
        for worker in workers.values():
            worker.run()  # warm

        def per_unit(worker: Worker) -> float:
            answer = worker.run()
            return float(answer[what]) / float(answer["units"])

        sides = {side: lambda w=worker: per_unit(w) for side, worker in workers.items()}
        return interleave(sides, rounds)
