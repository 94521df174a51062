"""Each submodule of CrewAI, imported alone after ``crewai``, is or fails as without us.

CI takes those that something is left out of or put off, and some others. All of them, in batches:

    FAST_CREWAI_SUBMODULES=all pytest tests/process/test_submodules.py
"""

import ast
import importlib.util
import os
from pathlib import Path

import pytest
from helpers import environment, start
from test_lazy import ON, QUIET, needs_fork

from fast_crewai.imports import manifest, proof
from fast_crewai.imports.portions import PORTIONS

pytestmark = pytest.mark.skipif(importlib.util.find_spec("crewai") is None, reason="needs CrewAI")

ALL = os.environ.get("FAST_CREWAI_SUBMODULES") == "all"
BATCH = 30
SOME = 40  # of the others, CI takes every 40th

# In a fork each: what a program sees that imports one submodule.
PROGRAM = """
import importlib, os, sys, types, warnings
warnings.simplefilter("ignore")
import crewai
def tell(name):
    try:
        module = importlib.import_module(name)
    except BaseException as error:
        return type(error).__name__, str(error)
    return sorted(
        (key, type(value).__name__, getattr(value, "__module__", ""), value.__qualname__)
        if isinstance(value, (type, types.FunctionType))
        else (key, "module" if isinstance(value, types.ModuleType) else type(value).__name__)
        for key, value in ((key, getattr(module, key)) for key in dir(module))
        if not key.startswith("__fast_crewai")
    )
for name in sys.argv[1:]:
    sys.stdout.flush()
    child = os.fork()
    if not child:
        try:
            print(name, tell(name))
            sys.stdout.flush()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
"""


def _every() -> list[str]:
    spec = importlib.util.find_spec("crewai")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    names = []
    for folder in map(Path, folders):  # as files: finding a submodule imports its parents
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return sorted({n for n in names if not n.endswith("__main__") and "templates" not in n})


def _chosen() -> list[str]:
    every = _every()
    if ALL:
        return every
    touched = {*manifest.LEFT, *manifest.DEFERRED, *manifest.EAGER, *proof.PROVIDER}
    touched |= {name for what in PORTIONS.values() for name in (*what.left, *what.deferred)}
    touched = {n for n in touched if ".embeddings.providers." not in n}
    return sorted({*touched, manifest.DEFERRED[-1], manifest.SHELL_USER, *every[::SOME]})


def _batches() -> list[list[str]]:
    names = _chosen() if importlib.util.find_spec("crewai") is not None else []
    return [names[i : i + BATCH] for i in range(0, len(names), BATCH)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    start("-c", ON + "import crewai", env=environment(**QUIET, XDG_CACHE_HOME=folder))
    return folder


@needs_fork
@pytest.mark.timeout(900)
@pytest.mark.parametrize("names", _batches(), ids=lambda names: names[0])
def test_it_is_or_fails_as_before(names: list[str], cache: Path, tmp_path: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=cache, CREWAI_STORAGE_DIR="same")
    check = "\nfrom fast_crewai.imports import deferred, lazy\n"
    check += "assert deferred.DEFERRED.state == lazy.LAZY.state == 'active'\n"
    program = PROGRAM.replace("import crewai\n", "import crewai" + check, 1)
    plain = start("-c", PROGRAM, *names, cwd=tmp_path, env=env)
    done = start("-c", ON + program, *names, cwd=tmp_path, env=env)
    assert done.returncode == plain.returncode == 0, done.stderr
    found = [dict(line.split(" ", 1) for line in a.stdout.splitlines()) for a in (plain, done)]
    assert found[0].keys() == {*names}
    for name in names:
        theirs, ours = (ast.literal_eval(answers.get(name, "()")) for answers in found)
        assert ours == theirs, (name, {*ours} ^ {*theirs})
