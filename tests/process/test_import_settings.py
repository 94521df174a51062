"""The accelerated import under Python's options, in other processes, seen by a tracer, in a zip."""

import importlib.util
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import PYTHON, Result, code, environment, start
from test_lazy import ON, QUIET, needs_fork

pytestmark = pytest.mark.skipif(importlib.util.find_spec("crewai") is None, reason="needs CrewAI")

PATH = f"import sys; sys.path.insert(0, {QUIET['PYTHONPATH']!r})\n"  # -I forgets PYTHONPATH
STATES = """
from fast_crewai.hooks.registry import FEATURES
print({feature.name: feature.state for feature in FEATURES}, file=sys.stderr)
"""
ALL_ACTIVE = {
    **dict.fromkeys(("imports.gc", "imports.lazy", "imports.deferred"), "active"),
    "imports.openai": "waiting",  # for openai
    "imports.schemas": "active",
    "imports.texts": "active",
    "imports.lance": "waiting",  # for lancedb
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Result]:
    """Run a program with a cache in which a first run has left its marks."""
    folder = tmp_path_factory.mktemp("cache")
    env = environment(**QUIET, XDG_CACHE_HOME=folder, CREWAI_STORAGE_DIR="same", PYTHONHASHSEED="0")

    def run(*arguments: str | Path, cwd: Path | None = None) -> Result:
        return start(*arguments, cwd=cwd or folder, env=env)

    for _ in range(2):
        assert run("-c", f"{ON}import crewai").returncode == 0
    return run


def answers(run: Callable[..., Result], program: str, *options: str) -> Result:
    """What it does without us; it does the same with us, while everything is active."""
    plain = run(*options, "-c", PATH + code(program))
    if "-OO" in options:  # other code: there is a first run for each
        run(*options, "-c", PATH + ON + code(program))
    ours = run(*options, "-c", PATH + ON + code(program) + STATES)
    assert (ours.stdout, ours.returncode) == (plain.stdout, plain.returncode), ours.stderr
    assert str(ALL_ACTIVE) in ours.stderr.splitlines(), ours.stderr
    assert plain.stdout != "", plain.stderr
    return plain


@pytest.mark.parametrize("options", ["-OO", "-I", "-W always", "-X dev", "-X importtime"])
def test_options_of_python(options: str, run: Callable[..., Result]) -> None:
    program = """
        import crewai
        task = crewai.Task(description="d", expected_output="e")
        print(sorted(crewai.__all__), task.prompt(), crewai.Agent.__doc__)
    """
    answers(run, program, *options.split())


@pytest.mark.parametrize("method", ["spawn", "forkserver", pytest.param("fork", marks=needs_fork)])
def test_processes_that_are_started(
    method: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    program = """
        import sys
        {on}
        import crewai, multiprocessing
        {states}
        def work(task):
            return type(task).__name__, task.description, task.prompt(), crewai.Agent.__name__
        if __name__ == "__main__":
            with multiprocessing.get_context("{method}").Pool(2) as pool:
                tasks = [crewai.Task(description=str(i), expected_output="e") for i in range(4)]
                print(pool.map(work, tasks), pool.map(repr, [crewai.Agent, crewai.Task]))
    """
    found = []
    for on, states in (("", ""), (ON, STATES)):
        file = tmp_path / "program.py"
        parts = {"on": on.strip(), "states": states.strip().replace("\n", "\n" + " " * 8)}
        file.write_text(code(program.format(**parts, method=method)))
        found.append(run(file, cwd=tmp_path))
    plain, ours = found
    assert (ours.stdout, ours.returncode) == (plain.stdout, 0), ours.stderr
    assert set(ours.stderr.splitlines()) == {str(ALL_ACTIVE)}


def test_a_tracer_sees_the_users_and_crewais_lines(run: Callable[..., Result]) -> None:
    program = """
        import sys
        seen = []
        def trace(frame, event, argument):
            name = frame.f_code.co_name
            if name == "mine" or frame.f_code.co_filename.endswith("crewai/task.py"):
                if name != "<module>":
                    number = frame.f_lineno - (first if name == "mine" else 0)
                    seen.append((name, event, number))
                return trace
        def mine():
            import crewai
            task = crewai.Task(description="d", expected_output="e")
            return task.prompt()
        first = mine.__code__.co_firstlineno
        sys.settrace(trace)
        mine()
        sys.settrace(None)
        print(len(seen) > 50, {event for _, event, _ in seen})
        print([each for each in seen if each[0] in ("mine", "prompt")])
    """
    answers(run, program)


def test_first_runs_at_once(tmp_path: Path) -> None:
    """Six processes find an empty cache; whatever each of them notes, nobody can tell."""
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path, CREWAI_STORAGE_DIR="same")
    program = f"{ON}import crewai, sys\ntask = crewai.Task(description='d', expected_output='e')\n"
    program += "print(task.prompt())\n"
    usual = start("-c", program.removeprefix(ON), env=env).stdout
    for last in ("", "", STATES):
        command = [str(PYTHON), "-c", program + last]
        started = [
            subprocess.Popen(
                command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for _ in range(1 if last else 6)
        ]
        done = [(*process.communicate(), process.returncode) for process in started]
        assert [(out, code) for out, _, code in done] == [(usual, 0)] * len(done), done
    assert done[-1][1].splitlines()[-1] == str(ALL_ACTIVE)


def test_a_zipped_crewai_is_left_as_it_is(run: Callable[..., Result], tmp_path: Path) -> None:
    spec = importlib.util.find_spec("crewai")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(package.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                archive.write(path, path.relative_to(package.parent))
    program = f"""
        sys.path.insert(0, {str(tmp_path / "all.zip")!r})
        try:
            import crewai
        except BaseException as error:
            print(type(error).__name__, str(error)[:200])
        else:
            print(crewai.__file__, sorted(crewai.__all__))
            print(crewai.Task(description="d", expected_output="e").description)
    """
    plain = run("-c", PATH + code(program))
    ours = run("-c", PATH + ON + code(program) + STATES)
    assert (ours.stdout, ours.returncode) == (plain.stdout, 0), ours.stderr
    assert "all.zip" in plain.stdout, plain.stdout + plain.stderr
