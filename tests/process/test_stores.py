"""A crew's run reaches the routes of the stores that it uses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import PACKAGE, code, environment, start

pytest.importorskip("crewai_core.lock_store")

ROUTES = (
    "database.store-lock",
    "tasks.no-files",
    "tasks.no-crew-files",
    "tasks.no-task-files",
)

CREW = """
    import json, sys
    import fast_crewai
    fast_crewai.install()
    from crewai import BaseLLM, Agent, Crew, Task

    class Model(BaseLLM):
        def call(self, *args, **kwargs):
            return "Thought: I now can give a great answer\\nFinal Answer: done"

    agent = Agent(role="r", goal="g", backstory="b", llm=Model(model="m"))
    task = Task(description="d", expected_output="e", agent=agent)
    assert Crew(agents=[agent], tasks=[task]).kickoff().raw == "done"
    routes = {r["name"]: [r["calls"], r["fallbacks"]] for r in fast_crewai.status().routes()}
    print(json.dumps(routes))
"""


def test_a_crew_reaches_them(tmp_path: Path) -> None:
    env = environment(
        CREWAI_DISABLE_TELEMETRY="true",
        CREWAI_STORAGE_DIR=tmp_path,
        CREWAI_TRACING_ENABLED="false",
        HOME=tmp_path,
        OTEL_SDK_DISABLED="true",
        PYTHONPATH=PACKAGE.parent,
        TMPDIR=tmp_path,
    )
    result = start("-W", "ignore", "-c", code(CREW), env=env, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    routes = json.loads(result.stdout.splitlines()[-1])
    for name in ROUTES:
        calls, fallbacks = routes[name]
        assert calls > 0, name
        assert fallbacks == 0, name
