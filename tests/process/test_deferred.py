"""The real CrewAI without chromadb, until somebody could notice that it isn't there."""

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from helpers import code, environment, in_forks, start
from test_lazy import ON, QUIET, needs_fork

pytestmark = pytest.mark.skipif(importlib.util.find_spec("crewai") is None, reason="needs CrewAI")

STATE = """
import crewai, sys
from fast_crewai.imports.deferred import DEFERRED
"""
LEFT_OUT = (
    STATE
    + """
assert "chromadb" not in sys.modules and DEFERRED.state == "active", vars(DEFERRED)
assert not [n for n in sys.modules if ".providers." in n and n.endswith("_provider")]
"""
)
REASON = STATE + 'print("chromadb" in sys.modules, DEFERRED.state, DEFERRED.reason)\n'


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which a first run has left its code."""
    folder = tmp_path_factory.mktemp("cache")
    answer = start("-c", ON + REASON, env=environment(**QUIET, XDG_CACHE_HOME=folder))
    assert answer.stdout.startswith("True off first run here"), answer.stdout + answer.stderr
    assert len(list((folder / "fast-crewai" / "deferred").iterdir())) == 1
    return folder


def same(program: str, cache: Path, tmp_path: Path) -> str:
    """What the program prints, with everything imported and with chromadb left out."""
    answers = []
    for side, first in (("plain", "import crewai, sys\n"), ("lazy", ON + LEFT_OUT)):
        folder = tmp_path / side
        folder.mkdir()
        env = environment(**QUIET, XDG_CACHE_HOME=cache, CREWAI_STORAGE_DIR="same")
        answers.append(start("-c", first + code(program), cwd=folder, env=env))
    plain, ours = (re.sub("0x[0-9a-f]+", "0x", answer.stdout) for answer in answers)
    assert ours == plain != "", answers[1].stderr
    assert answers[0].returncode == answers[1].returncode
    return ours


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
            if name.partition(".")[0] in ("crewai", "crewai_core", "chromadb", "grpc", "numpy"):
                kinds = {k: (kind(v), (v.__module__, v.__qualname__)
                             if issubclass(type(v), (type, types.FunctionType)) else ())
                         for k, v in vars(module).items() if not k.startswith("__fast_crewai")}
                print(name, kind(module), sorted(kinds.items()))
        print(sorted(vars(sys.modules["chromadb.api.types"].EmbeddingFunction)))
    """
    assert same(program, cache, tmp_path).count("\n") > 700


