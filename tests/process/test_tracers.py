"""Tracers that replace a part of the standard library before us see as much as without us."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import PACKAGE, code, environment, start

pytest.importorskip("crewai_core.lock_store")

STATEMENTS = """
    import sqlite3, sys
    seen, plain = [], sqlite3.connect

    class Cursor(sqlite3.Cursor):
        def execute(self, query, *arguments):
            seen.append(query.split()[0])
            return super().execute(query, *arguments)

    class Connection(sqlite3.Connection):
        def cursor(self):
            return super().cursor(Cursor)

        def execute(self, query, *arguments):
            return self.cursor().execute(query, *arguments)

    def connect(*arguments, **options):
        seen.append("connect")
        return plain(*arguments, factory=Connection, **options)

    sqlite3.connect = connect
    import fast_crewai
    if "fast" in sys.argv:
        fast_crewai.install()
    from crewai.utilities.task_output_storage_handler import TaskOutputStorageHandler

    class Task:
        id = key = expected_output = "x"

    log = {"task": Task(), "output": {}, "task_index": 0, "inputs": {}, "was_replayed": False}
    handler = TaskOutputStorageHandler()
    for _ in range(2):
        handler.update(0, log)
    print(seen)
"""

TASKS = """
    import concurrent.futures.thread, functools, sys
    seen, plain = [], concurrent.futures.thread.ThreadPoolExecutor.submit

    @functools.wraps(plain)
    def submit(pool, function, *arguments, **options):
        if pool._thread_name_prefix == "CrewAISyncHandler":
            seen.append(len(arguments))
        return plain(pool, function, *arguments, **options)

    concurrent.futures.thread.ThreadPoolExecutor.submit = submit
    import fast_crewai
    if "fast" in sys.argv:
        fast_crewai.install()
    from crewai.events.event_bus import crewai_event_bus
    from crewai.events.types.logging_events import AgentLogsExecutionEvent

    for _ in range(2):
        crewai_event_bus.emit(None, AgentLogsExecutionEvent(agent_role="r", formatted_answer=1))
    print(seen)
"""


@pytest.mark.parametrize(("program", "seen"), [(STATEMENTS, "connect"), (TASKS, "5")])
def test_they_see_the_same(program: str, seen: str, tmp_path: Path) -> None:
    env = environment(
        CREWAI_DISABLE_TELEMETRY="true",
        CREWAI_STORAGE_DIR=tmp_path,
        HOME=tmp_path,
        PYTHONPATH=PACKAGE.parent,
    )
    plain, fast = (start("-c", code(program), mode, env=env) for mode in ("plain", "fast"))
    assert seen in plain.stdout, plain.stderr
    assert fast.stdout == plain.stdout, fast.stderr
