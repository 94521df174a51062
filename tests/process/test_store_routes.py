"""Routes made from the store are those that are made from CrewAI's source."""

import importlib.util
from pathlib import Path

import pytest
from helpers import PACKAGE, environment, start

pytestmark = pytest.mark.skipif(importlib.util.find_spec("crewai") is None, reason="needs CrewAI")

PROGRAM = """
from fast_crewai import finder; finder.start()
import crewai, sys, types
from fast_crewai import engine
from fast_crewai.hooks import fingerprint
def show(code):
    inner = [show(c) if type(c) is types.CodeType else
             sorted(map(repr, c)) if type(c) is frozenset else repr(c) for c in code.co_consts]
    return (code.co_name, code.co_filename, code.co_code, code.co_names, code.co_varnames,
            code.co_freevars, code.co_flags, list(code.co_lines()), inner,
            list(code.co_positions()) if hasattr(code, "co_positions") else "")
for name, state in sorted(engine.registry().states.items()):
    print(name, state.state, state.reason)
    if state.dispatcher:
        for code in state.dispatcher._codes.values():
            print(show(code))
        fast = state.dispatcher._cells["_fc_fast"].cell_contents
        print(show(fast.__code__) if type(fast) is types.FunctionType else type(fast))
print(sorted((c.co_qualname if hasattr(c, "co_qualname") else c.co_name, d)
             for c, d in fingerprint._digests.values()))
"""


def test_a_second_run_has_the_same_routes(tmp_path: Path) -> None:
    env = environment(
        PYTHONPATH=str(PACKAGE.parent),
        XDG_CACHE_HOME=tmp_path,
        CREWAI_DISABLE_TELEMETRY="true",
        OTEL_SDK_DISABLED="true",
        FAST_CREWAI_DISABLE="imports.lazy",
    )
    count = "from fast_crewai.hooks import store; real = store.save; made = []\n"
    count += "store.save = lambda: (made.append(store._new), real())\n"
    answers = []
    for new in (True, False):
        answer = start("-c", f"{count}{PROGRAM}\nassert made and any(made) is {new}, made", env=env)
        assert answer.returncode == 0, answer.stderr
        answers.append(answer.stdout)
    assert answers[0] == answers[1]
    assert answers[0].count(" active ") > 30
