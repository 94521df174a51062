"""The real CrewAI without libraries and tables that most programs don't need, until they do."""

import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest
from helpers import code, environment, in_forks, start
from test_lazy import ON, QUIET, needs_fork

pytestmark = pytest.mark.skipif(importlib.util.find_spec("crewai") is None, reason="needs CrewAI")

LEFT_OUT = """
import crewai, sys
from fast_crewai.imports import deferred
assert deferred.DEFERRED.state == "active", vars(deferred.DEFERRED)
gone = {"context windows", "platform", "telemetry", "http", "drawing", "references", "yaml"}
gone |= {"numpy"} if sys.version_info < (3, 12) else set()
assert "numpy" not in gone or "numpy" not in sys.modules
assert {p.name for p in deferred._state.portions if p.pending} == gone, vars(deferred.DEFERRED)
for name in ("httpx", "jwt", "yaml", "jinja2", "jsonref", "requests", "urllib3",
             "opentelemetry.sdk.trace", "google.protobuf",
             "opentelemetry.exporter", "cryptography.x509", "crewai_core.platform_catalog",
             "crewai.telemetry.tracing.session", "crewai.flow.visualization.renderers.interactive"):
    assert name not in sys.modules, name
"""
STATE = """
import crewai
from fast_crewai.imports import deferred
print([p.name for p in deferred._state.portions if p.pending], deferred.DEFERRED.reason)
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which a first run has left its code."""
    folder = tmp_path_factory.mktemp("cache")
    answer = start("-c", ON + STATE, env=environment(**QUIET, XDG_CACHE_HOME=folder))
    assert answer.stdout.startswith("[] first run here"), answer.stdout + answer.stderr
    return folder


def same(program: str, cache: Path, tmp_path: Path) -> str:
    """What the program prints, with everything imported and with the portions left out."""
    answers = []
    for side, first in (("plain", "import crewai, sys\n"), ("ours", ON + LEFT_OUT)):
        folder = tmp_path / side
        folder.mkdir()
        env = environment(**QUIET, XDG_CACHE_HOME=cache, CREWAI_STORAGE_DIR="same")
        answers.append(start("-c", first + code(program), cwd=folder, env=env))
    plain, ours = (re.sub("0x[0-9a-f]+", "0x", answer.stdout) for answer in answers)
    assert ours == plain != "", answers[1].stderr
    assert answers[0].returncode == answers[1].returncode
    return ours