PROVIDERS = "crewai.rag.embeddings.providers"
SHELL = f"import {PROVIDERS}.custom.types as t; F = vars(t)['EmbeddingFunction']; "
CASES = [
    """
        fake = type(sys)("httpx")  # by hand: nobody has told us of a mocking library
        sys.modules |= dict.fromkeys(("chromadb", "jinja2", "jwt", "openai", "yaml"))
        sys.modules["httpx"] = sys.modules["openai.types"] = fake
        import crewai_core.plus_api, crewai_core.auth.utils, crewai.knowledge.storage
        import crewai.flow.visualization as drawing
        print(crewai_core.plus_api.httpx.Client, crewai_core.auth.utils.jwt.encode)
        print(crewai.flow.flow_definition.yaml.safe_load, drawing.render_interactive)
        print(crewai.knowledge.storage.knowledge_storage.ChromaDBConfig)
        print(crewai.task.OpenAICompletion)
        print(sys.modules["httpx"] is sys.modules["openai.types"] is fake, sys.modules["yaml"])
    """,
    # Whoever asks for a name gets it.
    f"from {PROVIDERS}.aws import BedrockProvider; print(BedrockProvider)",
    f"import {PROVIDERS}.google as g; print(g.VertexAIProvider, g.vertex, names(g))",
    f"from {PROVIDERS}.custom import *; print(CustomProvider, CustomProviderSpec)",
    "import crewai.rag.factory as f; print(f.RagClientFactory, f.RagConfigType)",
    "print(crewai.rag.config.types.ChromaDBConfig, crewai.rag.chromadb.config.ChromaDBConfig)",
    "print(crewai.rag.config.utils.get_rag_config, crewai.rag.chromadb.types)",
    "import crewai.knowledge.storage.knowledge_storage as k; print(names(k), k.ChromaDBConfig)",
    f"import {PROVIDERS}.aws as a; print(hasattr(a, 'nothing')); a.nothing",
    "crewai.rag.nothing",
    "crewai.rag.config.nothing",
    "crewai.rag.other = 1",
    "crewai.rag.config = 3",
    # Annotations.
    """
    import inspect, typing, crewai.rag.factory as f
    print(inspect.signature(f.create_client), f.create_client.__annotations__)
    print(typing.get_type_hints(f.create_client), typing.get_type_hints(f))
    print(f.__annotations__, f._factories, sorted(f.create_client.__annotations__))
    """,
    """
    import inspect
    method = type(crewai.rag).__setattr__
    print({**method.__annotations__}, inspect.get_annotations(method), inspect.signature(method))
    """,
    "import crewai.rag.factory as f; print(type(f.create_client.__annotations__['config']))",
    "import crewai.rag.factory as f; print(f.create_client.__annotations__ | {'a': 1})",
    "import crewai.rag.factory as f; print(dict(f.create_client.__annotations__))",
    "import crewai.rag.factory as f; print([*f.create_client.__annotations__.items()])",
    # The one class that models are annotated with.
    f"import {PROVIDERS}.custom.types as t; print(type(t.EmbeddingFunction))",
    f"import {PROVIDERS}.custom.types as t; print({{k: type(vars(t)[k]) for k in names(t)}})",
    f"from {PROVIDERS}.custom.types import EmbeddingFunction as F; print(type(F), F.__class__)",
    f"""
    import {PROVIDERS}.custom.types as t
    kept = vars(t)["EmbeddingFunction"]
    print(repr(kept), kept.__name__, isinstance(kept, type), kept.__mro__, kept.__module__)
    print(t.CustomProviderConfig.__annotations__)
    import chromadb
    print(kept is chromadb.EmbeddingFunction, type(kept), kept.__doc__, kept.__abstractmethods__)
    """,
    f"{SHELL}print(F.__doc__)",
    f"{SHELL}print(F[list[str]])",
    f"{SHELL}print(issubclass(int, F))",
    f"{SHELL}print(isinstance(3, F))",
    f"{SHELL}F()",
    f"{SHELL}F.mark = 1; print(sorted(vars(t)))",
    f"{SHELL}del F.name",
    f"""
    import pickle, typing, {PROVIDERS}.custom.types as t
    print(pickle.loads(pickle.dumps(t.EmbeddingFunction)) is t.EmbeddingFunction)
    print(typing.get_type_hints(t.CustomProviderConfig))
    """,
    f"""
    import {PROVIDERS}.custom.types as t
    class Mine(t.EmbeddingFunction):
        def __init__(self): self.super = super().__class__
        def __call__(self, input): return [[1.0, 2.0] for _ in input]
        @staticmethod
        def name(): return "mine"
    import chromadb
    print(Mine.__mro__, type(Mine), Mine()(["a"]), issubclass(Mine, chromadb.EmbeddingFunction))
    print(isinstance(Mine(), t.EmbeddingFunction), Mine().embed_query(["a"]), Mine.__orig_bases__)
    """,
    """
    from crewai import Agent
    for given in (int, dict, "no", None):
        try:
            print(Agent(role="r", goal="g", backstory="b", embedder={
                "provider": "custom", "config": {"embedding_callable": given}}).embedder)
        except Exception as error:
            print(error)
    """,
    """
    from crewai import Agent, Crew, Task
    import json
    for model in (Agent, Crew, Task):
        print({k: str(f.annotation) for k, f in model.model_fields.items()})
    from crewai.knowledge.storage.knowledge_storage import KnowledgeStorage
    print(KnowledgeStorage.model_fields, KnowledgeStorage.model_json_schema())
    """,
    # What is replaced afterwards was taken before.
    """
    import crewai.rag.core.base_embeddings_provider as place
    place.BaseEmbeddingsProvider = "replaced"
    import crewai.rag.embeddings.providers.aws.bedrock as b
    print(b.BaseEmbeddingsProvider, b.BedrockProvider.__mro__)
    """,
    """
    import numpy, tenacity
    tenacity.retry = "replaced"
    import chromadb.api.types as t
    print(t.retry, type(numpy), type(tenacity))
    """,
    """
    import crewai.rag.factory as f
    f.create_client = "replaced"
    import crewai.rag.config.utils as u
    print(u.create_client.__name__, f.create_client)
    """,
    """
    import crewai.knowledge.storage.knowledge_storage as k
    k.ChromaDBConfig = "replaced"
    import crewai.rag.chromadb.config as c
    print(k.ChromaDBConfig, c.ChromaDBConfig, k.get_rag_client)
    del k.get_rag_client
    print(hasattr(k, "get_rag_client"))
    """,
    """
    from unittest import mock
    print("chromadb" in sys.modules)
    with mock.patch("crewai.knowledge.storage.knowledge_storage.get_rag_client") as fake:
        from crewai.knowledge.storage.knowledge_storage import KnowledgeStorage
        print(KnowledgeStorage()._get_client() is fake())
    """,
    """
    import os, pathlib
    for name in ("chromadb", "tenacity", "grpc"):
        pathlib.Path(f"{name}.py").write_text("raise ImportError('another')")
    sys.path.insert(0, os.getcwd())
    import chromadb, tenacity, grpc
    print(*(os.path.basename(m.__file__) for m in (chromadb, tenacity, grpc)))
    """,
    """
    import chromadb
    chromadb.config.Settings = "replaced"
    print(crewai.rag.chromadb.config.Settings, chromadb.Settings)
    """,
    """
    import crewai.rag.config.types as t
    t.ChromaDBConfig = t.RagConfigType = "replaced"
    import crewai.rag.factory as f
    print(f.RagConfigType, crewai.rag.config.utils.RagConfigType)
    """,
    """
    import os
    os.environ["ANONYMIZED_TELEMETRY"] = "False"
    os.environ["CHROMA_SERVER_HOST"] = "elsewhere"
    import chromadb
    print(chromadb.get_settings().anonymized_telemetry, chromadb.get_settings().chroma_server_host)
    print(os.environ["CHROMA_SERVER_HOST"])
    """,
    """
    from crewai.rag.core.base_embeddings_provider import BaseEmbeddingsProvider as Base
    from crewai.rag.core.base_embeddings_callable import EmbeddingFunction
    print(isinstance(3, Base), issubclass(int, Base), isinstance(3, Base[EmbeddingFunction]))
    print(sorted(map(str, Base.__subclasses__())))
    print("__subclasses__" in vars(Base))
    """,
    # What importing it changes elsewhere.
    """
    import copyreg, logging, logging.config, mimetypes, os, threading, warnings
    print(*warnings.filters, sep="\\n")
    loggers = {n: (type(l).__name__, l.level, l.propagate, l.disabled)
               for n, l in logging.root.manager.loggerDict.items() if isinstance(l, logging.Logger)
               and n.partition(".")[0] not in ("fast_crewai", "aiocache")}
    import numpy  # the table has its types since
    table = list(map(str, copyreg.dispatch_table))
    print(sorted(loggers.items()), mimetypes.inited, sorted(table))
    print(threading.active_count(), len(sys.path), sorted(os.environ))
    logging.config.dictConfig({"version": 1})
    import chromadb
    print(logging.getLogger("chromadb.config").disabled, logging.getLogger("grpc").disabled)
    print(*warnings.filters, sep="\\n")
    import warnings
    warnings.simplefilter("error")
    print(crewai.rag.config.types, *warnings.filters, sep="\\n")
    """,
    """
    import crewai.rag.chromadb.constants as c, os
    print(os.path.relpath(c.DEFAULT_STORAGE_PATH), sorted(os.listdir()))
    """,
    "import warnings; warnings.simplefilter('error'); print(crewai.rag.chromadb.config)",
    """
    from crewai.events.types.task_events import _resolve_exception_class as resolve
    for name in ("chromadb.errors:ChromaError", "grpc:RpcError", "tenacity:RetryError"):
        print(resolve(name))
    """,
    # Using it.
    """
    crewai.rag.config = crewai.rag.chromadb.config.ChromaDBConfig(
        embedding_function=lambda texts: [[1.0, float(len(t))] for t in texts])
    from crewai.rag.config.utils import get_rag_client
    print(type(get_rag_client()), crewai.rag.config)
    """,
    """
    from crewai.knowledge.storage.knowledge_storage import KnowledgeStorage
    for embedder in (None, {"provider": "ollama", "config": {"model_name": "m"}}):
        try:
            storage = KnowledgeStorage(collection_name="c", embedder=embedder)
            print(storage, type(storage._client))
        except Exception as error:
            print(type(error), error)
    """,
    """
    import inspect, traceback
    from crewai.knowledge.storage.knowledge_storage import KnowledgeStorage
    import crewai.knowledge.storage.knowledge_storage as k
    print(inspect.getsource(KnowledgeStorage._get_client), inspect.getsource(k) != "")
    k.get_rag_client = lambda: 1 / 0
    try:
        KnowledgeStorage()._get_client()
    except ZeroDivisionError as error:
        for f in traceback.extract_tb(error.__traceback__):
            print(f.filename, f.lineno, f.line, f.name)
    print([list(f.__code__.co_lines())[-1][2] for f in vars(KnowledgeStorage).values()
           if inspect.isfunction(f)])
    """,
    "import importlib, crewai.rag.factory as f; print(importlib.reload(f), f.RagClientFactory)",
    """
    import os
    os.environ["HOME"] = "/nowhere"
    from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2
    print(str(ONNXMiniLM_L6_V2.DOWNLOAD_PATH).startswith("/nowhere"))
    """,
    """
    import inspect, os
    os.environb[b"PERSIST_DIRECTORY"] = b"/nowhere"
    import chromadb
    print(inspect.signature(chromadb.AdminClient).parameters["settings"].default.persist_directory)
    """,
    """
    import threading, importlib
    barrier, got = threading.Barrier(8), []
    def work(ask):
        barrier.wait()
        try: got.append(str(ask()))
        except BaseException as error: got.append(repr(error))
    asks = [lambda: crewai.rag.config.types.ChromaDBConfig,
            lambda: importlib.import_module("chromadb").EmbeddingFunction,
            lambda: importlib.import_module(
                "crewai.rag.embeddings.providers.aws.bedrock").BedrockProvider,
            lambda: importlib.import_module("crewai.rag.chromadb.types"),
            lambda: importlib.import_module("crewai.rag.embeddings.providers.google.vertex"),
            lambda: importlib.import_module("crewai.rag.config.utils").get_rag_config.__name__,
            lambda: crewai.rag.embeddings.providers.ollama.OllamaProvider,
            lambda: setattr(crewai.rag.factory, "mark", 1)]
    threads = [threading.Thread(target=work, args=(ask,), daemon=True) for ask in asks]
    for t in threads: t.start()
    for t in threads: t.join(60)
    print(sum(t.is_alive() for t in threads), sorted(got))
    """,
]


