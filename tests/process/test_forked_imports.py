"""Forks while another thread imports what plain Python would have imported before.

There a child finds such a module; here it must neither hang on the lock of a thread that it hasn't,
nor find half a module.
"""

from pathlib import Path

import pytest
from helpers import code, environment, start
from test_lazy import ON, QUIET, needs_fork
from test_reexports import LLM, cache, pytestmark

__all__ = ["cache", "pytestmark"]

# Another thread stops in the middle of a module, until the process has been forked.
STOPPED = """
import os, signal, threading
from fast_crewai.imports import forks
begun, forked = threading.Event(), threading.Event()
def profile(frame, event, argument):
    if event == "call" and frame.f_code.co_name == "<module>":
        if frame.f_globals["__name__"] == {module!r}:
            sys.setprofile(None)
            begun.set()
            {stop}
def other():
    sys.setprofile(profile)
    ask()
thread = threading.Thread(target=other)
thread.start()
assert begun.wait(60)
"""
FORK = """
child = os.fork()
if not child:
    signal.alarm(60)
    print(getattr(sys.modules[{module!r}].__spec__, "_initializing", False))
    print(ask() == {found})
    sys.stdout.flush()
    os._exit(0)
forked.set()
print(os.waitpid(child, 0)[1])
thread.join()
print(ask() == {found})
"""

PROVIDER = "crewai.llms.providers.openai.completion"
NAMED = f"import {PROVIDER} as c\ndef ask(): return c."
CASES = [
    # the provider, and openai with it
    ("def ask(): return crewai.task.OpenAICompletion", PROVIDER),
    ("def ask(): return crewai.task.OpenAICompletion", "openai._client"),
    ("def ask():\n    import openai\n    return openai.OpenAI", "openai._models"),
    # what waits of openai
    (LLM + "import openai\ndef ask(): return dir(openai.types)", "openai.types.batch"),
    (LLM + "def ask():\n    import openai.types.batch as b\n    return b", "openai.types.batch"),
    (LLM + NAMED + "ChatCompletionStream", "openai.lib.streaming.chat._events"),
    (LLM + NAMED + "Response", "openai.types.responses.response"),
    (LLM + NAMED + "__dict__", "openai.lib.streaming._deltas"),
    # chromadb
    ("def ask():\n    from crewai.rag.chromadb import client\n    return client", "chromadb.api"),
]


def run(program: str, cache: Path, tmp_path: Path) -> list[str]:
    env = environment(**QUIET, XDG_CACHE_HOME=cache, CREWAI_STORAGE_DIR="same")
    done = start("-W", "ignore", "-c", ON + "import crewai, sys\n" + program, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@needs_fork
@pytest.mark.parametrize(("ask", "module"), CASES)
def test_a_child_imports_what_another_thread_has_begun(
    ask: str, module: str, cache: Path, tmp_path: Path
) -> None:
    stopped = STOPPED.format(module=module, stop="forked.wait(60)")
    program = f"{ask}\n{stopped}forks._PATIENCE = 0.1\n{FORK.format(module=module, found='ask()')}"
    assert run(program, cache, tmp_path) == ["False", "True", "0", "True"]


@needs_fork
@pytest.mark.parametrize(("ask", "module"), CASES)
def test_a_fork_waits_for_it(ask: str, module: str, cache: Path, tmp_path: Path) -> None:
    stop = "import time; time.sleep(0.3)"
    program = f"{ask}\n{STOPPED.format(module=module, stop=stop)}forks._PATIENCE = 120\n"
    program += FORK.format(module=module, found="ask()")
    assert run(program, cache, tmp_path) == ["False", "True", "0", "True"]


@needs_fork
def test_an_interrupt_meanwhile_reaches_the_program(cache: Path, tmp_path: Path) -> None:
    ask, module = CASES[0]
    stopped = STOPPED.format(module=module, stop="forked.wait(60)")
    program = f"{ask}\n{stopped}" + code("""
        forks._PATIENCE = 30
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            child = os.fork()
            if not child:
                os._exit(0)
            forked.wait(60)
        except KeyboardInterrupt:
            print("interrupted")
        forked.set()
        thread.join()
    """)
    assert run(program, cache, tmp_path) == ["interrupted"]


GATED = {
    "outer": "import lately_imported",
    "lately_imported": "import deep",
    "deep": "import gate; gate.begun.set(); gate.done.wait(60)",
}


def test_only_what_is_late_counts(tmp_path: Path) -> None:
    """Python itself has the same trouble with a module that a user's thread imports."""
    for name, text in GATED.items():
        (tmp_path / f"{name}.py").write_text(text)
    program = code("""
        import sys, threading, types
        from fast_crewai.imports import forks
        gate = sys.modules["gate"] = types.ModuleType("gate")
        gate.begun, gate.done = threading.Event(), threading.Event()
        thread = threading.Thread(target=__import__, args=("outer",))
        thread.start()
        assert gate.begun.wait(60)
        print(forks._others())
        forks.expect(["lately_imported.some.module"])
        print(forks._others())
        gate.done.set()
        thread.join()
        print(forks._others(), sorted(n for n in sys.modules if n in ("outer", "deep")))
    """)
    done = start("-c", program, env=environment(**QUIET), cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "[]",
        "['lately_imported', 'deep']",
        "[] ['deep', 'outer']",
    ], done.stderr
