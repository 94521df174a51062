"""One run of a program, in folders of its own, and what came of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compat import normalise
from compat.programs import Program

_SNAPSHOT = Path(__file__).with_name("snapshot.py")
_PLACES = ("work", "storage", "home", "temp")
_DROPPED = ("PYTHON", "FAST_CREWAI", "CREWAI_", "OPENAI_", "OTEL_", "XDG_", "COV_", "PROGRAM_")
_TIMEOUT = 120  # seconds; a program needs 4 to 10 on a quiet machine


@dataclass(frozen=True)
class Outcome:
    """What a run did, made comparable; `parts` are compared one by one."""

    parts: dict[str, Any]
    seconds: float
    routes: list[dict[str, Any]] = field(default_factory=list)


def run(program: Program, python: str, *, accelerated: bool, keep: Path | None = None) -> Outcome:
    """Run a program plainly or with the accelerator on."""
    folder = Path(tempfile.mkdtemp(prefix=f"compat-{program.name}-"))
    try:
        return _run(program, python, folder, accelerated)
    finally:
        if keep:
            shutil.move(str(folder), keep / f"{program.name}-{folder.name.rpartition('-')[2]}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _run(program: Program, python: str, folder: Path, accelerated: bool) -> Outcome:
    places = {name: folder / name for name in _PLACES}
    for path in places.values():
        path.mkdir()
    written = {name: folder / f"{name}.json" for name in ("events", "requests", "report")}
    options = ["-m", "fast_crewai", "run", "--report", str(written["report"])]
    environment = _environment(places, written)
    if not accelerated:
        environment["FAST_CREWAI"] = "0"  # `fast-crewai enable` may have been used here
    command = [python, *(options if accelerated else ()), str(program.path)]
    began = time.perf_counter()
    done = subprocess.run(
        command,
        input=program.stdin.encode(),
        capture_output=True,
        cwd=places["work"],
        env=environment,
        timeout=_TIMEOUT,
        check=False,
    )
    seconds = time.perf_counter() - began
    snapshot = subprocess.run(
        [python, str(_SNAPSHOT), *(f"{name}={path}" for name, path in places.items())],
        capture_output=True,
        check=False,
        env=_environment(places, {}) | {"HOME": str(folder)},
    )
    if snapshot.returncode:
        raise RuntimeError(f"{program.name}: {snapshot.stderr.decode()}")
    where = {name: str(path) for name, path in places.items()}
    parts: dict[str, Any] = {
        "exit": done.returncode,
        "stdout": _lines(done.stdout, where, program.any_line_order),
        "stderr": _lines(done.stderr, where, program.any_line_order),
        "events": _events(written["events"], where, program),
        "requests": _requests(written["requests"], where, program),
    }
    for name, files in json.loads(snapshot.stdout).items():
        parts[f"files in {name}"] = _files(files, where)
    report = _read(written["report"])
    if accelerated and (report is None or not report["enabled"]):
        raise RuntimeError(f"{program.name}: the accelerator was not on: {done.stderr.decode()}")
    routes = [r for part in report["components"].values() for r in part["routes"]] if report else []
    return Outcome(parts, seconds, routes)


def _environment(places: dict[str, Path], written: dict[str, Path]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
    return {
        **kept,
        "PYTHONHASHSEED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "160",  # or panels break lines within what is replaced
        "HOME": str(places["home"]),
        "TMPDIR": str(places["temp"]),
        "CREWAI_STORAGE_DIR": str(places["storage"]),
        **{f"PROGRAM_{n.upper()}": str(p) for n, p in written.items() if n != "report"},
    }


def _lines(output: bytes, where: dict[str, str], any_order: bool) -> list[str]:
    text = output.decode("utf-8", "replace")
    if not any_order:
        return normalise.Normaliser(where).terminal(text)
    alike = normalise.Normaliser(where)
    return sorted(alike.terminal(text, number=False))


def _events(path: Path, where: dict[str, str], program: Program) -> Any:
    recorded = _read(path)
    if recorded is None:
        return "none were written"
    return normalise.events(
        recorded,
        where,
        races=program.races,
        per=program.per,
        varies=program.varies,
        sets=program.sets,
    )


def _requests(path: Path, where: dict[str, str], program: Program) -> Any:
    bodies = _read(path)
    if bodies is None:
        return "none were written"
    if program.per or program.races & {
        "llm_call_started"
    }:  # side by side: requests arrive in any order
        alike = normalise.Normaliser(where)
        bodies.sort(key=lambda body: json.dumps(alike.value(body, number=False)))
    return normalise.Normaliser(where).value(bodies)


def _files(files: list[dict[str, Any]], where: dict[str, str]) -> list[dict[str, Any]]:
    content = []
    for file in files:
        if "unordered tables" in file:  # by what they hold, before ids are numbered
            alike = normalise.Normaliser(where)
            for rows in file["unordered tables"].values():
                rows.sort(key=lambda row: json.dumps(alike.value(row, number=False)))
        fresh = normalise.Normaliser(where)
        content.append({**fresh.value(file), "path": fresh.text(file["path"], number=False)})
    return sorted(content, key=lambda file: str(file["path"]))


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