@needs_fork
def test_nobody_can_tell(cache: Path, tmp_path: Path) -> None:
    out = same(in_forks(CASES), cache, tmp_path)
    assert out.count("end of ") == len(CASES)


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
        print("finder" not in globals() or "chromadb" not in sys.modules)
        """,
        cache,
        tmp_path,
    )


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("import unittest.mock", "needs imports.lazy"),
        ("import chromadb", "chromadb is imported already"),
        (
            "from fast_crewai.imports import manifest, store; store.read = lambda path: None\n"
            "manifest.VERSIONS = {}",
            "CrewAI's code differs from every version that it was proven on",
        ),
        (
            "import wrapt; wrapt.register_post_import_hook(str, 'chromadb')",
            "somebody waits for the import of chromadb",
        ),
        (
            "from fast_crewai.imports import manifest, store; store.read = lambda path: None\n"
            "manifest.BEFORE = ('no_such_module',)",
            "ModuleNotFoundError: No module named 'no_such_module'",
        ),
        (
            "from fast_crewai.imports import manifest; manifest.ABSENT = ('wave',)",
            "wave is installed",
        ),
    ],
)
def test_otherwise_it_is_imported(before: str, reason: str, cache: Path, tmp_path: Path) -> None:
    # Files are read on a first run: `manifest.py` with other versions makes it one.
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path if "VERSIONS" in before else cache)
    answer = start("-c", ON + before + REASON, cwd=tmp_path, env=env)
    assert answer.stdout == f"True off {reason}\n", answer.stderr


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("file.write_text(file.read_text() + '#')", "CrewAI's code differs from every version"),
        ("os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))", "None"),
        ("os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns - 10**9))", "None"),
        ("file.unlink()", "missing"),
    ],
)
def test_a_file_that_changed_makes_a_first_run(change: str, problem: str, tmp_path: Path) -> None:
    """What is stored is of these very files as they are; their text is looked at anew."""
    program = f"""
        import os, shutil, time
        from importlib.machinery import PathFinder
        from pathlib import Path
        from fast_crewai.imports import lazy, proving, store
        lazy.LAZY.state = lazy.WAITING
        site = Path(PathFinder.find_spec("crewai").submodule_search_locations[0]).parent
        for name in ("crewai", "crewai_core"):
            shutil.copytree(site / name, name)
        folder = Path("crewai").resolve()
        before = proving.look(folder)
        store.write(before.mark, proving._stored(before, None, proving._digest(before.sources)))
        again = proving.look(folder)
        print(before.problem, before.stored, again.stored["problem"], again.sources)
        file = folder / "rag" / "factory.py"
        stat = file.stat()
        time.sleep(0.05)  # a file system's clock ticks
        {change}
        try:
            after = proving.look(folder)
        except FileNotFoundError:
            print("missing")
        else:
            print(after.problem, after.stored, before.mark == after.mark)
    """
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path)
    answer = start("-c", code(program), cwd=tmp_path, env=env)
    known, _, after = answer.stdout.partition("\n")
    assert known == "None None None {}", answer.stderr
    assert after.startswith(problem), answer.stderr
    assert problem == "missing" or after.endswith(" None False\n")


@pytest.mark.parametrize(
    ("variables", "dotenv"),
    [
        ({"CHROMA_SERVER_HTTP_PORT": "none"}, ""),
        ({"anonymized_telemetry": "maybe"}, ""),
        ({}, "IS_PERSISTENT=maybe\n"),
    ],
)
def test_settings_that_chromadb_refuses(
    variables: dict[str, str], dotenv: str, tmp_path: Path
) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path)
    usual = [start("-c", ON + REASON, env=env, cwd=tmp_path).stdout for _ in range(2)]
    assert [said.split()[:2] for said in usual] == [["True", "off"], ["False", "active"]]
    (tmp_path / ".env").write_text(dotenv)
    for first in ("", ON):
        answer = start("-c", first + "import crewai", env={**env, **variables}, cwd=tmp_path)
        assert answer.returncode == 1
        assert "ValidationError" in answer.stderr


def test_other_settings_are_a_first_run_and_tell_nothing(tmp_path: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path, CHROMA_API_KEY="one-secret")
    said = [start("-c", ON + REASON, env=env, cwd=tmp_path).stdout for _ in range(2)]
    env["CHROMA_API_KEY"] = "two-secret"
    said += [start("-c", ON + REASON, env=env, cwd=tmp_path).stdout for _ in range(3)]
    (tmp_path / ".env").write_text("OPENAI_API_KEY=some\n")  # not chromadb's
    said += [start("-c", ON + REASON, env=env, cwd=tmp_path).stdout]
    assert [line.split()[0] for line in said] == ["True", "False", "True", "True", "False", "False"]
    for path in (tmp_path / "fast-crewai" / "deferred").iterdir():
        assert b"-secret" not in path.read_bytes()


def test_other_options_of_the_compiler_are_a_first_run(cache: Path, tmp_path: Path) -> None:
    """Code without docstrings or columns is another."""
    for option in ("PYTHONOPTIMIZE", "PYTHONNODEBUGRANGES"):
        if option == "PYTHONNODEBUGRANGES" and sys.version_info < (3, 11):
            continue
        env = environment(**QUIET, XDG_CACHE_HOME=cache) | {option: "2"}
        answer = start("-c", ON + REASON, cwd=tmp_path, env=env)
        assert answer.stdout.startswith("True off first run here"), answer.stdout + answer.stderr


DOTENV = "CHROMA_SERVER_HOST={}\nIS_PERSISTENT={}\nCHROMA_API_IMPL=${{CHROMA_SERVER_HOST}}\n"
READS = """
import inspect, os, pathlib
if sys.argv[1:] and sys.argv[1] == "elsewhere":
    pathlib.Path("folder").mkdir(exist_ok=True)
    os.chdir("folder")
