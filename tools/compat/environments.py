"""Virtual environments with one version of CrewAI and this project, kept outside the repository.

They live in `$FAST_CREWAI_COMPAT_CACHE`, by default `~/.cache/fast-crewai-compat`: one folder a
version, made once; the project's wheel is built and installed again when its sources change.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from compat.programs import ROOT

_SOURCES = ("Cargo.toml", "Cargo.lock", "pyproject.toml")
_FOLDERS = ("src", "fast_crewai", "sitecustomize")
_SUFFIXES = (".rs", ".py", ".pyi", ".json", ".pth", ".start")


def python_with(version: str) -> str:
    """The Python of the environment with this version of CrewAI; it is made if need be."""
    folder = _cache() / "environments" / f"crewai-{version}-py{sys.version_info.minor}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (folder / "crewai").exists():
        print(f"making an environment with CrewAI {version} in {folder}", file=sys.stderr)
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        _pip(python, "install", f"crewai=={version}")
        (folder / "crewai").write_text(version)
    digest = _digest()
    mark = folder / "fast_crewai"
    if not mark.exists() or mark.read_text() != digest:
        _pip(python, "install", "--force-reinstall", "--no-deps", str(_wheel(digest)))
        _pip(python, "install", "wrapt", "click", "rich")
        mark.write_text(digest)
    return str(python)


def _wheel(digest: str) -> Path:
    """This project's wheel, built from the sources of now."""
    folder = _cache() / "wheels" / digest
    if not list(folder.glob("*.whl")):
        print("building the wheel", file=sys.stderr)
        _run(
            *(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(folder)),
            str(ROOT),
        )
    return next(folder.glob("*.whl"))


def _digest() -> str:
    seen = hashlib.sha256()
    for path in _source_files():
        seen.update(str(path.relative_to(ROOT)).encode())
        seen.update(path.read_bytes())
    return seen.hexdigest()[:16]


def _source_files() -> Iterator[Path]:
    yield from (ROOT / name for name in _SOURCES)
    for name in _FOLDERS:
        yield from sorted(p for p in (ROOT / name).rglob("*") if p.suffix in _SUFFIXES)


def _cache() -> Path:
    given = os.environ.get("FAST_CREWAI_COMPAT_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "fast-crewai-compat"


def _pip(python: Path, *arguments: str) -> None:
    _run(str(python), "-m", "pip", *arguments, "-q", "--disable-pip-version-check")


def _run(*command: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, check=True, env=environment)
