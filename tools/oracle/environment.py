"""One virtual environment for each CrewAI version: the suite's requirements and our wheel."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from oracle import wheel
from oracle.settings import Version
from oracle.toolbox import Toolbox, call, python_of
from oracle.workplace import Workplace


@dataclass(frozen=True)
class Environment:
    """``wheel`` is the digest of the installed wheel of ours."""

    folder: Path
    wheel: str

    @property
    def python(self) -> Path:
        return python_of(self.folder)

    def packages(self, toolbox: Toolbox) -> list[str]:
        """What is installed, as "name==version"."""
        command = [toolbox.uv, "pip", "freeze", "-q", "--python", str(self.python)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        lines = done.stdout.splitlines()
        return [line for line in lines if "==" in line]  # ours has a path instead of a number


def prepared(
    place: Workplace,
    toolbox: Toolbox,
    version: Version,
    ours: Path | None,
    say: Callable[[str], None],
) -> Environment:
    """The environment of that version with the current wheel (or the given one, ``ours``)."""
    folder = place.environment(version.crewai)
    stamp = folder / "oracle.json"
    wanted = _digest(version)
    have = json.loads(stamp.read_text("utf-8")) if stamp.exists() else {}
    if have.get("requirements") != wanted:
        say(f"making the environment of CrewAI {version.crewai}")
        _create(folder, toolbox, version)
        have = {"requirements": wanted}
        _write(stamp, have)
    if ours is None:
        say("building the wheel of the working tree, unless it is there")
        ours = wheel.built(place, toolbox)
    digest = wheel.digest([ours], ours.parent)
    if have.get("wheel") != digest:
        # with its dependencies, but none of CrewAI's moves
        python = str(python_of(folder))
        install = [toolbox.uv, "pip", "install", "-q", "--python", python]
        call([*install, "--reinstall-package", "fast-crewai", ours.resolve()])
        _write(stamp, {**have, "wheel": digest})
    return Environment(folder, digest)


def _create(folder: Path, toolbox: Toolbox, version: Version) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    call([toolbox.uv, "venv", "-q", "--python", sys.executable, folder])
    overrides = folder / "overrides.txt"
    overrides.write_text("".join(f"{line}\n" for line in version.overrides), encoding="utf-8")
    install = [toolbox.uv, "pip", "install", "-q", "--python", str(python_of(folder))]
    call([*install, "--override", str(overrides), *version.requirements])


def _digest(version: Version) -> str:
    lines = "\n".join([*version.requirements, "overrides:", *version.overrides])
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _write(stamp: Path, content: dict[str, str]) -> None:
    fresh = stamp.with_suffix(".new")
    fresh.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    fresh.replace(stamp)
