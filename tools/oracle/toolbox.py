"""The installers: those on this machine, or else fetched from the package index into ``--work``."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from oracle.workplace import OracleError, Workplace


def call(command: Sequence[str | os.PathLike[str]], **options: object) -> None:
    """Run an installer. Raises OracleError with the end of what it printed."""
    words = [os.fspath(word) for word in command]
    done = subprocess.run(words, text=True, capture_output=True, **options)  # type: ignore[call-overload]
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise OracleError(f"{' '.join(words)}\nexit code {done.returncode}\n{said}")


def python_of(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    windows = sys.platform == "win32"
    return environment / ("Scripts/python.exe" if windows else "bin/python")


@dataclass(frozen=True)
class Toolbox:
    """``uv`` makes environments (it alone can override version limits), maturin builds ours."""

    place: Workplace

    @cached_property
    def pip(self) -> list[str]:
        if importlib.util.find_spec("pip"):
            return [sys.executable, "-m", "pip"]
        return [str(self._own_python), "-m", "pip"]

    @cached_property
    def uv(self) -> str:
        return self._find("uv")

    @cached_property
    def maturin(self) -> str:
        return self._find("maturin")

    @cached_property
    def _own_python(self) -> Path:
        python = python_of(self.place.tools)
        if not python.exists():
            venv.create(self.place.tools, with_pip=True)
        return python

    def _find(self, name: str) -> str:
        folders = (Path(sys.executable).parent, python_of(self.place.tools).parent)
        for path in (*folders, None):
            found = shutil.which(name, path=path)
            if found and _runs(found):
                return found
        call([self._own_python, "-m", "pip", "install", "-q", name])
        found = shutil.which(name, path=folders[1])
        if not found:
            raise OracleError(f"{name} was installed but has no command")
        return found


def _runs(command: str) -> bool:
    done = subprocess.run([command, "--version"], capture_output=True, check=False)
    return done.returncode == 0
