"""CrewAI's type adapters for events, which wait until somebody asks for what they have built."""

import importlib.util
import re
from pathlib import Path

import pytest
from helpers import code, environment, in_forks, start
from test_lazy import ON, QUIET, needs_fork

pytestmark = pytest.mark.skipif(importlib.util.find_spec("crewai") is None, reason="needs CrewAI")

PLAIN = "import crewai, sys\n"
WAITING = """
from fast_crewai.imports.adapters import _waiting
assert len(_waiting) == 2, _waiting
"""
BOTH = """
from crewai.events.types.env_events import env_context_event_adapter as env
from crewai.events.types.system_events import signal_event_adapter as signals
"""
CASES = [
    "print(env.validate_python({'type': 'cursor_env'}).type, type(env).__mro__)",
    'print(type(signals.validate_json(b\'{"type": "SIGHUP"}\')), signals.pydantic_complete)',
    "try: env.validate_python({'type': 'x'})\nexcept ValueError as error: print(error)",
    "print(env.json_schema(), signals.json_schema())",
    "print(env.core_schema, signals.core_schema)",
    "print(signals.dump_python(signals.validate_python({'type': 'SIGINT'})).keys())",
    "print(sorted(vars(env)), env._module_name, env._config, env._type)",
    "print(env, env.__class__.__name__, env.__doc__, isinstance(env, type(signals)))",
    "import copy; print(sorted(vars(copy.copy(signals))), type(copy.copy(signals)).__mro__)",
    "import pickle; pickle.dumps(env)",
    "print(env.rebuild(), env.rebuild(force=True), type(env.validator))",
    "env.validator = 3; print(env.validator, type(env.serializer), env.pydantic_complete)",
    "del env.validator; print(hasattr(env, 'validator'), type(env.serializer))",
    "print(hasattr(env, 'nothing')); env.nothing",
    "import pydantic\nprint(pydantic.TypeAdapter(int).validate_python('3'))",
    """
    import crewai.events.types.env_events as e
    e.CCEnvEvent.model_rebuild(force=True)
    print(type(env.validate_python({'type': 'cc_env'})) is e.CCEnvEvent)
    """,
    """
    import threading
    found = [None] * 8
    def ask(i): found[i] = type(env.validate_python({'type': 'codex_env'})).__name__
    every = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    [x.start() for x in every]; [x.join() for x in every]
    print(found)
    """,
]


@needs_fork
def test_nobody_can_tell(tmp_path: Path) -> None:
    found = []
    for first in ("", ON, ON):  # the second one is a first run
        env = environment(
            **QUIET, XDG_CACHE_HOME=tmp_path, CREWAI_STORAGE_DIR="same", PYTHONHASHSEED="0"
        )
        check = WAITING if len(found) == 2 else ""
        cases = code(in_forks([BOTH + code(case) for case in CASES]))
        found.append(start("-c", first + PLAIN + check + cases, cwd=tmp_path, env=env))
    answers = [re.sub("0x[0-9a-f]+|~[A-Z]+|:[0-9]{9,}", "_", done.stdout) for done in found]
    parts = [text.split("end of ") for text in answers]
    assert len(parts[0]) == len(CASES) + 1, found[0].stderr
    for case, theirs, ours in zip([*CASES, "the end"], parts[0], parts[2], strict=False):
        assert ours == theirs, (case, found[2].stderr)
