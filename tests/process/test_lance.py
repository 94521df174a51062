"""LanceDB's import without schemas that nobody has needed yet: nobody can tell."""

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import code, environment, stand_in, start, write
from test_lazy import ON, QUIET

needs_lancedb = pytest.mark.skipif(
    importlib.util.find_spec("crewai") is None or importlib.util.find_spec("lancedb") is None,
    reason="needs CrewAI and LanceDB",
)
needs_pydantic = pytest.mark.skipif(
    importlib.util.find_spec("pydantic") is None, reason="needs pydantic"
)

STATE = """
from fast_crewai.imports.lance import LANCE
print(LANCE.state, LANCE.reason)
"""
TOOLS = """
import copy, importlib, inspect, pickle, pkgutil, sys, threading
import lance_namespace_urllib3_client.api as api
from lance_namespace_urllib3_client.api.tag_api import TagApi

def methods():
    for info in pkgutil.iter_modules(api.__path__):
        module = importlib.import_module(f"{api.__name__}.{info.name}")
        for kind in vars(module).values():
            if inspect.isclass(kind) and kind.__module__ == module.__name__:
                yield from (f for f in vars(kind).values() if hasattr(f, "raw_function"))

def wrapper(function):
    return function.__closure__[0].cell_contents.__self__

def waiting():
    return sum(not wrapper(f).__pydantic_complete__ for f in methods())

def tried(function, *arguments, **options):
    try:
        return function(*arguments, **options)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

class Client:
    def __getattr__(self, name): raise LookupError(name)
"""
PROGRAM = """
print("functions as such")
for function in methods():
    print(inspect.signature(function), function.__doc__, vars(function).keys(),
          function.__annotations__.keys(), function.__defaults__)
print(pickle.loads(pickle.dumps(TagApi.create_table_tag)) is TagApi.create_table_tag)

print("what overrides has checked, and the libraries' own functions")
from pydantic._internal import _validate_call as checks
overrides = importlib.import_module("overrides.overrides")
for name, module in sorted(sys.modules.items()):
    for kind in vars(module).values() if name.startswith("lancedb") else ():
        if inspect.isclass(kind) and kind.__module__ == name:
            print([(n, f.__doc__) for n, f in vars(kind).items()
                   if getattr(f, "__override__", False)])
print(checks.ValidateCallWrapper._create_validators.__code__.co_filename)
print(overrides._get_base_class_names.__code__.co_filename)

print("another's method, that overrides one")
from pydantic import validate_call
class Mine(TagApi):
    @validate_call
    def create_table_tag(self, id: int): return id
print(wrapper(Mine.create_table_tag).__pydantic_complete__)
print(tried(Mine(Client()).create_table_tag, "3"), tried(Mine(Client()).create_table_tag, "x"))

print("first calls in eight threads at once")
found, start = [None] * 8, threading.Barrier(8)
def call(number):
    start.wait()
    found[number] = tried(TagApi(Client()).create_table_tag, "a", number)
threads = [threading.Thread(target=call, args=(n,)) for n in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(found)

print("what a caller sees")
tags = TagApi(Client())
print(tried(tags.create_table_tag), tried(tags.create_table_tag, 1, 2, bad=3))
print(tried(tags.list_table_tags, "a", limit=-1), tried(tags.list_table_tags, "a"))

print("all the validators, once they are made")
for function in methods():
    made = wrapper(function)
    if not made.__pydantic_complete__:
        tried(function)
    assert made.__pydantic_complete__
    print(function.__qualname__, made.__pydantic_validator__, made.validate_return,
          made.schema_type is function.raw_function, made.config_wrapper.config_dict)
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which a first run has left its marks."""
    folder = tmp_path_factory.mktemp("cache")
    env = environment(**QUIET, XDG_CACHE_HOME=folder)
    answer = start("-c", f"{ON}import crewai, lancedb{STATE}", env=env)
    assert answer.stdout.startswith("off first run here"), answer.stdout + answer.stderr
    return folder


