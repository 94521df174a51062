"""CrewAI's provider and ``openai`` itself lack some names until somebody asks for them."""

import re
from pathlib import Path

import pytest
from helpers import environment, in_forks, start
from test_lazy import ON, QUIET, needs_fork
from test_reexports import LLM, PLAIN, both, pytestmark

__all__ = ["pytestmark"]

PROVIDER = "crewai.llms.providers.openai.completion"
HERE = f"import openai, {PROVIDER} as c\n"
LEFT = ["openai.lib._parsing", "openai.lib.streaming", "openai.types.responses.response"]

# The outputs of tools, from whose classes the provider tells them apart.
OUTPUT = """
from openai.types.responses import ResponseFunctionToolCall as F, ResponseFunctionWebSearch as W
call = F(arguments="{}", call_id="1", name="n", type="function_call")
search = W.model_construct(id="2", status="completed", type="web_search_call")
class R: id, output, output_text, usage = "r", [call, search], "text", None
find = crewai.LLM("gpt-4o", api_key="none")._extract_builtin_tool_outputs
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which runs have left their marks."""
    folder = tmp_path_factory.mktemp("cache")
    env = environment(**QUIET, XDG_CACHE_HOME=folder, CREWAI_STORAGE_DIR="same")
    for program in ("import crewai", "import crewai\n" + LLM):
        done = start("-c", ON + program, env=env)
        assert done.returncode == 0, done.stderr
    return folder


CASES = [
    f"if 'fast_crewai' in sys.modules: assert not sys.modules.keys() & set({LEFT})",
    # Whoever looks at the whole module finds it as it would be.
    "print(names(c), names(openai))",
    "print(sorted(n for n in vars(c) if 'fast_crewai' not in n), c.__doc__, c.__name__)",
    "print(sorted(n for n in c.__dict__ if 'fast_crewai' not in n))",
    "print(sorted(vars(openai)), len(openai.__dict__))",
    "from openai import *; print(sorted(globals()))",
    f"from {PROVIDER} import *; print(sorted(n for n in globals() if 'fast_crewai' not in n))",
    "import inspect; print(inspect.getmembers(c, inspect.isclass))",
    "import inspect; print([n for n, _ in inspect.getmembers(openai, inspect.isfunction)])",
    "import inspect; print(len(inspect.getsource(c)), len(inspect.getsource(openai)))",
    "import inspect; print(inspect.getsource(c.OpenAICompletion._extract_reasoning_items))",
    # Whoever asks for a name gets it.
    "print(c.Response, c.ChatCompletionStream, c.ChoiceDelta.model_fields, c.ChatCompletion)",
    f"from {PROVIDER} import ResponseReasoningItem as R; print(R, R.__mro__, R.model_fields)",
    "print(openai.AssistantEventHandler, openai.pydantic_function_tool, openai.lib.streaming)",
    "from openai import AsyncAssistantEventHandler as A; print(A, A.__mro__)",
    "print(hasattr(c, 'nothing'), hasattr(openai, 'nothing'), getattr(c, 'Choice'))",
    "print(c.nothing)",
    "from openai import nothing",
    "print(openai.lib.nothing)",
    "import openai.lib.streaming.chat as s; print(names(s), s.ChatCompletionStream.__mro__)",
    "import openai.lib._parsing as p; print(names(p), p.ResponseFormatT, p._completions.log)",
    "import openai.lib as l; print(l.ResponseFormatT, l.azure, l._tools, names(l))",
    "from openai.lib import streaming, azure; print(streaming, azure, sorted(vars(streaming)))",
    "import openai.lib.streaming.responses as r; print(names(r))",
    "import openai.lib.streaming.chat._events as e; print(e.ContentDoneEvent[int].model_fields)",
    # So it is with annotations.
    """
    import inspect, typing
    f = c.OpenAICompletion._extract_reasoning_items
    print(f.__annotations__, typing.get_type_hints(f), inspect.signature(f, eval_str=True))
    print(typing.get_type_hints(c.OpenAICompletion._extract_openai_token_usage))
    """,
    "import typing; print(typing.get_type_hints(c.OpenAICompletion))",
    "import inspect; print(inspect.signature(c.OpenAICompletion._extract_builtin_tool_outputs))",
    """
    import pydantic
    class Mine(c.OpenAICompletion):
        extra: int = 3
        def f(self, r: "c.Response") -> None: ...
    print(Mine.model_fields.keys(), Mine(model="gpt-4o", api_key="none").extra)
    """,
    # Functions find what the module's names mean.
    OUTPUT + "print(find(R))",
    OUTPUT + "c.ResponseFunctionWebSearch = F; print(find(R))",
    OUTPUT + "vars(c)['ResponseFunctionToolCall'] = int; print(find(R))",
    OUTPUT + "print(find(R)); del c.ResponseFunctionWebSearch; find(R)",
    OUTPUT + "del c.ResponseFunctionToolCall; find(R)",
    OUTPUT + "vars(c).pop('ResponseFunctionToolCall'); find(R)",
    OUTPUT
    + """del c.ResponseFunctionWebSearch
try: find(R)
except NameError as error: print(error, error.name)
""",
    """
    from unittest.mock import patch
    with patch("crewai.llms.providers.openai.completion.Response") as r, patch.dict(vars(c)):
        print(c.Response is r)
    print(c.Response, sorted(n for n in sys.modules if n.startswith("openai.")))
    """,
    """
    from unittest import mock
    print(sorted(n for n in sys.modules if n.split(".")[0] in ("openai", "jiter")))
    print(type(c), type(openai), type(openai.lib), sorted(vars(openai)))
    """,
    # Whoever replaces something finds that it has been taken before.
    "openai._utils.is_dict = 3; print(openai.lib.streaming._deltas.is_dict)",
    """
    openai._exceptions.LengthFinishReasonError = 3
    print(openai.lib.streaming.chat._completions.LengthFinishReasonError)
    """,
    "import jiter; jiter.from_json = 3; print(openai.lib.streaming.chat._completions.from_json)",
    "openai._models.BaseModel = 3; print(c.ChatCompletionStream, c.Response.__mro__)",
    "openai.lib._parsing.ResponseFormatT = 3; print(openai.lib.ResponseFormatT)",
    "openai.pydantic_function_tool = 3; print(openai.lib.pydantic_function_tool)",
    "openai.types.responses.Response = 3; print(c.Response, openai.types.responses.Response)",
    """
    del openai.AssistantEventHandler
    print(hasattr(openai, 'AssistantEventHandler'), names(openai))
    """,
    # The rest of what Python does.
    "import pickle; print(pickle.dumps([c.ChatCompletionStream, c.Response, openai.VERSION]))",
    "import pickle; print(pickle.dumps([openai.pydantic_function_tool, openai.NOT_GIVEN]))",
    "import importlib; importlib.reload(c); print(names(c), c.Response)",
    "import importlib; importlib.reload(openai.lib); print(names(openai.lib))",
    """
    import _thread
    seen = []
    sys.unraisablehook = seen.append
    _thread.start_new_thread(vars, (c,))  # nobody's frame asks
    while not seen and "openai.lib.streaming" not in sys.modules: pass
    print([what.exc_type for what in seen])
    print(sorted(n for n in vars(c) if "fast_crewai" not in n))
    """,
    "import logging; print(sorted(n for n in logging.root.manager.loggerDict if 'openai' in n))",
    "print(c.__spec__.name, c.__file__, isinstance(c, type(sys)), repr(c), c.__package__)",
    """
    import copy
    module = copy.copy(c.__dict__)
    print(sorted(n for n in module if "fast_crewai" not in n))
    """,
    """
    import threading
    wanted = ["Response", "ChatCompletionStream", "Choice", "ChoiceDelta", "ChatCompletion"]
    found = [None] * 20
    def ask(i):
        if i % 4 == 0: found[i] = getattr(c, wanted[i // 4])
        elif i % 4 == 1: found[i] = len(vars(c)) and c.Response
        elif i % 4 == 2: found[i] = openai.resources.chat.Completions
        else:
            import openai.lib.streaming.chat as s
            found[i] = s.ChatCompletionStream, len(dir(openai.lib.streaming))
    every = [threading.Thread(target=ask, args=(i,)) for i in range(20)]
    [x.start() for x in every]; [x.join() for x in every]
    print(found)
    """,
    """
    import os, signal, threading
    begun = threading.Event()
    def ask(): begun.set(); vars(c)
    thread = threading.Thread(target=ask)
    thread.start()
    begun.wait()
    children = []
    for _ in range(5):
        child = os.fork()
        if not child:
            signal.alarm(60)
            c.Response, c.ChatCompletionStream, len(vars(c)), len(dir(openai.types))
            os._exit(0)
        children.append(child)
    print([os.waitpid(child, 0)[1] for child in children])
    thread.join()
    """,
]


