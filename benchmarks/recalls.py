"""A store that is only recalled from: its files, its disk, the CPU of a recall.

    python benchmarks/recalls.py [--recalls 10000] [--plain 600] [--versions 1]

Each recall is a commit. The store has 1,000 records of 384 numbers; recalls are shallow, each of
another query. Three sides: plain, with us, and with FAST_CREWAI_FIX=memory-files, which compacts
for recalls, too, and drops versions older than FAST_CREWAI_MEMORY_VERSIONS minutes (``--versions``;
"": LanceDB's seven days). The first two get slower and slower: ``--plain`` recalls are theirs.
Afterwards the newest time of access of each record must be that of the last recall that found it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import memory

COUNT, SIZE, SAMPLES = 1000, 384, 10
QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "OTEL_SDK_DISABLED": "true",
}
_ON = ["-m", "fast_crewai", "run"]
SIDES: dict[str, list[str]] = {"off": [], "on": _ON, "fixed": _ON}


def on_disk(folder: Path) -> tuple[int, float]:
    sizes = [found.stat().st_size for found in folder.rglob("*") if found.is_file()]
    return len(sizes), sum(sizes) / 1e6


def serve(folder: Path, recalls: int) -> None:
    """Recall, and say how it goes; at last whether a touch was lost."""
    from crewai.events.event_listener import EventListener
    from crewai.memory.storage.lancedb_storage import LanceDBStorage
    from crewai.memory.unified_memory import Memory

    EventListener().formatter.verbose = False  # what a crew that isn't verbose sets
    storage: Any = LanceDBStorage(path=folder)
    options: dict[str, Any] = {
        "llm": memory._model(),
        "embedder": lambda texts: [memory.vector(text, SIZE) for text in texts],
    }
    remembered = Memory(storage=storage, **options)
    found: dict[str, str] = {}

    def recall(number: int) -> None:
        now = datetime.now(timezone.utc).replace(tzinfo=None).isoformat()
        matches = remembered.recall(memory.query(number), depth="shallow", limit=10)
        found.update((match.record.id, now) for match in matches)

    def say(done: int, cpu: float, seconds: float) -> None:
        files, megabytes = on_disk(folder)
        print(json.dumps([done, files, megabytes, 1000 * cpu, 1000 * seconds]), flush=True)

    recall(0)
    step, done = max(1, recalls // SAMPLES), 0
    while done < recalls:
        cpu, begun = time.process_time(), time.monotonic()
        for number in range(done, min(done + step, recalls)):
            recall(number)
        count = min(step, recalls - done)
        done += count
        say(done, (time.process_time() - cpu) / count, (time.monotonic() - begun) / count)
    remembered.close()
    again: Any = LanceDBStorage(path=folder, compact_every=0)
    rows = again._table.search().limit(COUNT * 2).to_list()
    accessed = {row["id"]: row["last_accessed"] for row in rows}
    lost = [id_ for id_, when in found.items() if accessed.get(id_, "") < when]
    print(json.dumps({"records": len(rows), "touched": len(found), "lost": len(lost)}), flush=True)


def run(side: str, folder: Path, recalls: int, versions: str) -> int:
    environ = {**os.environ, **QUIET}
    for name in ("FAST_CREWAI_FIX", "FAST_CREWAI_MEMORY_VERSIONS"):
        environ.pop(name, None)
    if side == "fixed":
        environ |= {"FAST_CREWAI_FIX": "memory-files", "FAST_CREWAI_MEMORY_VERSIONS": versions}
    command = [sys.executable, *SIDES[side], __file__, "--serve", str(folder), str(recalls)]
    result: Any = None
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            result = json.loads(line)
            if isinstance(result, list):
                done, files, megabytes, cpu, wall = result
                print(
                    f"{side:6}{done:7} recalls {files:7} files {megabytes:8.1f} MB "
                    f"{cpu:7.1f} ms of CPU, {wall:6.1f} ms each",
                    flush=True,
                )
    print(f"{side:6}{result}", flush=True)
    wrong = process.returncode or type(result) is not dict or result["lost"]
    return int(bool(wrong) or result["records"] != COUNT)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recalls", type=int, default=10_000)
    parser.add_argument("--plain", type=int, default=600, help="of the first two; 0: none")
    parser.add_argument("--versions", default="1", help="minutes that older versions are kept")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(Path(args.serve[0]), int(args.serve[1]))
        return 0
    wrong = 0
    for side, recalls in (("off", args.plain), ("on", args.plain), ("fixed", args.recalls)):
        if recalls:
            with tempfile.TemporaryDirectory() as folder:
                memory.make_store(Path(folder), COUNT, SIZE)
                wrong |= run(side, Path(folder), recalls, args.versions)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