@needs_lancedb
def test_nobody_can_tell(cache: Path, tmp_path: Path) -> None:
    found = []
    for first, waiting in (("", "== 0"), (ON, "> 300")):
        env = environment(**QUIET, XDG_CACHE_HOME=cache, CREWAI_STORAGE_DIR="same")
        program = f"{first}import crewai, lancedb{TOOLS}assert waiting() {waiting}\n{PROGRAM}"
        answer = start("-c", program, cwd=tmp_path, env=env)
        found.append(re.sub("0x[0-9a-f]+", "0x", answer.stdout))
        assert answer.returncode == 0, answer.stderr
    assert found[0] == found[1]


# ------------------------------------------------------------ packages of these names, but small

METHODS = """
import warnings
from pydantic import validate_call
from pydantic_core import core_schema

class Noisy:
    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler):
        warnings.warn("noisy", UserWarning)
        return core_schema.any_schema()

class Api:
    @validate_call
    def usual(self, number: int) -> str: return f"called with {number!r}"
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list[str]]:
    """Two programs' output: of a first run, and of the next one."""
    stand_in(tmp_path)
    client = tmp_path / "lance_namespace_urllib3_client"
    write(client / "__init__.py")
    write(client / "api" / "__init__.py", f"from {client.name}.api.tag_api import Api\n")
    write(client / "models" / "__init__.py")
    write(tmp_path / "lancedb" / "__init__.py", "import lance_namespace_urllib3_client.api\n")

    def run(methods: str = "", before: str = "", after: str = "", **more: str) -> list[str]:
        write(client / "api" / "tag_api.py", METHODS + code(methods))
        found = []
        for _ in range(2):
            env = environment(
                XDG_CACHE_HOME=tmp_path / "cache",
                PYTHONPATH=f"{tmp_path}:{QUIET['PYTHONPATH']}",
                **more,
            )
            program = f"{ON}import crewai\n{code(before)}\nimport lancedb{STATE}{code(after)}"
            answer = start("-c", program, cwd=tmp_path, env=env)
            found.append(answer.stdout + answer.stderr)
        return found

    return run


CALL = """
from lance_namespace_urllib3_client.api import Api
print(Api().usual("3"))
"""


@needs_pydantic
def test_the_next_run_waits(run: Callable[..., list[str]]) -> None:
    first, second = run(after=CALL)
    assert first.splitlines()[0].startswith("off first run here")
    assert second.splitlines()[0] == "active "
    assert first.splitlines()[1] == second.splitlines()[1] == "called with 3"


TOLD = {
    "raises": ("class B:\n @validate_call\n def m(self, x: 'No'): 0", "is not defined"),
    "warns": ("class B:\n @validate_call\n def m(self, x: Noisy): 0", "UserWarning: noisy"),
}


@needs_pydantic
@pytest.mark.parametrize("case", TOLD)
def test_what_is_told_is_told_each_time(run: Callable[..., list[str]], case: str) -> None:
    methods, told = TOLD[case]
    first, second = run(methods)
    assert told in first
    assert first == second


OFF = {
    "imported before": ("import lance_namespace_urllib3_client.api", "is imported already"),
    "replaced": (
        """
        from pydantic._internal import _validate_call as checks
        kind = checks.ValidateCallWrapper
        original = kind._create_validators
        kind._create_validators = lambda self: original(self)
        """,
        "pydantic differs",
    ),
    "a step replaced": (
        """
        from pydantic._internal import _validate_call as checks
        generate_schema = checks.GenerateSchema.generate_schema
        checks.GenerateSchema.generate_schema = lambda *given: generate_schema(*given)
        """,
        "pydantic differs",
    ),
    "plugin": (
        """
        import pydantic
        from pydantic.plugin import _loader
        class Plugin:
            def new_schema_validator(self, *arguments): return None, None, None
        _loader.get_plugins = lambda: [Plugin()]
        """,
        "a plugin of pydantic's sees each schema",
    ),
}


