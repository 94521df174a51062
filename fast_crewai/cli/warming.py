"""``warm``: the first run of ``imports``, and its check, before anybody waits for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click

from fast_crewai import config, report
from fast_crewai.cli import description
from fast_crewai.imports import proving, schema_proof


def warm() -> dict[str, Any]:
    """Import CrewAI plain, accelerated, and once more from what that left, and compare.

    Returns what was compared, which is kept for ``doctor``. If anything differs,
    ``imports.deferred`` and ``imports.schemas`` are off here until the environment changes; if
    it is models only, just the latter. Raises click.ClickException.
    """
    if report.crewai_version() is None:
        raise click.ClickException("CrewAI is not installed in this environment")
    folder = config.cache_folder()
    if folder is None:
        raise click.ClickException("there is no cache folder: HOME is not set")
    seed = int.from_bytes(os.urandom(2), "big")  # models are used for the first time in any order
    plain = _describe("off", seed)
    _describe("on", seed)  # the first run
    ours = _describe("on", seed)
    models = compare_models(plain, ours)
    others = compare(plain, ours)
    different = others + models
    if others:
        proving.distrust("`fast-crewai warm` has found a difference")
    if different:
        schema_proof.distrust("`fast-crewai warm` has found a difference")
    checked = {
        "when": time.strftime("%Y-%m-%d %H:%M:%S"),
        "python": sys.executable,
        "crewai": plain["version"],
        "modules": len(plain["modules"]),
        "names": plain["names"],
        "models": len(plain["models"]),
        "handlers": sum(plain["handlers"].values()),
        "different": different,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = _file(folder).with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(checked), "utf-8")
        scratch.replace(_file(folder))
    except OSError as error:
        raise click.ClickException(f"{folder} can't be written: {error.strerror}") from error
    return checked


def compare(plain: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """What differs, in words."""
    found = [
        f"{what}: {plain[what]} plain, {ours[what]} accelerated"
        for what in ("version", "answer", "handlers")
        if plain[what] != ours[what]
    ]
    names = plain["modules"].keys() | ours["modules"].keys()
    differing = sorted(n for n in names if plain["modules"].get(n) != ours["modules"].get(n))
    return found + [f"names of {name}" for name in differing]


def compare_models(plain: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Whose schemas, or what comes with them, differ."""
    a, b = plain["models"], ours["models"]
    return [
        f"schema of {name}" for name in sorted(a.keys() | b.keys()) if a.get(name) != b.get(name)
    ]


def last() -> dict[str, Any] | None:
    """What was compared the last time for this Python."""
    folder = config.cache_folder()
    try:
        found = json.loads(_file(folder).read_text("utf-8")) if folder is not None else None
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("python") == sys.executable else None


def sentence(checked: dict[str, Any]) -> str:
    """What ``warm`` and ``doctor`` say."""
    result = "but differs" if checked["different"] else "and is the same"
    return (
        f"CrewAI {checked['crewai']} was imported plain and accelerated on {checked['when']} "
        f"{result}: {checked['modules']} modules, {checked['names']} names, "
        f"{checked.get('models', 0)} models, {checked['handlers']} event handlers, a kickoff"
    )


def _file(folder: Path) -> Path:
    return folder / "checked.json"


def _describe(side: str, seed: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, description.__file__, side, str(seed)],
        env=config.quiet_environment(enabled=side == "on"),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last_line = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise click.ClickException(f"CrewAI can't be imported ({side}): {last_line}") from None
    return found