CASES = [
    # Whoever asks for a name gets it, whoever asks for another one doesn't.
    """
    import crewai.llm as a, crewai.llms.context_window as b
    print(a.OPENAI_CONTEXT_WINDOWS is b.OPENAI_CONTEXT_WINDOWS, len(b.BARE_CONTEXT_WINDOWS))
    print(sorted(a.LLM_CONTEXT_WINDOW_SIZES.items())[:9], b.__annotations__, names(b))
    """,
    "from crewai.llms.context_window import *; print(len(BEDROCK_CONTEXT_WINDOWS))",
    "from crewai.llms import context_window as c; print(len(c._CATALOG)); c.nothing",
    """
    from crewai.llms.context_window import *
    for name in ("gpt-4o", "us.anthropic.claude-sonnet-4-5-v1:0", "acme/gpt-4o", "none"):
        print(resolve_context_window_size(name, {"x": 1}, default=7))
    """,
    "print(crewai.LLM('gpt-4o', api_key='x').get_context_window_size())",
    """
    import crewai_core.platform_apps as p
    print(p.PLATFORM_APPS, p.PLATFORM_APP_TOOL_COUNTS, p.PLATFORM_APP_CATEGORIES[0])
    print(p.PLATFORM_APPLICATION_CATALOG[0], names(p), p.__annotations__)
    """,
    "import crewai_core; print(crewai_core.platform_catalog.PLATFORM_CATALOG['applications'][0])",
    "import crewai_core.platform_apps as p; print(hasattr(p, 'PLATFORM_CATALOG'), dir(p)[:3])",
    "import crewai_core.plus_api as p; print(p._TRIGGER_TIMEOUT, p.httpx.__name__, names(p))",
    "import crewai.flow as f; print(f.visualize_flow_structure, names(f))",
    "from crewai.flow import *; print(visualize_flow_structure)",
    "import crewai.flow.visualization.renderers as r; print(r.interactive, names(r))",
    "print(crewai.telemetry.tracing.session.TraceSession, crewai.telemetry.tracing.__all__)",
    "from crewai.telemetry.tracing import TraceSession as T; print(T.__mro__, T.__module__)",
    "import crewai.skills.parser as p; print(p.yaml.__name__, names(p))",
    # Classes that need them.
    """
    import crewai_core.telemetry as t, crewai.telemetry.telemetry as u, inspect
    print(t.SafeOTLPSpanExporter is u.SafeOTLPSpanExporter, t.SafeOTLPSpanExporter.__mro__)
    print(inspect.getsource(t.CommonAttributesSpanProcessor)[:200], t.close_span.__annotations__)
    print(t.SafeOTLPSpanExporter.export.__annotations__, t.SafeOTLPSpanExporter.__module__)
    from opentelemetry.sdk.trace import SpanProcessor
    print(sorted(c.__name__ for c in SpanProcessor.__subclasses__()))
    """,
    # Annotations.
    """
    import typing, inspect, crewai_core.plus_api as p
    print(typing.get_type_hints(p.RequestKwargs), p.RequestKwargs.__annotations__)
    """,
    "import typing, crewai_core.plus_api as p; print(typing.get_type_hints(p.PlusAPI.list_crews))",
    "import inspect, crewai_core.plus_api as p; print(inspect.signature(p.PlusAPI._http_client))",
    """
    import typing, crewai.a2a.auth.server_schemes as s, crewai.a2a.auth.client_schemes as c
    print(typing.get_type_hints(s.OIDCAuth)["_jwk_client"], s.OIDCAuth.__annotations__)
    print(typing.get_type_hints(c.BearerTokenAuth.apply_auth), s.OIDCAuth.model_fields)
    """,
    """
    import crewai.a2a.auth.server_schemes as s
    class Mine(s.OIDCAuth):
        more: int = 3
    print(Mine.model_fields, Mine.__private_attributes__.keys(), Mine.__annotations__)
    print(s.OIDCAuth.model_json_schema())
    """,
    "import typing, crewai.telemetry.utils as u; print(typing.get_type_hints(u.close_span))",
    # A library whose classes models and type variables are made with.
    """
    from crewai.knowledge.source.base_knowledge_source import BaseKnowledgeSource as K
    from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource as S
    fields = S.model_fields
    import numpy
    print(fields, K.model_fields, K.__annotations__)
    print(fields["chunk_embeddings"].annotation.__args__[0].__origin__ is numpy.ndarray)
    print(K.__annotations__["chunk_embeddings"] is K.model_fields["chunk_embeddings"].annotation)
    """,
    """
    from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource as S
    import inspect; print(inspect.signature(S), sorted(vars(S)), type(vars(S)["__signature__"]))
    """,
    """
    import typing, inspect
    from crewai.knowledge.source.base_knowledge_source import BaseKnowledgeSource as K
    print(typing.get_type_hints(K)["chunk_embeddings"], inspect.signature(K.get_embeddings))
    """,
    """
    from crewai.knowledge.source.base_file_knowledge_source import BaseFileKnowledgeSource as F
    class Mine(F):
        more: int = 3
        def load_content(self): return {}
        def add(self): pass
        def validate_content(self): pass
        async def aadd(self): pass
    print(Mine.model_fields, Mine.__annotations__, Mine.__mro__)
    """,
    """
    from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource as S
    for given in ([], [1], "text", None):
        try: print(S(content="a", chunk_embeddings=given).chunk_embeddings)
        except Exception as error: print(error, error.errors())
    import numpy
    made = S(content="a", chunk_embeddings=[numpy.ones(2)])
    print(made.chunk_embeddings, made.get_embeddings(), made.model_dump(), S.model_fields.keys())
    print(made.model_copy(deep=True) == made)
    """,
    """
    agent = crewai.Agent(role="r", goal="g", backstory="b", llm=crewai.LLM("gpt-4o", api_key="x"))
    print(agent.role, crewai.Knowledge.model_fields.keys())
    for cls in (crewai.Agent, crewai.Crew, crewai.Knowledge):
        try: print(cls.model_json_schema())
        except Exception as error: print(error)
    """,
    """
    from crewai.rag.core import base_embeddings_callable as b, types as t
    print(b.D.__bound__, b.EmbeddingFunction.__parameters__[0].__bound__ == t.Embeddable)
    print(b.D.__bound__ is t.Embeddable, names(b), names(t), t.DType32.__constraints__)
    """,
    """
    import typing
    from crewai.rag.core.base_embeddings_callable import EmbeddingFunction, normalize_embeddings
    print(typing.get_type_hints(EmbeddingFunction.__call__), EmbeddingFunction.__abstractmethods__)
    print(typing.get_type_hints(normalize_embeddings), normalize_embeddings([[1, 2], [3, 4]]))
    class Mine(EmbeddingFunction):
        def __call__(self, input): return [[1.0, 2.0]]
    print(Mine()(["a"]), Mine.__call__.__annotations__, Mine().embed_query(["b"]))
    """,
    "from crewai.rag.core.types import *; print(Embeddings, PyEmbedding, ScalarType.__bound__)",
    """
    import warnings
    print(*warnings.filters, sep="\n")
    warnings.filterwarnings("error", message="mine")
    warnings.simplefilter("always", UserWarning, append=True)
    import numpy
    print(*warnings.filters, sep="\n")
    print(any(f[2] is numpy.exceptions.RankWarning for f in warnings.filters))
    """,
    """
    import warnings
    with warnings.catch_warnings():
        warnings.resetwarnings()
        import numpy
        print(*warnings.filters, sep="\n")
    print(*warnings.filters, sep="\n")
    """,
    """
    import warnings
    warnings.filterwarnings("ignore", message="numpy.ufunc size changed")
    warnings.filterwarnings("error", message="mine")
    import numpy
    print(*warnings.filters, sep="\n")
    """,
    # The same of two packages, one of which imports the other, in front and at the end.
    *(
        f"""
    import warnings
    print(*warnings.filters, sep="\n")
    warnings.filterwarnings("error", message="mine")
    warnings.simplefilter("always", UserWarning, append=True)
    import {first}
    print(*warnings.filters, sep="\n")
    import {second}, requests.exceptions, urllib3.exceptions as u
    print(*warnings.filters, sep="\n")
    kinds = (requests.exceptions.FileModeWarning, *vars(u).values())
    print([any(f[2] is kind for f in warnings.filters) for kind in kinds])
    """
        for first, second in (
            ("requests", "jsonref"),
            ("urllib3", "requests"),
            ("jsonref", "crewai"),
        )
    ),
    """
    import warnings
    def tell():
        from requests.exceptions import FileModeWarning
        from urllib3.exceptions import DependencyWarning, InsecurePlatformWarning, SecurityWarning
        for kind in (FileModeWarning, DependencyWarning, InsecurePlatformWarning, SecurityWarning):
            for _ in range(2):
                warnings.warn("said", kind)
    with warnings.catch_warnings():
        tell()
    tell()  # with the filters that were there before
    """,
    """
    import warnings
    from urllib3.exceptions import DependencyWarning, SecurityWarning
    warnings.simplefilter("ignore", DependencyWarning)
    warnings.simplefilter("default", SecurityWarning, append=True)
    warnings.simplefilter("error", Warning)
    import requests
    print(*warnings.filters, sep="\n")
    """,
    """
    import warnings
    warnings.resetwarnings()
    import requests
    print(warnings.filters)
    """,
    """
    import urllib3, warnings
    urllib3.disable_warnings()
    import requests
    print(warnings.filters)
    """,
    # Filters that somebody has copied; packages that are executed twice; a module of somebody's.
    """
    import warnings
    warnings.filters[:] = [tuple(list(found)) for found in warnings.filters]
    warnings.simplefilter("error")
    import numpy, requests
    print(*warnings.filters, sep="\n")
    from urllib3.exceptions import SecurityWarning
    warnings.warn("said", SecurityWarning)
    """,
    """
    import importlib, warnings
    import requests
    warnings.simplefilter("error")
    importlib.reload(requests)
    print(*warnings.filters, sep="\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "requests"]:
        del sys.modules[name]
    import requests
    print(*warnings.filters, sep="\n")
    print([f[2] is requests.exceptions.FileModeWarning for f in warnings.filters])
    """,
    """
    import warnings
    class Anything:
        def __getattr__(self, name):
            return len
    sys.modules["urllib3.exceptions"] = Anything()
    warnings.simplefilter("always", BytesWarning, append=True)
    with warnings.catch_warnings(record=True) as said:
        warnings.warn("said", BytesWarning)
    print(said, [issubclass(found[2], found[2]) for found in warnings.filters])
    """,
    """
    import crewai.utilities.pydantic_schema_utils as s
    print(s.jsonref.__name__, names(s), s.jsonref.requests.Session)
    """,
    """
    import crewai.utilities.pydantic_schema_utils as s, sys
    person = {"type": "object", "properties": {"name": {"type": "string"}}}
    schema = {"type": "object", "title": "Team", "$defs": {"P": person}, "required": ["lead"],
              "properties": {"lead": {"$ref": "#/$defs/P"}, "n": {"type": "integer"}}}
    made = s.create_model_from_schema(schema)
    print(made.model_json_schema(), made(lead={"name": "a"}), "requests" in sys.modules)
    """,
    """
    import crewai.utilities.pydantic_schema_utils as s
    s.jsonref = "replaced"
    import jsonref
    print(s.jsonref, jsonref.__name__)
    """,
    """
    import sys
    sys.modules["requests"] = None
    import crewai.utilities.pydantic_schema_utils as s
    print(s.jsonref.requests.__name__, sys.modules["requests"])
    """,
    """
    import atexit
    atexit.register(print, "at the end")
    import requests
    session = requests.Session()
    print(session.headers, requests.certs.where() == requests.utils.DEFAULT_CA_BUNDLE_PATH)
    """,
    """
    import threading
    found = []
    def look():
        from crewai.knowledge.source.base_knowledge_source import BaseKnowledgeSource as K
        found.append(str(K.model_fields["chunk_embeddings"].annotation))
    threads = [threading.Thread(target=look) for _ in range(8)]
    [t.start() for t in threads]; [t.join() for t in threads]
    print(found)
    """,
    # What is replaced afterwards was taken before.
    """
    import httpx
    httpx.DigestAuth = "replaced"
    import crewai.a2a.auth.client_schemes as c
    print(c.DigestAuth, c.httpx.DigestAuth, type(httpx))
    """,
    """
    import jwt
    jwt.PyJWKClient = "replaced"
    import crewai_core.auth.utils as u
    print(u.PyJWKClient, u.jwt.PyJWKClient)
    """,
    """
    import crewai_core.auth.utils as u
    u.jwt = u.PyJWKClient = "replaced"
    print(u.jwt, u.PyJWKClient)
    del u.jwt
    print(hasattr(u, "jwt"))
    """,
    """
    import opentelemetry.sdk.trace.export as e
    e.BatchSpanProcessor = "replaced"
    import crewai.telemetry.tracing.session as s, crewai.telemetry.telemetry as t
    print(s.BatchSpanProcessor, t.BatchSpanProcessor)
    """,
    """
    import crewai.events.event_bus as bus
    kept, bus.crewai_event_bus = bus.crewai_event_bus, "replaced"
    print(crewai.telemetry.tracing.session.crewai_event_bus is kept)
    """,
    """
    import crewai.flow.visualization.builder as b
    b.calculate_execution_paths = "replaced"
    print(crewai.flow.visualization.renderers.interactive.calculate_execution_paths)
    """,
    """
    import crewai.llms.context_window as c
    c._load_catalog = lambda: {}
    print(len(c._CATALOG))
    """,
    """
    from unittest import mock
    with mock.patch("crewai_core.plus_api.httpx.Client") as fake:
        from crewai_core.plus_api import PlusAPI
        print(PlusAPI._http_client() is fake())
    with mock.patch("crewai.skills.parser.yaml.safe_load", return_value=5):
        import yaml
        print(yaml.safe_load("a"))
    """,
    """
    import os
    os.environ["OTEL_ATTRIBUTE_COUNT_LIMIT"] = "7"
    import opentelemetry.sdk.trace as t
    print(t._DEFAULT_OTEL_ATTRIBUTE_COUNT_LIMIT, sorted(vars(t)))
    """,
    """
    import os, pathlib
    for name in ("httpx", "jinja2", "jwt"):
        pathlib.Path(f"{name}.py").write_text("raise ImportError('another')")
    sys.path.insert(0, os.getcwd())
    import httpx, jinja2, jwt
    print(*(os.path.basename(m.__file__) for m in (httpx, jinja2, jwt)))
    """,
    # What importing them changes elsewhere.
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
    print(crewai.telemetry.tracing.session, crewai.flow.visualize_flow_structure.__name__)
    import httpx
    print(logging.getLogger("httpx").disabled, logging.getLogger("opentelemetry.trace").disabled)
    print(*warnings.filters, threading.active_count(), sep="\\n")
    """,
    "import warnings; warnings.simplefilter('error'); print(crewai.telemetry.tracing.session)",
    # Using them.
    """
    from crewai.flow import Flow, listen, start
    class Mine(Flow):
        @start()
        def first(self): return 1
        @listen(first)
        def second(self): return 2
    place = Mine().plot("drawn", show=False)
    text = open(place).read()
    print("first" in text and "second" in text, len(text) > 1000)
    print(Mine().kickoff())
    """,
    """
    from crewai.skills.parser import parse_frontmatter, SkillParseError
    print(parse_frontmatter("---\\nname: a\\ndescription: b\\n---\\nbody"))
    try:
        parse_frontmatter("---\\nname: [\\n---\\nbody")
    except SkillParseError as error:
        print(error)
    """,
    """
    from crewai_core.auth.utils import validate_jwt_token
    try:
        validate_jwt_token("no", "http://127.0.0.1:9/jwks", "i", "a")
    except Exception as error:
        print(type(error), error)
    """,
    """
    from crewai_core.plus_api import PlusAPI
    import traceback
    try:
        PlusAPI(api_key="k")._make_request("GET", "/x", timeout=object())
    except Exception as error:
        print(type(error), error)
        for f in traceback.extract_tb(error.__traceback__)[:3]:
            print(f.filename, f.lineno, f.line, f.name)
    """,
    "import importlib, crewai_core.plus_api as p; print(importlib.reload(p), p.httpx.Timeout)",
    """
    import pickle, crewai_core.platform_apps as p
    first = p.PLATFORM_APPLICATION_CATALOG[0]
    print(pickle.loads(pickle.dumps(first)) == first, pickle.dumps(first) != b"")
    """,
    """
    from crewai.events.types.task_events import _resolve_exception_class as resolve
    for name in ("httpx:ConnectError", "jwt.exceptions:InvalidTokenError", "yaml:YAMLError"):
        print(resolve(name))
    """,
    """
    import threading, importlib
    barrier, got = threading.Barrier(8), []
    def work(ask):
        barrier.wait()
        try: got.append(str(ask()))
        except BaseException as error: got.append(repr(error))
    asks = [lambda: crewai.telemetry.tracing.session.TraceSession,
            lambda: importlib.import_module("opentelemetry.sdk.trace.export").SpanExporter,
            lambda: importlib.import_module("httpx").Timeout,
            lambda: importlib.import_module("crewai_core.plus_api")._TRIGGER_TIMEOUT,
            lambda: importlib.import_module("crewai_core.auth.utils").PyJWKClient,
            lambda: len(importlib.import_module("crewai.llm").OPENAI_CONTEXT_WINDOWS),
            lambda: importlib.import_module("crewai_core.telemetry").SafeOTLPSpanExporter,
            lambda: len(importlib.import_module("crewai_core.platform_apps").PLATFORM_APPS)]
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


def test_each_is_asked_for_alone(cache: Path, tmp_path: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=cache)
    ask = "import crewai.skills.parser, crewai.llm\ncrewai.skills.parser.yaml\n"
    answer = start("-c", ON + "import crewai\n" + ask + STATE, cwd=tmp_path, env=env)
    others = ["context windows", "platform", "telemetry", "http", "drawing"]
    others += ["numpy"] if sys.version_info < (3, 12) else []
    others += ["references"]
    assert answer.stdout == f"{others} imported since: yaml\n", answer.stderr


def test_telemetry_needs_it_at_once_and_works(cache: Path, tmp_path: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=cache)
    for name in ("OTEL_SDK_DISABLED", "CREWAI_DISABLE_TELEMETRY"):
        del env[name]
    program = """
from crewai.telemetry.telemetry import Telemetry
import threading
print(Telemetry().ready, type(Telemetry()._exporter), sorted(t.name for t in threading.enumerate()),
      flush=True)
import os
os._exit(0)  # nobody is there to be told
"""
    said = [
        start("-c", first + "import crewai\n" + program, cwd=tmp_path, env=env).stdout
        for first in ("", ON)
    ]
    assert said[0] == said[1] and said[0].startswith("True "), said


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (
            "from fast_crewai.imports import portions\n"
            "portions.PORTIONS['http'].versions.clear()\n",
            "http is imported at once: CrewAI's code differs from every version",
        ),
        (
            "import os; os.environ['OTEL_SERVICE_NAME'] = 'another'\n",
            "telemetry is imported at once: variables that it reads are others",
        ),
        (
            "import wrapt; wrapt.register_post_import_hook(str, 'jinja2')\n",
            "drawing is imported at once: somebody waits for the import of jinja2",
        ),
    ],
)
def test_otherwise_it_is_imported_at_once(
    before: str, reason: str, cache: Path, tmp_path: Path
) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path if "versions" in before else cache)
    if "versions" in before:
        start("-c", ON + before + STATE, env=env)
    answer = start("-c", ON + before + STATE, cwd=tmp_path, env=env)
    assert reason in answer.stdout, answer.stdout + answer.stderr
    name = reason.partition(" ")[0]
    assert f"'{name}'" not in answer.stdout.partition("]")[0]
    assert answer.stdout.startswith("['context windows', 'platform', ")