if {after!r} is None:
    pathlib.Path(".env").unlink()
else:
    pathlib.Path(".env").write_text({after!r})
{ask}
import chromadb
def tell(settings):
    print(settings.chroma_server_host, settings.is_persistent, settings.chroma_api_impl)
tell(chromadb.get_settings())
tell(inspect.signature(chromadb.AdminClient).parameters["settings"].default)
tell(chromadb.Settings())  # is made now
tell(chromadb.Settings(_env_file=None))
"""


@pytest.mark.parametrize(
    ("before", "after", "where", "ask"),
    [
        (None, DOTENV.format("later", "true"), "", "import chromadb"),
        (DOTENV.format("first", "true"), DOTENV.format("later", "false"), "", "import chromadb"),
        (DOTENV.format("first", "true"), None, "", "crewai.rag.config.types"),
        (
            DOTENV.format("first", "true"),
            DOTENV.format("there", "false"),
            "elsewhere",
            "import chromadb",
        ),
        (None, "IS_PERSISTENT=refused\n", "", "crewai.rag.config.types"),
    ],
)
def test_a_dotenv_that_changes_is_read_as_it_was(
    before: str | None, after: str | None, where: str, ask: str, tmp_path: Path
) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path / "cache")
    program = READS.format(after=after, ask=ask)
    if after is not None and "refused" in after:
        program = program.replace("tell(chromadb.Settings())", "")

    def answer(first: str) -> str:
        if before is not None:
            (tmp_path / ".env").write_text(before)
        else:
            (tmp_path / ".env").unlink(missing_ok=True)
        script = tmp_path / "script.py"  # with -c, CrewAI puts the file's lines in the environment
        script.write_text(first + program)
        done = start(script, where, cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    plain = answer("import crewai, sys\n")
    answer(ON + "import crewai, sys\n")  # the first run
    assert answer(ON + LEFT_OUT) == plain


def test_switched_off_by_its_name(cache: Path, tmp_path: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=cache, FAST_CREWAI_DISABLE="imports.deferred")
    answer = start("-c", ON + REASON, cwd=tmp_path, env=env)
    assert answer.stdout == "True off disabled by the user (imports.deferred)\n", answer.stderr


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "folder"])
def test_damaged_code_is_made_again(damage: str, tmp_path: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path)
    run = [start("-c", ON + REASON, env=env).stdout.split()[:2] for _ in range(2)]
    assert run == [["True", "off"], ["False", "active"]]
    (file,) = (tmp_path / "fast-crewai" / "deferred").iterdir()
    content = file.read_bytes()
    if damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        half = len(content) // 2
        changed = bytes([content[half] ^ 1])
        file.write_bytes(
            {
                "cut": content[:half],
                "changed": content[:half] + changed + content[half + 1 :],
                "empty": b"",
            }[damage]
        )
    run = [start("-c", ON + REASON, env=env).stdout.split()[:2] for _ in range(2)]
    again = ["True", "off"] if damage == "folder" else ["False", "active"]
    assert run == [["True", "off"], again]


@needs_fork
def test_first_runs_at_once(tmp_path: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path)
    program = (
        ON
        + """
