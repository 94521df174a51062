"""Programs in interpreters of their own, started as a user starts them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import fast_crewai

Result = subprocess.CompletedProcess[str]

PYTHON = sys.executable
PACKAGE = Path(fast_crewai.__file__).parent
RUN = ("-m", "fast_crewai", "run")

# What a module named like one of CrewAI's needs so that a route looks at it.
STAND_IN = "def sanitize_tool_name(name):\n    return name\n"
STAND_IN_MODULE = "crewai.utilities.string_utils"
STAND_IN_ROUTE = "tools.sanitize-tool-name"


def environment(**extra: str | Path) -> dict[str, str]:
    """This process's environment without anything that changes Python or us, plus ``extra``."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "FAST_CREWAI", "COV_"))
    }
    return kept | {name: str(value) for name, value in extra.items()}


def start(
    *arguments: str | Path,
    python: str | Path = PYTHON,
    cwd: Path | None = None,
    stdin: str = "",
    env: dict[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Result:
    """Run ``python *arguments`` to its end; nothing in the output is translated.

    The working directory is this file's, unless said otherwise: nothing of ours is found there.
    """
    done = subprocess.run(
        [str(python), *map(str, arguments)],
        input=stdin.encode("utf-8", "surrogateescape"),
        capture_output=True,
        timeout=200,
        check=False,
        cwd=cwd or Path(__file__).parent,
        env=environment() if env is None else env,
        pass_fds=pass_fds,
    )
    out, err = (text.decode("utf-8", "surrogateescape") for text in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def code(text: str) -> str:
    """An indented block as a program."""
    return textwrap.dedent(text).lstrip("\n")


# Runs cases, each in a fork of the process that has imported CrewAI.
_IN_FORKS = """
    import os, re
    for number, case in enumerate({cases!r}):
        sys.stdout.flush()
        child = os.fork()
        if not child:
            try:
                exec(compile(case, "<case>", "exec"), {{"crewai": crewai, "sys": sys}})
            except BaseException as error:
                print(type(error), error)
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)
        print("end of", number)
"""
_NAMES = "names = lambda module: [n for n in dir(module) if 'fast_crewai' not in n]\n"


def in_forks(cases: list[str]) -> str:
    """The program that runs the cases; they know ``names(module)``: those that are not ours."""
    return _IN_FORKS.format(cases=[_NAMES + code(case) for case in cases])


def write(path: Path, text: str = "") -> Path:
    """Write a program (dedented) and return its path; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code(text), encoding="utf-8")
    return path


def stand_in(folder: Path) -> Path:
    """Make a small package in ``folder`` that has the name of CrewAI, and return ``folder``."""
    write(folder / "crewai" / "__init__.py")
    write(folder / "crewai" / "utilities" / "__init__.py")
    (folder / "crewai" / "utilities" / "string_utils.py").write_text(STAND_IN)
    return folder


def without_crewai(folder: Path) -> Path:
    """A folder for PYTHONPATH with us and what we need, by links, but no CrewAI."""
    folder.mkdir(parents=True)
    (folder / "fast_crewai").symlink_to(PACKAGE, target_is_directory=True)
    for name in ("click", "rich", "wrapt", "markdown_it", "mdurl", "pygments", "typing_extensions"):
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            file = Path(spec.origin)
            target = file.parent if file.name == "__init__.py" else file
            (folder / target.name).symlink_to(target)
    return folder


def copy_of_us(folder: Path, *, native: bool = True) -> Path:
    """A copy of our package that a test may break, and return the folder for PYTHONPATH."""
    ignored = ["__pycache__"] if native else ["__pycache__", "_core*.so", "_core*.pyd"]
    shutil.copytree(PACKAGE, folder / "fast_crewai", ignore=shutil.ignore_patterns(*ignored))
    return folder


def virtual_environment(folder: Path, *sees: Path) -> Path:
    """Make a bare virtual environment whose path also has ``sees``, and return its python."""
    made = start("-m", "venv", "--without-pip", folder)
    assert made.returncode == 0, made.stderr
    python = folder / "bin" / "python"
    packages = site_packages(python)
    if sees:
        (packages / "zz_sees.pth").write_text("".join(f"{path}\n" for path in sees))
    return python


def site_packages(python: Path) -> Path:
    """Where ``python`` has its packages."""
    asked = start("-c", "import sysconfig; print(sysconfig.get_path('purelib'))", python=python)
    return Path(asked.stdout.strip())
