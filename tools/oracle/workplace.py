"""Where downloads, environments and results are kept: one folder outside the repository."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parent.parent
PLUGINS = PACKAGE / "plugins"


class OracleError(Exception):
    """Something the user has to know or to change; the text says what."""


def default_work() -> Path:
    """This user's cache folder, as the platform has it."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "fast-crewai-oracle"


@dataclass(frozen=True)
class Workplace:
    """The folders below ``--work``."""

    folder: Path

    @property
    def tools(self) -> Path:
        """An environment with the installers that the machine lacks."""
        return self.folder / "tools"

    def suite(self, version: str) -> Path:
        """The unpacked tests of one CrewAI version: pytest's root folder."""
        return self.folder / "suites" / version / "lib" / "crewai"

    def environment(self, version: str) -> Path:
        tag = f"py{sys.version_info.major}{sys.version_info.minor}"
        return self.folder / "environments" / f"{version}-{tag}"

    def wheel(self, digest: str) -> Path:
        return self.folder / "wheels" / digest

    def result(self, version: str, subset: str, accel: str) -> Path:
        return self.folder / "results" / version / f"{subset}-{accel}.json"

    def programs(self, version: str) -> Path:
        """What ``tools/compat matrix`` found of that version."""
        return self.folder / "results" / version / "programs.json"

    def results(self) -> list[Path]:
        return sorted((self.folder / "results").glob("*/*.json"))


def lines_of(path: Path) -> list[str]:
    """The lines of a list file, without comments and blank ones."""
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]
