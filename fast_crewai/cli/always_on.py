"""``enable`` and ``disable``: the start-up files in site-packages.

``.pth`` lines serve Python up to 3.17; from 3.15 on a ``.start`` file of the same name (PEP 829)
takes their place. A ``.start`` file can only name a callable, so the third file is the module it
names: it survives that fast_crewai is uninstalled.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from contextlib import suppress
from pathlib import Path

import click

_NAME = "fast_crewai_startup"


def templates() -> dict[str, str]:
    """File name → content, in the order in which they are written."""
    from fast_crewai.cli.bootstrap import bootstrap_folder

    return {
        f"{_NAME}{suffix}": (bootstrap_folder() / f"{_NAME}{suffix}").read_text("ascii")
        for suffix in (".py", ".start", ".pth")  # the .pth last: it is what switches on
    }


def site_packages() -> Path:
    return Path(sysconfig.get_path("purelib"))


def installed_files() -> list[Path]:
    """The start-up files that exist in this environment."""
    files = (site_packages() / f"{_NAME}{suffix}" for suffix in (".py", ".start", ".pth"))
    return [path for path in files if path.exists()]


def outdated_files() -> list[Path]:
    """Start-up files that are missing or differ from what ``enable`` writes, if any exist."""
    if not installed_files():
        return []
    folder = site_packages()
    return [
        folder / name
        for name, text in templates().items()
        if not (folder / name).exists() or (folder / name).read_bytes() != text.encode("ascii")
    ]


def enable(*, dry_run: bool = False) -> list[Path]:
    """Write the start-up files (all of them or none) and return their paths.

    Raises click.ClickException on a Python managed by the system or a read-only folder.
    """
    _refuse_managed()
    folder = site_packages()
    files = [(folder / name, text) for name, text in templates().items()]
    new = [path for path, _ in files if not path.exists()]
    try:
        for path, text in files:
            if not dry_run:
                _write(path, text)
    except click.ClickException:
        for path in new:  # no half of it stays
            with suppress(OSError):
                path.unlink()
        raise
    return [path for path, _ in files]


def disable() -> list[Path]:
    """Remove the start-up files that exist and return their paths."""
    removed = []
    for path in reversed(installed_files()):  # the .pth first
        try:
            path.unlink()
        except OSError as error:
            raise click.ClickException(f"{path} can't be removed: {error.strerror}") from error
        removed.append(path)
    return removed


def _refuse_managed() -> None:
    in_venv = sys.prefix != sys.base_prefix
    marker = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    if not in_venv and marker.exists():
        raise click.ClickException(
            f"this Python is managed by the system ({marker}): create a virtual environment "
            "(python -m venv .venv), install fast-crewai there and enable it in it"
        )


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # not a name that site reads
    try:
        try:
            scratch.write_bytes(text.encode("ascii"))
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
    except OSError as error:
        raise click.ClickException(
            f"{path} can't be written ({error.strerror}): use a virtual environment that you "
            "can write to, or `python -m fast_crewai run`"
        ) from error
