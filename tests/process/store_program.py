"""Programs that write CrewAI's store of task outputs, in a process and a folder of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from helpers import PACKAGE, PYTHON, code, environment

START = """
import json, os, shutil, sqlite3, subprocess, sys, threading, time
from contextlib import closing
from pathlib import Path
import fast_crewai
fast_crewai.install()
from crewai.memory.storage.kickoff_task_outputs_storage import KickoffTaskOutputsSQLiteStorage

class Task:
    key, expected_output = "key", "an answer"
    def __init__(self, name):
        self.id = name

path = str(Path("db", "log.db").absolute())
store = KickoffTaskOutputsSQLiteStorage(path)

def add(name):
    store.add(Task(name), {"raw": name}, 1)
"""


def environ(folder: Path, **changes: object) -> dict[str, str]:
    return environment(
        TMPDIR=folder,
        HOME=folder,
        CREWAI_DISABLE_TELEMETRY="true",
        OTEL_SDK_DISABLED="true",
        PYTHONPATH=PACKAGE.parent,
        FAST_CREWAI_STRICT="1",
        **changes,
    )


def command(*parts: str) -> list[str]:
    program = "".join(map(code, (START, *parts)))
    return [PYTHON, "-W", "error::ResourceWarning", "-c", program]


def run(folder: Path, *parts: str, returncode: int = 0, **changes: object) -> list[str]:
    """Run the program behind START; the files that it leaves."""
    (folder / "db").mkdir(exist_ok=True)
    result = subprocess.run(
        command(*parts),
        env=environ(folder, **changes),
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert (result.returncode, result.stderr) == (returncode, "")
    return sorted(path.name for path in (folder / "db").iterdir())
