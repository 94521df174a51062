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
sys.path.insert(0, str(HERE.parent / "_examples"))  # its name in a wheel

from model_server import ModelServer  # noqa: E402
from research_script import SCRIPT  # noqa: E402

SIDES = {"off": [], "on": ["-m", "fast_crewai", "run"]}
SILENT = {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true"}
TELEMETRY = {"HTTPS_PROXY": "http://127.0.0.1:9"}  # on, as by default, but nothing gets out


class Worker:
    """One process that runs a workload of workloads.py on demand."""

    def __init__(
        self, side: str, workload: str, base_url: str, storage: str, telemetry: bool = False
    ) -> None:
        environment = {
            **os.environ,
            **(TELEMETRY if telemetry else SILENT),
            "CREWAI_DISABLE_VERSION_CHECK": "true",
            "CREWAI_TRACING_ENABLED": "false",
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

    def run(self, collect: bool = False) -> dict[str, Any]:
        """One run: what workloads.py answers. Raises RuntimeError when the process has ended."""
        assert self._process.stdin and self._process.stdout
        print("collect" if collect else "", file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the workload ended with {self._process.wait()}")
        return json.loads(answer)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._process.communicate()


@contextmanager
def both(workload: str, telemetry: bool = False) -> Iterator[dict[str, Worker]]:
    """A worker for each side. Raises AssertionError if their outputs differ."""
    with ModelServer(SCRIPT) as server, tempfile.TemporaryDirectory() as storage:
        workers = {
            side: Worker(side, workload, server.base_url, str(Path(storage) / side), telemetry)
            for side in SIDES
        }
        try:
            first = {side: worker.run()["output"] for side, worker in workers.items()}
            assert first["off"] == first["on"], f"outputs differ: {first}"
            yield workers
        finally:
            for worker in workers.values():
                worker.close()


def measure(
    workload: str, rounds: int, telemetry: bool = False
) -> dict[str, dict[str, list[float]]]:
    """{"cpu_ms", "wall_ms"} → side → samples per unit of the workload, in turns."""
    from harness import interleave

    with both(workload, telemetry) as workers:
        for worker in workers.values():
            worker.run()  # warm
        answers: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}

        def run(side: str) -> float:
            answers[side].append(workers[side].run())
            return float(answers[side][-1]["cpu_ms"])

        interleave({side: lambda side=side: run(side) for side in SIDES}, rounds)
    return {
        what: {
            side: [float(answer[what]) / float(answer["units"]) for answer in given]
            for side, given in answers.items()
        }
        for what in ("cpu_ms", "wall_ms")
    }
