"""The real CrewAI and openai, whose types are imported one by one until somebody could tell."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Result, code, environment, in_forks, start
from test_lazy import ON, QUIET, needs_fork

pytestmark = pytest.mark.skipif(importlib.util.find_spec("crewai") is None, reason="needs CrewAI")

PLAIN = "import crewai, sys\n"
LLM = "crewai.LLM('gpt-4o', api_key='none')\n"
WAITING = """
from fast_crewai.imports.reexports import REEXPORTS
assert REEXPORTS.state == "active" and not REEXPORTS.reason, (REEXPORTS.state, REEXPORTS.reason)
assert 0 < len([name for name in sys.modules if name.startswith("openai.types.")]) < 50
"""
TYPES = "sorted(n for n in sys.modules if n.startswith('openai.types'))"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which a first run, and one that used openai, have left their marks."""
    folder = tmp_path_factory.mktemp("cache")
    env = environment(**QUIET, XDG_CACHE_HOME=folder, CREWAI_STORAGE_DIR="same")
    for program in ("import crewai", "import crewai\n" + LLM):
        done = start("-c", ON + program, env=env)
        assert done.returncode == 0, done.stderr
    assert len(list((folder / "fast-crewai" / "imports").glob("*-types"))) == 1
    return folder


def both(program: str, cache: Path, tmp_path: Path, **variables: str) -> tuple[Result, Result]:
    """Plain and accelerated, after an LLM has been made."""
    found = []
    for side, first in (("plain", PLAIN + LLM), ("ours", ON + PLAIN + LLM + WAITING)):
        folder = tmp_path / side
        folder.mkdir()
        variables = {"CREWAI_STORAGE_DIR": "same", **variables}
        env = environment(**QUIET, XDG_CACHE_HOME=cache, **variables)
        found.append(start("-c", first + code(program), cwd=folder, env=env))
    return found[0], found[1]


CASES = [
    # Whoever looks at a whole package finds it as it would be.
    f"import openai; print(names(openai.types), {TYPES})",
    f"import openai; print(sorted(vars(openai.types)), {TYPES})",
    "import openai.types.chat as t; print(names(t)); print(type(t), t)",
    "import openai.types.responses as t; print(sorted(t.__dict__))",
    "from openai.types.shared import *; print(sorted(globals()))",
    "import inspect, openai.types.beta as t; print(inspect.getmembers(t, inspect.isclass))",
    "import inspect, openai.types as t; print(len(inspect.getsource(t)), t.__doc__, t.annotations)",
    # Whoever asks for a name gets it.
    "from openai.types.chat import ChatCompletion as C; print(C, C.model_fields, C.__mro__)",
    "from openai.types import Batch, Image; print(Batch, Image, Batch.model_json_schema())",
    "import openai; print(openai.types.chat.chat_completion, openai.types.batch.Batch.__module__)",
    "import openai; print(openai.types.chat.completion_create_params.__file__)",
    "import openai; print(hasattr(openai.types, 'nothing'), hasattr(openai.types, 'graders'))",
    "import openai; print(openai.types.graders)",
    "import openai; print(openai.types.nothing)",
    "from openai.types import nothing",
    "from openai.types.beta import threads; print(threads, threads.Run)",
    "import openai.types.graders as g; print(g, names(g))",
    "import openai.types.realtime as r; print(r.RealtimeSession, hasattr(r, 'realtime_session'))",
    "import openai.types.chat.chat_completion_role as r; print(r, r.__spec__.name)",
    # Whoever replaces something finds that it has been taken before.
    """
    import openai._models
    class Other(openai._models.BaseModel): ...
    openai._models.BaseModel = Other
    from openai.types import Batch
    print(Batch.__mro__)
    """,
    """
    import openai.types.shared as s, openai.types.shared.metadata as m
    m.Metadata = int
    from openai.types import Batch
    print(Batch.model_fields['metadata'], s.Metadata)
    """,
    """
    import openai.types.shared as s
    s.Metadata = int
    from openai.types import Batch
    print(Batch.model_fields['metadata'], s.Metadata, s.metadata.Metadata)
    """,
    """
    import openai.types.chat as c
    del c.ChatCompletion
    print(hasattr(c, 'ChatCompletion'), 'ChatCompletion' in dir(c))
    """,
    """
    import pydantic
    pydantic.Field = None
    from openai.types import Moderation
    print(Moderation.model_fields)
    """,
    """
    from unittest.mock import patch
    import openai
    with patch("openai.types.Batch", 3), patch("openai.types.chat.chat_completion.Choice") as c:
        print(openai.types.Batch, openai.types.chat.chat_completion.Choice is c)
    print(openai.types.Batch, openai.types.chat.chat_completion.Choice)
    """,
    # The rest of what Python does with modules and classes.
    """
    import pickle, copy
    from openai.types.chat import ChatCompletionMessage as M
    m = M(role="assistant", content="x")
    print(pickle.loads(pickle.dumps(m)), copy.deepcopy(m), pickle.dumps(M))
    """,
    f"import importlib, openai.types as t; importlib.reload(t); print(names(t), {TYPES})",
    "import pkgutil, openai.types as t; print([m.name for m in pkgutil.walk_packages(t.__path__)])",
    "import types, openai.types as t; print(isinstance(t, types.ModuleType), t.__name__)",
    """
    import threading, openai.types as t
    wanted = ["Batch", "Image", "Model", "Moderation", "Upload", "Video", "Embedding", "FileObject"]
    found = [None] * 8
    def ask(i): found[i] = getattr(t, wanted[i]), len(dir(t)) if i > 5 else None
    every = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    [x.start() for x in every]; [x.join() for x in every]
    print(found)
    """,
    """
    import openai
    openai.BaseModel.model_config["extra"] = "forbid"
    from openai.types import Batch
    print(Batch.model_config)
    """,
    """
    import openai, types, openai.types.chat as c
    class My(types.ModuleType): pass
    openai.types.__class__ = My
    c.__getattr__ = lambda name: "user's " + name
    print(openai.types.Batch, type(openai.types), c.ChatCompletion, c.nothing)
    """,
    """
    import os, signal, threading, openai.types as t
    begun = threading.Event()
    def ask(): begun.set(); dir(t)
    thread = threading.Thread(target=ask)
    thread.start()
    begun.wait()
    children = []
    for _ in range(5):
        child = os.fork()
        if not child:
            signal.alarm(60)
            t.Batch, len(dir(t))
            os._exit(0)
        children.append(child)
    print([os.waitpid(child, 0)[1] for child in children])
    thread.join()
    """,
    """
    from openai import OpenAI
    client = OpenAI(api_key="none")
    print(client.chat.completions.create.__annotations__, type(client.responses))
    """,
]


