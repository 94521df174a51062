"""What `fast-crewai enable` adds to every Python start-up that doesn't import CrewAI.

    python benchmarks/startup.py [--rounds 25]

In a throw-away virtual environment, interleaved: the time that the start-up line itself takes
inside a fresh interpreter, and whole `python -c pass` processes with and without it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import venv
from pathlib import Path

from harness import interleave, line, process_cpu, write

import fast_crewai
from fast_crewai.cli import always_on

TIMED = """
import time
text = open({pth!r}).read()
begun = time.perf_counter()
exec(text)
print((time.perf_counter() - begun) * 1e3)
"""


def make_environment(folder: Path) -> tuple[Path, Path]:
    """A venv that finds this fast_crewai; returns its python and site-packages."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.check_output([python, "-c", purelib], text=True).strip())
    (site / "places.pth").write_text(f"{Path(fast_crewai.__file__).parent.parent}\n")
    for name, text in always_on.templates().items():
        (site / name).write_text(text)
    return python, site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    rounds = parser.parse_args().rounds
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as scratch:
        python, site = make_environment(Path(scratch) / "venv")
        pth = site / "fast_crewai_startup.pth"
        hidden = pth.with_suffix(".off")

        def timed_line() -> float:
            code = TIMED.format(pth=str(hidden))
            return float(subprocess.check_output([python, "-c", code], env=environment, text=True))

        check = "import sys; print(type(sys.meta_path[0]).__module__ == 'fast_crewai.finder')"
        found = subprocess.check_output([python, "-c", check], env=environment, text=True).strip()
        assert found == "True", "the start-up file does not turn the accelerator on"
        pth.rename(hidden)
        timed_line()  # compiles fast_crewai's modules
        samples = interleave(
            {
                "start-up line": timed_line,
                "python -c pass, off (CPU)": lambda: start_off(python, environment),
                "python -c pass, on (CPU)": lambda: start_on(python, environment, hidden, pth),
            },
            rounds,
        )
    for name, values in samples.items():
        print(line(name, values, "ms"))
    print(f"written to {write('startup', {'unit': 'ms', 'samples': samples})}")


def start_off(python: Path, environment: dict[str, str]) -> float:
    return process_cpu([str(python), "-c", "pass"], environment)[0]


def start_on(python: Path, environment: dict[str, str], hidden: Path, pth: Path) -> float:
    hidden.rename(pth)
    try:
        return process_cpu([str(python), "-c", "pass"], environment)[0]
    finally:
        pth.rename(hidden)


if __name__ == "__main__":
    main()
