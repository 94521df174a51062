"""``enable`` and ``disable``: start-up files that are whole or absent, and never in the way."""

from __future__ import annotations

import json
import os
import pkgutil
import shutil
import sys
import sysconfig
from pathlib import Path

import click
import pytest
from helpers import (
    STAND_IN_MODULE,
    STAND_IN_ROUTE,
    Result,
    environment,
    site_packages,
    stand_in,
    start,
    virtual_environment,
    without_crewai,
)

from fast_crewai.cli import always_on, checks

NAMES = ["fast_crewai_startup.pth", "fast_crewai_startup.py", "fast_crewai_startup.start"]

# What this process's accelerator says, without importing ours when it isn't on.
ASK = f"""
import json, sys
began = [f for f in sys.meta_path if type(f).__module__.startswith("fast_crewai")]
heavy = sorted(n for n in sys.modules if n.startswith("fast_crewai"))
import {STAND_IN_MODULE}
import fast_crewai
routes = {{r["name"]: r for r in fast_crewai.status().routes()}}
print(json.dumps([len(began), heavy, fast_crewai.enabled(), routes[{STAND_IN_ROUTE!r}]["state"],
                  routes[{STAND_IN_ROUTE!r}]["reason"]]))
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Us and what we need, and a stand-in for CrewAI."""
    return stand_in(without_crewai(tmp_path_factory.mktemp("packages") / "p"))


@pytest.fixture
def python(tmp_path: Path, packages: Path) -> Path:
    """A throw-away virtual environment that has us."""
    return virtual_environment(tmp_path / "v", packages)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site-packages of this very process's, for errors that no root user meets."""
    path = tmp_path / "site-packages"
    path.mkdir()
    monkeypatch.setattr(always_on, "site_packages", lambda: path)
    return path


def cli(python: Path, *arguments: str, **extra: str) -> Result:
    return start("-m", "fast_crewai", *arguments, python=python, env=environment(**extra))


def enabled(python: Path) -> Path:
    """Enable it there and return its site-packages."""
    result = cli(python, "enable")
    assert (result.returncode, result.stderr) == (0, "")
    return site_packages(python)


def ours_in(folder: Path) -> list[str]:
    """Everything in a folder that can be of ours, scratch files included."""
    return sorted(path.name for path in folder.iterdir() if "startup" in path.name)


def ask(python: Path, *flags: str, cwd: Path | None = None, **extra: str) -> list[object]:
    result = start(*flags, "-c", ASK, python=python, cwd=cwd, env=environment(**extra))
    assert (result.returncode, result.stderr) == (0, "")
    answer: list[object] = json.loads(result.stdout)
    return answer


# ---------------------------------------------------------------------------- on and off


def test_enable_and_disable(python: Path) -> None:
    folder = site_packages(python)
    before = sorted(path.name for path in folder.iterdir())
    assert ask(python)[2] is False

    dry = cli(python, "enable", "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert [line.split()[:2] for line in dry.stdout.splitlines()] == [["would", "write"]] * 3
    assert sorted(path.name for path in folder.iterdir()) == before

    first = cli(python, "enable")
    written = {name: (folder / name).read_bytes() for name in NAMES}
    assert ours_in(folder) == NAMES
    assert first.returncode == 0
    assert first.stdout == dry.stdout.replace("would write", "wrote")
    for name, content in written.items():
        assert str(folder / name) in first.stdout
        assert content.isascii()
        assert (folder / name).stat().st_mode & 0o444 == 0o444  # other users' Pythons read it

    again = cli(python, "enable")  # with the accelerator on now, and the same files
    assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "")
    assert {name: (folder / name).read_bytes() for name in NAMES} == written
    assert ours_in(folder) == NAMES

    started, loaded, is_enabled, state, reason = ask(python)
    assert (started, is_enabled, state) == (1, True, "off")
    assert isinstance(reason, str)
    assert reason.startswith("crewai.utilities.string_utils has no")  # our finder saw it load
    assert loaded == ["fast_crewai", "fast_crewai.finder"]  # all that start-up pays for

    off = cli(python, "disable")
    assert (off.returncode, off.stderr) == (0, "")
    assert sorted(off.stdout.split()) == sorted(
        [*["removed"] * 3, *(str(folder / name) for name in NAMES)]
    )
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == before
    assert list(folder.rglob("*startup*")) == []  # nor in __pycache__
    assert ask(python)[2] is False

    nothing = cli(python, "disable")
    assert (nothing.returncode, nothing.stderr) == (0, "")
    assert nothing.stdout.startswith("nothing to remove")