@pytest.mark.parametrize(
    ("module", "does", "reason"),
    [
        ("yaml", "import atexit; atexit.register(print)", "importing it changes what runs at exit"),
        ("yaml", "import warnings; warnings.simplefilter('once')", "changes the filters of"),
        ("jinja2", "import warnings; warnings.warn('old')", "importing jinja2 warns"),
        ("jsonref", "import atexit; atexit.register(len, ())", "what runs at exit (+2)"),
        ("jsonref", "import warnings; warnings.simplefilter('once', append=True)", "the filters"),
        ("jinja2", "import logging; logging.getLogger('j').setLevel(10)", "configures a logger"),
    ],
)
def test_another_library_that_does_more(
    module: str, does: str, reason: str, tmp_path: Path
) -> None:
    """An installation whose library has an effect when it is imported, on a first run."""
    found = importlib.util.find_spec(module)
    assert found is not None and found.origin is not None
    folder = tmp_path / "site" / module
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(
        f"{does}\n__path__ = [{str(Path(found.origin).parent)!r}]\n"
        f"exec(compile(open({found.origin!r}).read(), {found.origin!r}, 'exec'))\n"
    )
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path)
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "site"), env["PYTHONPATH"]])
    said = [start("-c", ON + STATE, cwd=tmp_path, env=env) for _ in range(2)]
    name = {"yaml": "yaml", "jinja2": "drawing", "jsonref": "references"}[module]
    assert f"{name} is imported at once" in said[1].stdout, said[1].stdout + said[1].stderr
    assert reason in said[1].stdout


