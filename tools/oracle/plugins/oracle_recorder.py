"""``pytest -p oracle_recorder``: chooses tests and logs each one's start and end.

``ORACLE_ORDERS`` names a JSON file: {"log": path, "select": [ids] or null, "skip": [ids],
"deselect": [patterns]}. The log has one JSON object a line, written at once, so that it tells
which test was running when the interpreter died.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

RANK = ("setup", "call", "teardown")


class Recorder:
    """Logs one pytest session."""

    def __init__(self, orders: dict[str, Any]) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._log = os.open(orders["log"], flags, 0o644)
        self._select = None if orders["select"] is None else set(orders["select"])
        self._skip = set(orders["skip"])
        self._deselect = [_pattern(text) for text in orders["deselect"]]
        self._reports: dict[str, pytest.TestReport] = {}
        self._begun = (0.0, 0.0)
        self._calls: dict[str, int] = {}

    def write(self, **row: Any) -> None:
        os.write(self._log, (json.dumps(row) + "\n").encode())

    # ------------------------------------------------------------------ collection

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        chosen = [item for item in items if self._wanted(item.nodeid)]
        if len(chosen) < len(items):
            kept = set(map(id, chosen))
            config.hook.pytest_deselected(items=[i for i in items if id(i) not in kept])
            items[:] = chosen

    def _wanted(self, test: str) -> bool:
        if test in self._skip or (self._select is not None and test not in self._select):
            return False
        return not any(pattern.fullmatch(test) for pattern in self._deselect)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            lines = str(report.longrepr).strip().splitlines() or [""]
            self.write(
                kind="collection",
                id=report.nodeid,
                outcome="collect_error",
                message=lines[-1][:400],
            )
        elif report.skipped:
            self.write(
                kind="collection",
                id=report.nodeid,
                outcome="collect_skip",
                message=str(report.longrepr)[-300:],
            )

    # ----------------------------------------------------------------------- tests

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._reports = {}
        self._calls = route_calls()
        self._begun = (time.perf_counter(), time.process_time())
        self.write(kind="start", id=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports[report.when or ""] = report

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        wall, cpu = self._begun
        outcome, message = verdict([self._reports[w] for w in RANK if w in self._reports])
        after = route_calls()
        calls = {name: count - self._calls.get(name, 0) for name, count in after.items()}
        self.write(
            kind="end",
            id=nodeid,
            outcome=outcome,
            message=message,
            wall=round(time.perf_counter() - wall, 4),
            cpu=round(time.process_time() - cpu, 4),
            calls={name: count for name, count in calls.items() if count},
        )

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        status: Any = None
        ours = sys.modules.get("fast_crewai")
        if ours is not None:
            try:
                status = ours.status().as_dict()
            except Exception as error:  # the run is then not valid, and says why
                status = f"{type(error).__name__}: {error}"
        self.write(
            kind="finish", exit=int(exitstatus), cpu=round(time.process_time(), 2), status=status
        )


def verdict(reports: list[pytest.TestReport]) -> tuple[str, str]:
    """One outcome and its message, from the phases of a test."""
    for report in reports:  # first: a skipped call may be followed by a failing teardown
        if report.failed:
            message = _message(report)
            if message.startswith("Failed: Timeout"):
                return "timeout", message
            return ("failed" if report.when == "call" else f"error@{report.when}"), message
    for report in reports:
        if report.skipped:
            if hasattr(report, "wasxfail"):
                return "xfailed", str(report.wasxfail)[:400]
            reason = report.longrepr
            return "skipped", str(reason[-1] if isinstance(reason, tuple) else reason)[:300]
        if report.when == "call" and hasattr(report, "wasxfail"):
            return "xpassed", str(report.wasxfail)[:400]
    return "passed", ""


def route_calls() -> dict[str, int]:
    """Route → calls so far in this process; empty without the accelerator."""
    engine = sys.modules.get("fast_crewai.engine")
    if engine is None:
        return {}
    states = engine.registry().states
    return {name: state.tally.calls for name, state in states.items() if state.tally}


def _message(report: pytest.TestReport) -> str:
    text = getattr(getattr(report.longrepr, "reprcrash", None), "message", None)
    return (str(report.longrepr)[-300:] if text is None else str(text)).strip()[:400]


def _pattern(text: str) -> re.Pattern[str]:
    """``*`` stands for anything; brackets of parametrised tests for themselves."""
    return re.compile(re.escape(text).replace(r"\*", ".*"))


def pytest_configure(config: pytest.Config) -> None:
    orders = os.environ.get("ORACLE_ORDERS")
    if orders:
        recorder = Recorder(json.loads(Path(orders).read_text("utf-8")))
        config.pluginmanager.register(recorder, "oracle-recorder-of-this-session")