import os
children = []
for number in range(3):
    child = os.fork()
    if not child:
        import crewai
        os._exit(0)
    children.append(child)
assert [os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children] == [0] * 3
"""
        + LEFT_OUT
        + "print('done')"
    )
    answer = start("-c", program, env=env)
    assert answer.stdout == "done\n", answer.stderr
    assert len(list((tmp_path / "fast-crewai" / "deferred").iterdir())) == 1


def test_another_installation_is_a_first_run(cache: Path, tmp_path: Path) -> None:
    """A package that chromadb needs comes from elsewhere: it may be broken."""
    (tmp_path / "tenacity").mkdir()
    (tmp_path / "tenacity" / "__init__.py").write_text("raise ImportError('broken')\n")
    env = environment(**QUIET, XDG_CACHE_HOME=cache)
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), env["PYTHONPATH"]])
    plain, ours = (
        start("-c", first + "import crewai\n", cwd=tmp_path, env=env) for first in ("\n", ON)
    )
    assert plain.returncode == ours.returncode == 1
    assert ours.stderr == plain.stderr


def test_files_that_are_copied_are_known_by_their_content(tmp_path: Path) -> None:
    """As in a container's image; and one that is edited, but keeps its size and time, is seen."""
    (found,) = importlib.util.find_spec("crewai").submodule_search_locations  # type: ignore[union-attr,misc]
    shutil.copytree(found, tmp_path / "site" / "crewai")
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path)
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "site"), env["PYTHONPATH"]])

    def state() -> list[str]:
        return start("-c", ON + REASON, cwd=tmp_path, env=env).stdout.split(maxsplit=2)[1:]

    assert [state()[0] for _ in range(2)] == ["off", "active"]
    file = tmp_path / "site" / "crewai" / "rag" / "factory.py"
    before = file.stat()
    os.link(file, tmp_path / "linked")
    assert file.stat().st_ctime_ns != before.st_ctime_ns
    (mark,) = (tmp_path / "fast-crewai" / "deferred").iterdir()
    stored = mark.read_bytes()
    assert state()[0] == "active"
    assert mark.read_bytes() != stored  # from now on they are known by their state again
    text = file.read_bytes()
    assert text.startswith(b'"""F')
    file.write_bytes(text.replace(b'"""F', b'"""G', 1))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert state() == ["off", "CrewAI's code differs from every version that it was proven on\n"]
    assert [path.name for path in mark.parent.iterdir()] == [mark.name]
