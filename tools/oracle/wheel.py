"""This project as users get it: a wheel, built once for each state of the working tree."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from oracle.toolbox import Toolbox, call
from oracle.workplace import REPOSITORY, OracleError, Workplace

SOURCES = ("Cargo.toml", "Cargo.lock", "pyproject.toml", "src", "fast_crewai", "sitecustomize")
BUILT = {".so", ".pyd", ".pyc"}


def built(place: Workplace, toolbox: Toolbox) -> Path:
    """The wheel of the working tree."""
    folder = place.wheel(digest(source_files(REPOSITORY), REPOSITORY))
    found = list(folder.glob("*.whl"))
    if not found:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            call(
                [toolbox.maturin, "build", "--release", "--locked", "--out", scratch],
                cwd=REPOSITORY,
            )
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(scratch, folder)
        found = list(folder.glob("*.whl"))
    if len(found) != 1:
        raise OracleError(f"{folder} has {len(found)} wheels instead of one")
    return found[0]


def source_files(root: Path) -> Iterator[Path]:
    """What goes into the wheel, in a fixed order."""
    for name in SOURCES:
        path = root / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in files if file.is_file() and file.suffix not in BUILT)


def digest(files: Iterable[Path], root: Path) -> str:
    """A digest of names (below ``root``) and contents."""
    total = hashlib.sha256()
    for file in files:
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        total.update(f"{file.relative_to(root).as_posix()}\0{content}\n".encode())
    return total.hexdigest()[:16]
