"""The judge can fail: with a route that is wrong on purpose ``diff`` exits 1."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from oracle import results
from oracle.cli import main

ROUTE = "tools.sanitize-tool-name"


def test_a_wrong_route_is_found(suite, run_suite, make_run, tmp_path):
    pytest.importorskip("crewai")
    root = suite(
        conftest='import os\nos.environ["CREWAI_DISABLE_TELEMETRY"] = "true"\n',
        test_names="""
            from crewai.utilities.string_utils import sanitize_tool_name
            def test_name(): assert sanitize_tool_name("Web Search") == "web_search"
            def test_other(): pass
        """,
    )
    paths = {}
    sides = ("off", "on", "wrong")
    with ThreadPoolExecutor() as pool:  # most of the time is CrewAI's import
        ended = list(pool.map(lambda accel: run_suite(root, accel), sides))
    for accel, (records, rows, statuses) in zip(sides, ended, strict=True):
        run = make_run(accel)
        run.batches, run.outcomes = records, rows
        for status in statuses:
            if status is not None:
                run.add_status(status)
        paths[accel] = tmp_path / f"fast-{accel}.json"
        results.save(run, paths[accel])
        if accel != "off":
            assert run.routes[ROUTE].state == "active"
            assert rows["tests/test_names.py::test_name"].calls[ROUTE] == 1
            assert ROUTE not in rows["tests/test_names.py::test_other"].calls

    assert diff(paths["off"], paths["on"]).exit_code == 0
    judged = diff(paths["off"], paths["wrong"])
    assert judged.exit_code == 1
    assert "passed -> failed        tests/test_names.py::test_name" in judged.output
    assert "1 held against the accelerator" in judged.output


def diff(off, on):
    return CliRunner().invoke(main, ["diff", str(off), str(on)])
