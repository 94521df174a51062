"""Whether what ``lazy`` leaves out is known: CrewAI's source, and an installation that works.

CrewAI's files must be those of a version that the tests have passed with. That they and ``openai``
can be imported is not guessed: the first run in an environment imports everything, and notes it
in the user's cache folder; any change of the packages' files makes it a first run again.
"""

from __future__ import annotations

import hashlib
import os
import sys
import types
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from fast_crewai import config

# Digest of the files below → versions of CrewAI that have them.
VERSIONS = {
    "da2d6eb3eeecb4cff66fc684101ccb68": ("1.15.30",),
}

# Rewritten, and left out.
_REWRITTEN = ("crewai.task", "crewai.events.types.task_events")
PROVIDER = (
    "crewai.llms.hooks",
    "crewai.llms.hooks.base",
    "crewai.llms.hooks.transport",
    "crewai.llms.providers",
    "crewai.llms.providers.openai",
    "crewai.llms.providers.openai.completion",
    "crewai.llms.providers.utils",
    "crewai.llms.providers.utils.common",
)
PACKAGES = ("openai", "anyio", "distro", "jiter", "sniffio")
LEFT_OUT = ("openai", "distro", "jiter")  # the others of them have been imported before


@dataclass
class Proof:
    """What is known: ``problem`` says why nothing may be left out; ``note`` remembers success."""

    problem: str | None = None
    proven: bool = False
    mark: Path | None = None
    sources: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    specs: dict[str, ModuleSpec | None] = field(default_factory=dict)

    def note(self) -> None:
        """Everything has been imported: remember it for the next run. Never raises."""
        if self.mark is None or _warned():
            return
        try:
            self.mark.parent.mkdir(parents=True, exist_ok=True)
            self.mark.touch()
        except OSError:
            pass  # read-only: every run is a first run


def of(package: types.ModuleType) -> Proof:
    """What is known about this ``crewai``. Raises OSError."""
    found = Proof()
    digest = _read(Path(package.__path__[0]), found)
    if digest not in VERSIONS:
        found.problem = "CrewAI's code differs from every version that it was proven on"
        return found
    key = hashlib.sha256(f"{digest} {sys.version} {sys.prefix}".encode())
    for name in PACKAGES:
        spec = PathFinder.find_spec(name)
        if spec is None or not spec.has_location or spec.origin is None:
            found.problem = f"{name} is not installed as files"
            return found
        found.specs[name] = spec
        key.update(f"{spec.origin} {state(Path(spec.origin).parent)}".encode())
    sites = {Path(spec.origin or "").parent.parent for spec in found.specs.values() if spec}
    for site in sorted(sites):
        key.update(f"{site} {installed(site)}".encode())
    folder = config.cache_folder()
    if folder is None:
        found.problem = "there is no cache folder"
        return found
    found.mark = folder / "imports" / key.hexdigest()[:32]
    found.proven = found.mark.exists()
    return found


def _read(folder: Path, found: Proof) -> str:
    """The digest of the files that matter; the rewritten ones are kept."""
    digest = hashlib.sha256()
    for name in (*_REWRITTEN, *PROVIDER):
        path = folder.joinpath(*name.split(".")[1:])
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        source = path.read_bytes()
        digest.update(f"{name} {hashlib.sha256(source).hexdigest()}\n".encode())
        if name in _REWRITTEN:
            found.sources[name] = source
            found.files[name] = str(path)
    return digest.hexdigest()[:32]


def state(folder: Path) -> str:
    """Changes with what is installed, removed or edited directly below a package's folder."""
    with os.scandir(folder) as entries:
        files = [(e.name, e.stat()) for e in entries if e.name != "__pycache__"]
    return repr(sorted((name, stat.st_mtime_ns, stat.st_size) for name, stat in files))


def installed(site: Path) -> list[str]:
    """The packages of a folder, with their versions: openai may fail for one that it needs."""
    with os.scandir(site) as entries:
        names = [entry.name for entry in entries]
    return sorted(name for name in names if name.endswith((".dist-info", ".egg-info")))


def _warned() -> bool:
    """Whether importing what is left out warns: then whoever wants to see warnings waits for it."""
    names = [n for n in sys.modules.copy() if n in PROVIDER or n.partition(".")[0] in LEFT_OUT]
    return any("__warningregistry__" in vars(sys.modules[name]) for name in names)
