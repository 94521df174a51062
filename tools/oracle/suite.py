"""CrewAI's tests, from its source distribution. Nothing of them is kept in the repository."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from oracle.toolbox import Toolbox, call
from oracle.workplace import PLUGINS, OracleError, Workplace

PYTEST_INI = """\
[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
addopts = --import-mode=importlib --tb=short
"""


def prepared(place: Workplace, toolbox: Toolbox, version: str, say: Callable[[str], None]) -> Path:
    """pytest's root folder: the tests of that version with our conftest beside them."""
    root = place.suite(version)
    if not (root / "tests").is_dir():
        say(f"downloading the tests of CrewAI {version}")
        _fetch(toolbox, version, root)
    (root / "pytest.ini").write_text(PYTEST_INI, encoding="utf-8")
    shutil.copy(PLUGINS / "suite_conftest.py", root / "conftest.py")
    return root


def _fetch(toolbox: Toolbox, version: str, root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent) as folder:
        scratch = Path(folder)
        # the multimodal tests read pictures of a sister package, beside CrewAI's own folder
        files = _download(toolbox, "crewai-files", version, scratch)
        fixtures = unpack(files, scratch / "files", ("tests/fixtures/",))
        tests = unpack(_download(toolbox, "crewai", version, scratch), scratch / "crewai")
        if not (tests / "tests").is_dir():
            raise OracleError(f"the source distribution of CrewAI {version} has no tests")
        _move(fixtures, root.parent / "crewai-files")
        _move(tests, root)


def _download(toolbox: Toolbox, project: str, version: str, folder: Path) -> Path:
    """``--no-binary`` for that project only: its build back end may be a wheel."""
    command = [*toolbox.pip, "download", "-q", "--no-deps", "--no-binary", project]
    call([*command, f"{project}=={version}", "-d", folder])
    pattern = f"{project.replace('-', '[-_]')}-{version}.tar.gz"
    found = next(folder.glob(pattern), None)
    if found is None:
        raise OracleError(f"{project} {version} has no source distribution")
    return found


def unpack(
    archive: Path, target: Path, parts: tuple[str, ...] = ("tests/", "pyproject.toml")
) -> Path:
    """Unpack those parts of a source distribution; returns its top folder."""
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        top = members[0].name.split("/")[0]
        prefixes = tuple(f"{top}/{part}" for part in parts)
        wanted = [member for member in members if member.name.startswith(prefixes)]
        tar.extractall(target, members=wanted, filter="data")
    (target / top).mkdir(parents=True, exist_ok=True)
    return target / top


def _move(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.move(source, target)
