"""Checkpoints under load: how many are lost and what one costs, plain and accelerated.

    python benchmarks/checkpoints.py [--count 1000] [--crews 3] [--load 100]

Crews of 5 tasks run side by side with a checkpoint at every event, until that many have been
started. Afterwards plain CrewAI loads a sample of the files that each side has written. Losses of
plain CrewAI are pydantic panics: it dumps the record of events while other threads add to it.
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

HERE = Path(__file__).parent


def _run(side: list[str], *arguments: str) -> str:
    silent = {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true"}
    command = [sys.executable, *side, str(HERE / "checkpoint_crews.py"), *arguments]
    environment = {
        **os.environ,
        **silent,
        "CREWAI_TRACING_ENABLED": "false",
        "OPENAI_API_KEY": "none",
    }
    done = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return done.stdout.decode().splitlines()[-1]


def main() -> None:
    from harness import write
    from sides import SIDES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--crews", type=int, default=3)
    parser.add_argument("--load", type=int, default=100)
    args = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as root:
        for name, side in SIDES.items():
            folder = Path(root) / name
            counts = str(args.count), str(args.crews)
            result = json.loads(_run(side, "work", str(folder), *counts))
            files = sorted(folder.rglob("*.json"))
            result["files"] = len(files)
            result["lost"] = result["started"] - len(files)
            for path in files:
                json.loads(path.read_text(encoding="utf-8"))
            sample = [str(path) for path in files[:: max(1, len(files) // args.load)]]
            result["loaded"] = int(_run(SIDES["off"], "load", *sample))
            results[name] = result
            print(
                f"{name:4} {result['started']} checkpoints, {result['lost']} lost, "
                f"{result['cpu_ms']:.1f} CPU ms each, {result['loaded']} of {len(sample)} "
                f"loaded by plain CrewAI; {result['errors']}",
                flush=True,
            )
    print(f"written to {write('checkpoints', results)}")
    if results["on"]["lost"]:
        raise SystemExit("checkpoints were lost with Fast-CrewAI")


if __name__ == "__main__":
    main()