@needs_fork
def test_nobody_can_tell(cache: Path, tmp_path: Path) -> None:
    plain, ours = both(in_forks(CASES), cache, tmp_path)
    parts = [done.stdout.split("end of ") for done in (plain, ours)]
    assert len(parts[0]) == len(CASES) + 1, plain.stderr
    for case, theirs, found in zip([*CASES, "the end"], *parts, strict=False):
        assert found == theirs, (case, ours.stderr)
    assert len(parts[0]) == len(parts[1])


EVERY = """
import random, os, re
def ordered(match):  # of two Literals with the same values, typing shows the one it met first
    return f"Literal[{{', '.join(sorted(match[1].split(', ')))}}]"
order = random.Random({seed})
tree = {{}}
for place, _, files in os.walk(os.path.dirname(openai.types.__file__)):
    if "__init__.py" in files:
        source = open(os.path.join(place, "__init__.py")).read()
        package = place[place.index("openai/types"):].replace("/", ".")
        words = source.replace(",", " ").replace("(", " ").replace(")", " ").split()
        tree[package] = [b for a, b in zip(words, words[1:]) if a == "as"]
every = [(package, name) for package in sorted(tree) for name in tree[package]]
order.shuffle(every)
import importlib
found = {{}}
for package, name in every:
    value = getattr(importlib.import_module(package), name)
    parts = ("__module__", "__mro__", "__pydantic_fields__", "__annotations__")
    text = repr([value, *(getattr(value, part, None) for part in parts)])
    if "realtime" in package:  # which nobody has imported so far
        text = re.sub(r"Literal\\[(.*?)\\]", ordered, text)
    found[package, name] = text
print(len(found))
for key in sorted(found):
    print(key, found[key])
"""


def test_every_name_in_another_order(cache: Path, tmp_path: Path) -> None:
    plain, ours = both("import openai\n" + EVERY.format(seed=1), cache, tmp_path)
    assert int(plain.stdout.split()[0]) > 1000
    assert ours.stdout == plain.stdout, ours.stderr


OFF = [
    ("FAST_CREWAI_DISABLE", "imports.openai", "", "disabled by the user"),
    ("DEFER_PYDANTIC_BUILD", "true", "", "DEFER_PYDANTIC_BUILD is set"),
    ("X", "", "import unittest.mock", "unittest.mock is imported already"),
]


@pytest.mark.parametrize(("name", "value", "before", "why"), OFF)
def test_otherwise_all_is_imported(
    name: str, value: str, before: str, why: str, cache: Path, tmp_path: Path
) -> None:
    tell = "from fast_crewai.imports.reexports import REEXPORTS as r; print(r.state, r.reason)\n"
    env = environment(**QUIET, XDG_CACHE_HOME=cache, CREWAI_STORAGE_DIR="same", **{name: value})
    program = f"{ON}{PLAIN}{before}\n{LLM}print(len({TYPES}))\n{tell}"
    done = start("-c", program, cwd=tmp_path, env=env)
    count, state, reason = done.stdout.split(maxsplit=2)
    assert (int(count) > 700, state) == (True, "off"), done.stderr
    assert why in reason


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str, str], Result]:
    """Run with another openai, of which one file says something else."""
    spec = importlib.util.find_spec("openai")
    assert spec is not None
    assert spec.origin is not None
    other = tmp_path / "other"
    shutil.copytree(Path(spec.origin).parent, other / "openai")

    def run(file: str, text: str) -> Result:
        path = other / "openai" / "types" / file
        path.write_text(path.read_text() + text)
        env = environment(**QUIET, XDG_CACHE_HOME=tmp_path / "cache", CREWAI_STORAGE_DIR="same")
        env["PYTHONPATH"] = f"{other}:{env['PYTHONPATH']}"
        start("-c", ON + PLAIN, env=env)
        tell = "from fast_crewai.imports.reexports import REEXPORTS as r; print(r.state, r.reason)"
        return start("-c", f"{ON}{PLAIN}{LLM}print(len({TYPES}))\n{tell}", env=env)

    return run


@pytest.mark.parametrize(
    ("file", "text", "why"),
    [
        ("batch.py", "\nprint('here')\n", "no plain definition"),
        ("chat/__init__.py", "\nx = 1\n", "more than imports"),
        ("batch.py", "\nfrom .image import Image as I\n", ""),
    ],
)
def test_another_openai(
    file: str, text: str, why: str, copied: Callable[[str, str], Result]
) -> None:
    done = copied(file, text)
    *_, count, told = done.stdout.splitlines()
    if why:
        assert told.startswith("off"), done.stderr
        assert why in told
        assert int(count) > 700
    else:
        assert told.startswith("active"), done.stderr
        assert int(count) < 50