@needs_pydantic
@pytest.mark.parametrize("case", OFF)
def test_nothing_waits(run: Callable[..., list[str]], case: str) -> None:
    before, reason = OFF[case]
    for told in run(before=before, after=CALL):
        assert told.startswith("off") and reason in told, told
        assert told.endswith("called with 3\n"), told


@needs_pydantic
def test_the_user_wants_it_off(run: Callable[..., list[str]]) -> None:
    for told in run(after=CALL, FAST_CREWAI_DISABLE="imports.lance"):
        assert told.splitlines() == ["off disabled by the user (imports.lance)", "called with 3"]


@needs_pydantic
def test_a_change_of_the_client_makes_a_first_run(run: Callable[..., list[str]]) -> None:
    assert run()[1].startswith("active")
    first, second = run("class New:\n @validate_call\n def m(self, x: int): 0")
    assert first.startswith("off first run here")
    assert second.startswith("active")


# ------------------------------------------------------------------- odd ends of the window

INTERRUPT = """
    import sys
    from pydantic._internal._validate_call import ValidateCallWrapper as kind
    from fast_crewai.imports import lance
    own = kind._create_validators

    def interrupt(*given): raise KeyboardInterrupt
    name, owner = {}
    usual = vars(owner)[name]
    setattr(owner, name, interrupt)
    try:
        import lancedb
    except KeyboardInterrupt:
        print("interrupted")
    setattr(owner, name, usual)
"""


@needs_pydantic
@pytest.mark.parametrize("where", ['"executed", lance', '"restore", lance._Window'])
def test_an_interrupt_leaves_nothing_behind(run: Callable[..., list[str]], where: str) -> None:
    """While the window is opened; or closed, and then it is by the next import."""
    told = run(
        before=INTERRUPT.format(where), after=f"print(kind._create_validators is own)\n{CALL}"
    )
    for lines in map(str.splitlines, told):
        assert lines[0] == "interrupted" and lines[1].startswith("off"), lines
        assert lines[2:] == ["True", "called with 3"], lines


@needs_pydantic
def test_an_odd_overrides_stays(run: Callable[..., list[str]]) -> None:
    """It is no file."""
    odd = """
    import sys, types
    name = "overrides.overrides"
    odd = sys.modules[name] = types.ModuleType(name)
    exec("def _get_base_class_names(frame): return frame", vars(odd))
    """
    first, second = run(before=odd, after=f"print(odd._get_base_class_names(3))\n{CALL}")
    assert first.startswith("off first run here") and second.startswith("active"), first + second
    assert first.splitlines()[1:] == second.splitlines()[1:] == ["3", "called with 3"]


@needs_pydantic
def test_half_a_first_run_is_not_noted(run: Callable[..., list[str]]) -> None:
    """Something has ended it before its end, as in a fork."""
    half = """
    from fast_crewai.imports import lance
    lance.end()
    class B:
        @validate_call
        def m(self, x: int): 0
    """
    for told in run(half):
        assert told.startswith("off first run here"), told


@needs_pydantic
def test_whoever_puts_ours_back_has_pydantics(run: Callable[..., list[str]]) -> None:
    """As a mock does that was made in between."""
    after = """
    import importlib
    from lance_namespace_urllib3_client.api import tag_api
    tag_api.kind._create_validators = tag_api.SEEN
    made = importlib.reload(tag_api).Api.usual.__closure__[0].cell_contents.__self__
    print(made.__pydantic_complete__)
    """
    seen = """
    from pydantic._internal._validate_call import ValidateCallWrapper as kind
    SEEN = vars().get("SEEN", kind._create_validators)
    """
    first, second = run(seen, after=after)
    assert second.startswith("active"), second
    assert first.splitlines()[1] == second.splitlines()[1] == "True"