def test_info_and_paths_that_are_unusual(tmp_path: Path, packages: Path) -> None:
    python = virtual_environment(tmp_path / "ünï cödé 'env'", packages)
    folder = enabled(python)
    assert str(folder / NAMES[0]) in cli(python, "info").stdout
    assert ask(python)[2] is True
    assert cli(python, "disable").returncode == 0
    assert "always on    no" in cli(python, "info").stdout


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"FAST_CREWAI": "0"}, "switched off (FAST_CREWAI)"),
        ({"FAST_CREWAI_ACCELERATION": "false"}, "switched off (FAST_CREWAI)"),
        ({"FAST_CREWAI_DISABLE": "all"}, "disabled by the user (all)"),
        ({"FAST_CREWAI_TOOLS": "false"}, "disabled by the user (tools)"),
        ({"FAST_CREWAI_DISABLE": STAND_IN_ROUTE}, f"disabled by the user ({STAND_IN_ROUTE})"),
    ],
    ids=str,
)
def test_the_environment_switches_off_what_is_always_on(
    python: Path, variables: dict[str, str], reason: str
) -> None:
    enabled(python)
    answer = ask(python, **variables)
    assert answer[3:] == ["off", reason]
    assert answer[2] is not reason.startswith("switched off")


FLAGS = ["-S", "-I", "-E", "-IS", "-s", "-O", "-X dev", "-W error"]
if sys.version_info >= (3, 11):
    FLAGS.append("-P")


@pytest.mark.parametrize("flag", FLAGS)
def test_every_way_to_start_python_is_silent(python: Path, flag: str) -> None:
    enabled(python)
    result = start(*flag.split(), "-c", "import sys; print(len(sys.meta_path))", python=python)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == ("3\n" if "S" in flag else "4\n")


def test_children_and_run_have_it_once(python: Path) -> None:
    enabled(python)
    text = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"
    result = start("-c", text, "-c", ASK, python=python)
    assert json.loads(result.stdout)[0] == 1
    result = start("-m", "fast_crewai", "run", "-c", ASK, python=python)
    assert json.loads(result.stdout)[:3:2] == [1, True]


def test_start_up_files_run_twice_are_one(python: Path) -> None:
    folder = enabled(python)
    line = (folder / "fast_crewai_startup.pth").read_text()
    (folder / "zz_again.pth").write_text(line + line)
    assert ask(python)[0] == 1


def test_the_pth_line_is_one_guarded_line() -> None:
    files = always_on.templates()
    assert list(files)[-1] == "fast_crewai_startup.pth"  # what switches on comes last
    line = files["fast_crewai_startup.pth"]
    assert line.count("\n") == 1
    assert line.startswith("import ")
    assert line.isascii()
    assert "except BaseException" in line


def test_the_start_entry_names_a_callable(python: Path) -> None:
    folder = enabled(python)
    entry = (folder / "fast_crewai_startup.start").read_text("ascii").strip()
    assert entry == "fast_crewai_startup:start"
    (folder / "fast_crewai_startup.pth").unlink()  # as on a Python that reads .start files
    text = (
        "import pkgutil, sys; before = len(sys.meta_path)\n"
        f"begin = pkgutil.resolve_name({entry!r}); begin(); begin()\n"
        "print(before, len(sys.meta_path))"
    )
    result = start("-c", text, python=python)
    assert (result.stdout, result.stderr) == ("3 4\n", "")
    assert callable(pkgutil.resolve_name("fast_crewai.finder:start"))


# ------------------------------------------------------------------ when we are gone or broken


def alone(tmp_path: Path, *sees: Path) -> tuple[Path, Path]:
    """A bare environment with just our start-up files in it."""
    python = virtual_environment(tmp_path / "alone", *sees)
    folder = site_packages(python)
    for name, text in always_on.templates().items():
        (folder / name).write_text(text, "ascii")
    return python, folder


def runs_silently(python: Path) -> None:
    for flags in ((), ("-W", "error"), ("-X", "dev"), ("-I",)):
        result = start(*flags, "-c", "print('fine')", python=python)
        assert (result.returncode, result.stdout, result.stderr) == (0, "fine\n", "")
    text = "import pkgutil; pkgutil.resolve_name('fast_crewai_startup:start')(); print('fine')"
    result = start("-c", text, python=python)
    assert (result.returncode, result.stdout, result.stderr) == (0, "fine\n", "")


def test_uninstalled(tmp_path: Path) -> None:
    runs_silently(alone(tmp_path)[0])


@pytest.mark.parametrize(
    "text",
    ["1 / 0", "raise SystemExit(9)", "raise KeyboardInterrupt", "x = = 1", "start = 1", "\0"],
)
@pytest.mark.parametrize("file", ["__init__.py", "finder.py"])
def test_broken(tmp_path: Path, file: str, text: str) -> None:
    broken = tmp_path / "packages" / "fast_crewai"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("")
    (broken / "finder.py").write_text("def start(): pass\n")
    (broken / file).write_text(text)
    python, _ = alone(tmp_path, broken.parent)
    result = start("-c", "print('fine')", python=python)
    assert (result.returncode, result.stdout, result.stderr) == (0, "fine\n", "")