@needs_fork
def test_nobody_can_tell(cache: Path, tmp_path: Path) -> None:
    cases = [HERE + case if "\n" not in case.strip() else in_lines(case) for case in CASES]
    plain, ours = both(in_forks(cases), cache, tmp_path)
    parts = [re.sub("0x[0-9a-f]+", "", done.stdout).split("end of ") for done in (plain, ours)]
    assert len(parts[0]) == len(parts[1]) == len(CASES) + 1, (plain.stderr, ours.stderr)
    every = zip([*CASES, "the end"], *parts, strict=True)
    assert not [each for each in every if each[1] != each[2]], ours.stderr


def in_lines(case: str) -> str:
    """A case of several lines, after the imports."""
    lines = case.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    return HERE + "\n".join(line[indent:] for line in lines)


ENDS = [
    "fast_crewai.uninstall()",
    "import pytest",
    "dir(openai.types)",
    "import openai.lib; vars(openai.lib)",
]


@pytest.mark.parametrize("ending", ENDS)
def test_afterwards_all_is_python_s_own(ending: str, cache: Path, tmp_path: Path) -> None:
    program = f"""{ON}{PLAIN}{LLM}{HERE}
import fast_crewai
{ending}
for module in (c, openai, openai.lib, openai.lib.streaming, openai.types):
    print(type(module))
print("Response" in type(sys).__dict__["__dict__"].__get__(c))
print(type(c.OpenAICompletion._extract_reasoning_items.__annotations__))
"""
    env = environment(**QUIET, XDG_CACHE_HOME=cache, CREWAI_STORAGE_DIR="same")
    done = start("-c", program, cwd=tmp_path, env=env)
    expected = ["<class 'module'>"] * 5 + ["True", "<class 'dict'>"]
    assert done.stdout.splitlines() == expected, done.stderr