@needs_fork
def test_a_fork_in_which_it_is_asked_for(cache: Path, tmp_path: Path) -> None:
    same(
        """
        import multiprocessing, threading
        def child(queue):
            import crewai_core.plus_api as p
            queue.put((str(p._TRIGGER_TIMEOUT), len(crewai.llm.OPENAI_CONTEXT_WINDOWS)))
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        process = context.Process(target=child, args=(queue,))
        process.start()
        print(queue.get(timeout=60))
        process.join()
        """,
        cache,
        tmp_path,
    )


@pytest.mark.parametrize("names", ["requests", "urllib3", "numpy", "jsonref, numpy.exceptions"])
def test_filters_of_what_was_imported_before(names: str, cache: Path, tmp_path: Path) -> None:
    """They are there already, and what a program has put in front of them stays there."""
    program = f"""
import warnings, {names}
try:
    from urllib3.exceptions import DependencyWarning, SecurityWarning
except ImportError:
    pass
warnings.simplefilter("error", Warning)
warnings.simplefilter("ignore", ImportWarning)
warnings.simplefilter("ignore", DeprecationWarning)
import crewai
print(*warnings.filters, sep="\\n")
import numpy, requests
print(*warnings.filters, sep="\\n")
"""
    env = environment(**QUIET, XDG_CACHE_HOME=cache)
    plain, ours = (start("-c", first + program, cwd=tmp_path, env=env).stdout for first in ("", ON))
    assert ours == plain != ""


def test_what_was_imported_before_a_first_run_is_measured_later(tmp_path: Path) -> None:
    """Else nobody would know what its import does: which loggers and filters it adds."""
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path)
    told = """
import logging
print(sorted(name for name in logging.root.manager.loggerDict if not name.startswith("fast_")))
"""
    plain = start("-c", "import crewai\n" + told, cwd=tmp_path, env=env).stdout
    before = ("import numpy, requests\n", "import numpy, requests\n", "import httpx\n", "", "")
    said = [start("-c", ON + names + STATE, cwd=tmp_path, env=env).stdout for names in before]
    assert said[0].startswith("[] first run here"), said
    assert "references is imported at once: requests was imported before CrewAI" in said[1]
    assert "'http'" in said[1]
    assert said[2].startswith("[] first run here"), said
    assert "'references'" in said[3], said
    assert "'http'" in said[3], said
    assert "at once" not in said[3]
    ours = start("-c", ON + "import crewai\n" + told, cwd=tmp_path, env=env).stdout
    assert ours == plain != ""
