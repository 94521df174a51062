"""What a program could see of the garbage collector, with the real CrewAI and as without us."""

import importlib.util
import os
from pathlib import Path

import pytest
from helpers import PACKAGE, code, environment, start

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
ASIDE = """
from fast_crewai.imports import set_aside
assert set_aside.count() > 100_000 and type(gc).__name__ == "_Gc", type(gc)
"""
ENDS = """
class Ends:
    __slots__ = {slots}
    def __del__(self): os.write(1, b"freed " + str(os and "whole").encode() + b"\\n")
"""

AFTERWARDS = [
    "print(len([o for o in gc.get_objects() if o is crewai.Agent]))",
    "print(len(gc.get_referrers(crewai.Agent)) > 2)",
    "print(gc.get_freeze_count())",
    "del early\ngc.collect()\nprint(freed())",
    "gc.freeze(); gc.unfreeze(); print(gc.get_freeze_count(), type(gc).__name__)",
    "print(sorted(dir(gc)), type(gc).__name__)",
    "from gc import *; print(collect, freeze)",
    "print(sorted(vars(gc)), type(gc).__name__)",
    "del gc.callbacks; print(hasattr(gc, 'callbacks'))",
    "import gc as again; print(again.collect, again is gc, gc.garbage)",
    "class Counts:\n    @classmethod\n    def collect(cls): pass\ngc.collect = Counts.collect\n"
    "gc.freeze; print(gc.collect is Counts.collect, gc.collect())",
]
AT_EXIT = [
    (ENDS.format(slots="('__dict__', '__weakref__')") + "one = Ends()", "freed whole\n"),
    (ENDS.format(slots="('__dict__',)") + "one = Ends(); one.me = one", "freed whole\n"),
    (ENDS.format(slots="()") + "one = Ends()", "freed whole\n"),
    (ENDS.format(slots="('__dict__',)") + "crewai.Agent.one = Ends()", ""),
    (
        ENDS.format(slots="('__dict__',)")
        + "one = Ends(); old = crewai.Task.execute_sync\n"
        + "def new(*a): return old(*a)\n"
        + "crewai.Task.execute_sync = new",
        "",
    ),
    ("def work():\n  try: yield\n  finally: os.write(1, b'ended')\nwork = work(); next(work)", ""),
    ("file = open('out', 'w'); file.write('text')", ""),
]
EARLIER = """
import gc, os, sys, weakref
class Early: pass
early = Early(); early.me = early; freed = weakref.ref(early)
"""


IN_FORKS = """
sys.stdout.flush()
for number, case in enumerate({cases!r}):
    if os.fork() == 0:
        break
    os.wait()
    os.write(1, b"end of case\\n")
else:
    os._exit(0)
exec(case)  # and ends as a program does
"""


def both(cases: list[str], tmp_path: Path) -> list[str]:
    """What programs tell, each without us and with; also what they write to a file."""
    answers = []
    for side, first, after in (("plain", "\n", ""), ("ours", ON, ASIDE)):
        folder = tmp_path / side
        folder.mkdir()
        script = folder / "script.py"
        forks = IN_FORKS.format(cases=[code(case) for case in cases])
        script.write_text(first + EARLIER + "import crewai\n" + after + forks)
        env = environment(**QUIET, XDG_CACHE_HOME=tmp_path, CREWAI_STORAGE_DIR="same")
        answer = start("script.py", cwd=folder, env=env)
        written = (folder / "out").read_text() if (folder / "out").exists() else ""
        said = [line for line in answer.stderr.splitlines() if "0x" not in line]
        answers.append(f"{answer.stdout}{written}{answer.returncode}{said}")
    plain, ours = answers
    assert ours == plain
    told = ours.split("end of case\n")[:-1]
    assert len(told) == len(cases)
    return told


@needs_fork
def test_whoever_looks_sees_everything(tmp_path: Path) -> None:
    assert all(both(AFTERWARDS, tmp_path))


@pytest.mark.parametrize("name", ["get_freeze_count", "collect", "get_objects"])
def test_who_has_taken_a_function_before_sees_everything(name: str, tmp_path: Path) -> None:
    program = f"""
        from gc import {name} as taken
        import crewai, sys
        from fast_crewai.imports import set_aside
        print(set_aside.count(), type(sys.modules["gc"]).__name__)
    """
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path)
    answer = start("-c", ON + code(program), env=env, cwd=tmp_path)
    assert answer.stdout == "0 module\n", answer.stderr


@needs_fork
def test_what_ends_at_exit_ends_as_before(tmp_path: Path) -> None:
    programs, expected = zip(*AT_EXIT, strict=True)
    for told, some in zip(both([*programs, KICKOFF], tmp_path), (*expected, "kept"), strict=True):
        assert some in told


KICKOFF = """
    from crewai import Agent, BaseLLM, Crew, Task
    class Fake(BaseLLM):
        def call(self, *a, **k): return "Thought: done\\nFinal Answer: 42"
        def supports_function_calling(self): return False
    agent = Agent(role="r", goal="g", backstory="b", llm=Fake(model="fake"))
    task = Task(description="d", expected_output="e", agent=agent)
    print(Crew(agents=[agent], tasks=[task]).kickoff().raw)
    if "set_aside" in globals():
        set_aside.end = lambda: os.write(1, b"not kept")
    print("kept")
"""
