"""The real CrewAI without its OpenAI provider, until somebody could notice that it isn't there."""

import importlib.util
import os
import re
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from helpers import PACKAGE, code, environment, in_forks, start

from fast_crewai.imports import lazy, proof

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
pytestmark = pytest.mark.skipif(importlib.util.find_spec("crewai") is None, reason="needs CrewAI")

QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
    "PYTHONPATH": str(PACKAGE.parent),
}
ON = "from fast_crewai import finder; finder.start()\n"
LEFT_OUT = """
import crewai, sys
from fast_crewai.imports.lazy import LAZY
assert "openai" not in sys.modules and LAZY.state == "active", (LAZY.state, LAZY.reason)
"""
PROVIDER = "crewai.llms.providers.openai.completion"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which a first run has left its mark."""
    folder = tmp_path_factory.mktemp("cache")
    answer = start("-c", ON + "import crewai", env=environment(**QUIET, XDG_CACHE_HOME=folder))
    assert answer.returncode == 0, answer.stderr
    assert len(list((folder / "fast-crewai" / "imports").iterdir())) == 1
    return folder


def same(program: str, cache: Path, tmp_path: Path) -> str:
    """What the program prints, with everything imported and with the provider left out."""
    folders = {side: tmp_path / side for side in ("plain", "lazy")}
    answers = {}
    for side, folder in folders.items():
        folder.mkdir()
        env = environment(**QUIET, XDG_CACHE_HOME=cache, CREWAI_STORAGE_DIR="same")
        first = ON + LEFT_OUT if side == "lazy" else "import crewai, sys\n"
        answers[side] = start("-c", first + code(program), cwd=folder, env=env)
    plain, lazy = answers["plain"], answers["lazy"]
    assert lazy.stdout == plain.stdout != "", lazy.stderr
    assert lazy.returncode == plain.returncode
    return lazy.stdout


def same_in_forks(programs: list[str], cache: Path, tmp_path: Path) -> list[str]:
    """The same, of many programs, each in a fork of the process that has imported CrewAI."""
    out = same(in_forks(programs), cache, tmp_path)
    answers = re.split(r"end of \d+\n", out)[:-1]
    assert len(answers) == len(programs)
    return answers


def test_every_submodule_imports_or_fails_as_before(cache: Path, tmp_path: Path) -> None:
    program = """
        import importlib, pkgutil, types, warnings
        warnings.simplefilter("ignore")
        def kind(v):  # watched modules are of a subclass until all is imported
            return "module" if issubclass(type(v), types.ModuleType) else type(v).__name__
        names = [m.name for m in pkgutil.walk_packages(crewai.__path__, "crewai.", lambda _: None)]
        assert len(names) > 400
        for name in sorted(names):
            if name.endswith("__main__"):
                continue
            try:
                importlib.import_module(name)
            except BaseException as error:
                print(name, type(error).__name__, error)
        for name in [name for name in sys.modules if name.startswith("crewai")]:
            dir(sys.modules[name])  # asks for what is left out, as vars() can't
        for name, module in sorted(sys.modules.items()):
            if name.partition(".")[0] in ("crewai", "crewai_core", "openai", "anyio", "jiter"):
                kinds = {k: (kind(v), (v.__module__, v.__qualname__)
                             if issubclass(type(v), (type, types.FunctionType)) else ())
                         for k, v in vars(module).items() if not k.startswith("__fast_crewai")}
                print(name, kind(module), sorted(kinds.items()))
    """
    assert same(program, cache, tmp_path).count("\n") > 1000


ACCESSES = [
    "import crewai.task; print(crewai.task.OpenAICompletion)",
    "from crewai.task import OpenAICompletion; print(OpenAICompletion)",
    "from crewai.task import *; print(OpenAICompletion, 'Task' in dir())",
    "print(crewai.llms.providers.openai.completion.OpenAICompletion)",
    "print(crewai.llms.hooks.transport.HTTPTransport)",
    "print(crewai.llms.providers.utils.common.safe_tool_conversion.__module__)",
    "print([n for n in dir(crewai.task) if 'fast_crewai' not in n], dir(crewai.llms))",
    "print(hasattr(crewai.task, 'nothing'), hasattr(crewai.llms, 'nothing'))",
    "crewai.task.nothing",
    "crewai.llms.nothing",
    "print(crewai.BaseLLM.__subclasses__(), vars(crewai.BaseLLM).get('__subclasses__'))",
    "print(type(crewai.LLM('gpt-4o', api_key='x')), crewai.task.OpenAICompletion)",
]


@needs_fork
def test_whoever_asks_gets_the_name(cache: Path, tmp_path: Path) -> None:
    answers = same_in_forks(ACCESSES, cache, tmp_path)
    assert all("OpenAICompletion" in answer for answer in (*answers[:4], *answers[-2:])), answers


REPLACING = [
    (
        # The provider took this name before it was replaced, and keeps it.
        """
            import crewai.utilities.agent_utils as place
            place.is_context_length_exceeded = "replaced"
            from crewai.llms.providers.openai import completion
            print(completion.is_context_length_exceeded.__name__)
            """,
        "is_context_length_exceeded\n",
    ),
    (
        """
            import httpx
            class Client(httpx.Client): pass
            httpx.Client = Client
            import openai
            print(openai._base_client._DefaultHttpxClient.__mro__)
            """,
        "httpx.Client'",
    ),
    (
        """
            from unittest import mock
            with mock.patch("openai.OpenAI") as fake:
                from crewai.llms.providers.openai.completion import OpenAI
                print(OpenAI is fake)
            """,
        "False",
    ),
    (
        """
            import openai
            openai.OpenAI = "replaced"
            from crewai.llms.providers.openai.completion import OpenAI
            print(OpenAI)
            """,
        "<class",
    ),
    (
        """
            import crewai.task
            kept = crewai.task.OpenAICompletion
            crewai.task.OpenAICompletion = int
            print(crewai.task.OpenAICompletion)
            del crewai.task.OpenAICompletion
            print(hasattr(crewai.task, "OpenAICompletion"), kept)
            """,
        "<class 'int'>\nFalse",
    ),
    (
        """
            del crewai.llms.base_llm.JsonResponseFormat
            import crewai.llms.providers.openai.completion as c
            print(c.JsonResponseFormat)
            """,
        "",
    ),
    (
        """
            import os, pathlib
            for name in ("openai", "jiter", "distro", "sniffio"):
                pathlib.Path(f"{name}.py").write_text("raise ImportError('another')")
            sys.path.insert(0, os.getcwd())
            import openai.types
            print(os.path.basename(openai.__file__), crewai.task.OpenAICompletion)
            """,
        "__init__.py",
    ),
    (
        """
            import atexit, copyreg, logging, logging.config, mimetypes, os, threading, warnings
            loggers = {n: type(l).__name__ for n, l in logging.root.manager.loggerDict.items()
                       if n.startswith(("openai", "httpx", "crewai"))}
            print(sorted(loggers.items()), len(warnings.filters), mimetypes.inited)
            import numpy  # the table has its types since
            table = list(map(str, copyreg.dispatch_table))
            print(warnings.filters, sorted(table))
            print(threading.active_count(), len(sys.path), len(os.environ))
            logging.config.dictConfig({"version": 1})
            import openai
            print(openai._base_client.log.disabled)
            """,
        "True\n",
    ),
    (
        """
            import os, logging
            os.environ["OPENAI_API_KEY"] = "read when used"
            print("finder" not in globals() or "openai" not in sys.modules)
            os.environ.update(OPENAI_LOG="debug", openai_api_version="another")
            os.environ["OPENAI_API_VERSION"] = "3000"
            import openai
            print(openai.api_version, logging.getLogger("openai").level)
            """,
        "True\nNone 0\n",
    ),
    (
        """
            sys.modules["openai"] = None
            try:
                import openai
            except ImportError as error:
                print(error)
            """,
        "import of openai halted",
    ),
]


@needs_fork
def test_what_is_replaced_afterwards_was_taken_before(cache: Path, tmp_path: Path) -> None:
    answers = same_in_forks([program for program, _ in REPLACING], cache, tmp_path)
    for answer, (_, told) in zip(answers, REPLACING, strict=True):
        assert told in answer


def test_names_in_a_checkpoint_are_found_as_if_all_were_imported(
    cache: Path, tmp_path: Path
) -> None:
    answer = same(
        """
        from crewai.events.types.task_events import _resolve_exception_class as resolve
        for name in ("builtins:ValueError", "no_such:Error", "openai.types:nothing",
                     "openai:RateLimitError", "anyio:EndOfStream", "wave:Error"):
            print(resolve(name))
        """,
        cache,
        tmp_path,
    )
    assert "<class 'openai.RateLimitError'>" in answer and answer.endswith("None\n")


def test_a_task_with_files_asks_for_the_class(cache: Path, tmp_path: Path) -> None:
    same(
        """
        import inspect, traceback
        import crewai.task
        from crewai import Agent, BaseLLM, Crew, Task
        class Fake(BaseLLM):
            def call(self, *a, **k): return "Thought: done\\nFinal Answer: 42"
            def supports_function_calling(self): return False
            def supports_multimodal(self): return True
        asked = []
        crewai.task.get_all_files = lambda *a: {"a": type("F", (), {
            "content_type": "image/png", "filename": "a.png"})()}
        crewai.task.get_supported_content_types = lambda *a: asked.append(a) or ["image/"]
        agent = Agent(role="r", goal="g", backstory="b", llm=Fake(model="fake"))
        task = Task(description="d", expected_output="e", agent=agent)
        Crew(agents=[agent], tasks=[task])
        print(task.prompt(), asked)
        crewai.task.OpenAICompletion = 3  # no type: the line that asks for it raises
        try:
            task.prompt()
        except TypeError as error:
            for frame in traceback.extract_tb(error.__traceback__):
                print(frame.filename, frame.lineno, frame.line, frame.name)
        print(inspect.getsource(Task.prompt), inspect.getsource(crewai.task)[:2000])
        print(Task.prompt.__code__.co_firstlineno, Task.prompt.__code__.co_filename)
        print([list(f.__code__.co_lines())[-1][2] for f in vars(Task).values()
               if inspect.isfunction(f) and f.__module__ == Task.__module__])
        """,
        cache,
        tmp_path,
    )


def test_a_run_does_not_import_it(cache: Path, tmp_path: Path) -> None:
    same(
        """
        from crewai import Agent, BaseLLM, Crew, Task
        class Fake(BaseLLM):
            def call(self, *a, **k): return "Thought: done\\nFinal Answer: 42"
            def supports_function_calling(self): return False
        agent = Agent(role="r", goal="g", backstory="b", llm=Fake(model="fake"))
        task = Task(description="d", expected_output="e", agent=agent)
        print(Crew(agents=[agent], tasks=[task]).kickoff().raw)
        print("finder" not in globals() or "openai" not in sys.modules)
        import pickle, typing
        print(sorted(typing.get_type_hints(Task.prompt)), pickle.loads(pickle.dumps(Task)) is Task)
        print("finder" not in globals() or "openai" not in sys.modules)
        """,
        cache,
        tmp_path,
    )


def test_eight_threads_that_need_it_at_once(cache: Path, tmp_path: Path) -> None:
    answer = same(
        """
        import importlib, threading
        barrier, got = threading.Barrier(8), []
        def work(ask):
            barrier.wait()
            try: got.append(ask())
            except BaseException as error: got.append(error)
        asks = [lambda: crewai.task.OpenAICompletion,
                lambda: importlib.import_module("openai").OpenAI,
                lambda: type(crewai.LLM("gpt-4o", api_key="x")),
                lambda: setattr(crewai.utilities.agent_utils, "mark", 1)] * 2
        threads = [threading.Thread(target=work, args=(ask,), daemon=True) for ask in asks]
        for t in threads: t.start()
        for t in threads: t.join(60)
        print(sum(t.is_alive() for t in threads), sorted(map(str, got)))
        """,
        cache,
        tmp_path,
    )
    assert answer.startswith("0 ")


@needs_fork
def test_forks_reloads_and_uninstall(cache: Path, tmp_path: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=cache)
    program = (
        ON
        + LEFT_OUT
        + code("""
        import os, importlib, types, fast_crewai, httpx, crewai.task
        child = os.fork()
        if not child:
            assert crewai.task.OpenAICompletion.__module__.endswith("completion")
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        child = os.fork()
        if not child:
            importlib.reload(crewai.llms)
            assert crewai.llms.providers.openai
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert type(httpx) is not types.ModuleType and "openai" not in sys.modules
        fast_crewai.uninstall()
        assert type(httpx) is type(crewai.task) is types.ModuleType
        assert "OpenAICompletion" in vars(crewai.task)
        print("done")
    """)
    )
    answer = start("-W", "ignore", "-c", program, cwd=tmp_path, env=env)
    assert answer.stdout == "done\n", answer.stderr


REASON = """
import crewai, sys
from fast_crewai.imports.lazy import LAZY
print("openai" in sys.modules, LAZY.state, LAZY.reason)
"""


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("import unittest.mock", "unittest.mock is imported already"),
        ("import openai", "openai is imported already"),
        ("import pytest", "pytest is imported already"),
        (
            "import builtins; kept = builtins.__import__\n"
            "builtins.__import__ = lambda *a, **k: kept(*a, **k)",
            "__import__ was replaced",
        ),
        (
            "import sys\nclass Mine:\n    find_spec = staticmethod(lambda *a: None)\n"
            "sys.meta_path.insert(1, Mine())",
            "imports are made by a __main__.Mine",
        ),
        (
            "import wrapt; wrapt.register_post_import_hook(lambda m: None, 'openai.types')",
            "somebody waits for the import of openai.types",
        ),
        (
            "from fast_crewai.imports import proof; proof.VERSIONS = {}",
            "CrewAI's code differs from every version that it was proven on",
        ),
    ],
)
def test_otherwise_everything_is_imported(
    before: str, reason: str, cache: Path, tmp_path: Path
) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=cache)
    answer = start("-c", ON + before + REASON, cwd=tmp_path, env=env)
    assert answer.stdout == f"True off {reason}\n", answer.stderr


def test_switched_off_by_its_name(cache: Path, tmp_path: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=cache, FAST_CREWAI_DISABLE="imports.lazy")
    answer = start("-c", ON + REASON, cwd=tmp_path, env=env)
    assert answer.stdout == "True off disabled by the user (imports.lazy)\n", answer.stderr


def test_a_cache_that_cannot_be_written_means_plain_imports(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path / "file")
    for _ in range(2):
        answer = start("-c", ON + REASON, cwd=tmp_path, env=env)
        assert answer.stdout.startswith("True off first run here"), answer.stderr


def test_another_version_of_what_openai_needs_is_another_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.find_spec("openai")
    assert spec is not None and spec.origin is not None
    package = types.SimpleNamespace(__path__=[str(Path(spec.origin).parents[1] / "crewai")])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = proof.of(package)  # type: ignore[arg-type]
    assert found.problem is None and not found.proven
    found.note()
    assert proof.of(package).proven  # type: ignore[arg-type]
    installed = proof.installed
    monkeypatch.setattr(proof, "installed", lambda site: [*installed(site), "httpx-9.dist-info"])
    assert not proof.of(package).proven  # type: ignore[arg-type]


def test_warnings_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = proof.Proof(mark=tmp_path / "mark")
    warning = types.ModuleType("jiter.warns")
    vars(warning)["__warningregistry__"] = {}
    monkeypatch.setitem(sys.modules, "jiter.warns", warning)
    found.note()
    assert not (tmp_path / "mark").exists()
    monkeypatch.delitem(sys.modules, "jiter.warns")
    found.note()
    assert (tmp_path / "mark").exists()


def test_the_name_is_there_before_it_counts_as_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Names(dict[str, object]):
        def setdefault(self, *arguments: Any) -> None:
            assert lazy._pending
            super().setdefault(*arguments)

    source = types.ModuleType("source")
    vars(source)["OpenAICompletion"] = 1
    names = Names()
    monkeypatch.setitem(sys.modules, lazy.SOURCE, source)
    monkeypatch.setattr(lazy, "_pending", True)
    monkeypatch.setattr(lazy, "_without", [names])
    monkeypatch.setattr(lazy.LAZY, "reason", "")
    lazy._settle()
    assert names == {"OpenAICompletion": 1} and not lazy._pending


def test_an_openai_that_cannot_be_imported_fails_with_crewai(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("openai")
    assert spec is not None and spec.origin is not None
    shutil.copytree(Path(spec.origin).parent, tmp_path / "openai")
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path / "cache")
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), env["PYTHONPATH"]])
    states = [start("-c", ON + REASON, cwd=tmp_path, env=env).stdout.split()[:2] for _ in range(2)]
    assert states == [["True", "off"], ["False", "active"]]
    (tmp_path / "openai" / "broken.py").touch()  # another installation
    with (tmp_path / "openai" / "__init__.py").open("a") as file:
        file.write("\nraise ImportError('broken')\n")
    results = [
        start("-c", first + "import crewai\n", cwd=tmp_path, env=env) for first in ("\n", ON)
    ]
    plain, ours = results
    assert plain.returncode == ours.returncode == 1
    assert ours.stderr == plain.stderr
    assert "ImportError: broken" in ours.stderr