def test_half_removed(tmp_path: Path) -> None:
    for missing in NAMES:
        python, folder = alone(tmp_path / missing)
        (folder / missing).unlink()
        result = start("-c", "print('fine')", python=python)
        assert (result.returncode, result.stdout, result.stderr) == (0, "fine\n", "")


# ------------------------------------------------------------------------------- refusals


def test_a_python_of_the_systems_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "stdlib"
    library.mkdir()
    (library / "EXTERNALLY-MANAGED").write_text("[externally-managed]\n")
    real = sysconfig.get_path
    monkeypatch.setattr(
        sysconfig, "get_path", lambda name: str(library) if name == "stdlib" else real(name)
    )
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    for dry_run in (False, True):
        with pytest.raises(click.ClickException) as error:
            always_on.enable(dry_run=dry_run)
        assert "managed by the system" in error.value.message
        assert "python -m venv" in error.value.message
    assert list(folder.iterdir()) == []

    monkeypatch.setattr(sys, "base_prefix", "/another/place")  # a virtual environment of it
    assert len(always_on.enable()) == 3
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    assert len(always_on.disable()) == 3  # what is there may always be removed


@pytest.mark.parametrize("method", ["write_bytes", "replace"])
@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(
    "error", [PermissionError(13, "denied"), OSError(28, "full"), OSError(30, "ro")]
)
def test_what_can_not_be_written_is_not_half_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, method: str, number: int, error: OSError
) -> None:
    real = getattr(Path, method)
    calls = []

    def fail_later(self: Path, *arguments: object) -> object:
        calls.append(self)
        if len(calls) > number:
            raise error
        return real(self, *arguments)

    monkeypatch.setattr(Path, method, fail_later)
    with pytest.raises(click.ClickException) as raised:
        always_on.enable()
    assert str(error.strerror) in raised.value.message
    assert str(folder) in raised.value.message
    assert "fast_crewai run" in raised.value.message
    monkeypatch.undo()
    assert list(folder.iterdir()) == []


def test_a_failed_enable_keeps_what_was_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_on.enable()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(self: Path, target: Path) -> Path:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(click.ClickException):
        always_on.enable()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_can_not_be_removed_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    always_on.enable()

    def fail(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", fail)
        with pytest.raises(click.ClickException) as raised:
            always_on.disable()
    assert "can't be removed: denied" in raised.value.message
    assert len(always_on.disable()) == 3


def test_site_packages_that_is_missing(folder: Path) -> None:
    folder.rmdir()
    with pytest.raises(click.ClickException) as raised:
        always_on.enable()
    assert "No such file" in raised.value.message
    assert always_on.disable() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_site_packages(python: Path) -> None:
    folder = site_packages(python)
    folder.chmod(0o555)
    try:
        result = cli(python, "enable")
    finally:
        folder.chmod(0o755)
    assert result.returncode == 1
    assert "can't be written" in result.stderr
    assert "Traceback" not in result.stderr
    assert ours_in(folder) == []


def test_unicode_digits_of_a_broken_file_dont_matter(folder: Path) -> None:
    always_on.enable()
    (folder / NAMES[0]).write_bytes(b"\xff\xfe\0")
    assert always_on.outdated_files() == [folder / NAMES[0]]
    always_on.enable()
    assert always_on.outdated_files() == []


# ---------------------------------------------------------------------------------- doctor


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["old", "gone", "longer", "crlf"])
def test_doctor_notices_a_file_of_another_version(folder: Path, name: str, damage: str) -> None:
    assert not checks._startup_files().problem
    always_on.enable()
    check = checks._startup_files()
    assert (check.problem, check.found) == (False, f"enabled in {folder}")
    path = folder / name
    if damage == "gone":
        path.unlink()
    elif damage == "crlf":
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    else:
        path.write_bytes(b"# old\n" + (path.read_bytes() if damage == "longer" else b""))
    check = checks._startup_files()
    assert check.problem
    assert name in check.found
    assert "fast-crewai enable" in check.advice
    always_on.enable()
    assert not checks._startup_files().problem


def test_doctor_in_the_command_line(python: Path) -> None:
    folder = enabled(python)
    (folder / NAMES[0]).write_text("import sys\n")
    result = cli(python, "doctor")
    assert result.returncode == 1
    assert "out of date: fast_crewai_startup.pth" in result.stdout
    assert "run fast-crewai enable again" in result.stdout
    shutil.rmtree(folder)
