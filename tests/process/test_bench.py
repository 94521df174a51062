"""`fast-crewai bench`: it runs the published benchmarks and remembers what they found."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fast_crewai
from fast_crewai import measured
from fast_crewai.cli import benchmarks

SHORTER = """
import sys
from fast_crewai.cli import benchmarks, main
benchmarks.FULL["runtime"] = benchmarks.SHORT["runtime"] = (
    "--rounds", "2", "--workload", "one-answer"
)
main(sys.argv[1:])
"""
IMPROVEMENTS = "import fast_crewai; print(fast_crewai.get_performance_improvements())"


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SHORTER, "bench", *arguments],
        env={**os.environ, "XDG_CACHE_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "fast-crewai"


@pytest.mark.skipif(importlib.util.find_spec("crewai") is None, reason="needs CrewAI")
def test_it_measures_prints_and_remembers(cache: Path) -> None:
    done = bench(cache.parent, "runtime")
    assert done.returncode == 0, done.stderr
    assert "one-answer, cpu, off / on" in done.stdout
    assert "runtime: one-answer" in done.stdout.splitlines()[-1]
    found = fast_crewai.get_performance_improvements()
    assert found["measured"] is True
    entry = found["benchmarks"]["runtime"]
    assert entry["versions"]["fast-crewai"] == fast_crewai.__version__
    document = json.loads((cache / "benchmarks" / "runtime.json").read_text("utf-8"))
    assert entry["times_faster"] == document["times_faster"]


def test_the_callers_switches_reach_neither_side(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAST_CREWAI", "0")
    given: list[dict[str, str]] = []

    def run(_: list[str], env: dict[str, str], check: bool) -> subprocess.CompletedProcess[str]:
        given.append(env)
        return subprocess.CompletedProcess([], 0)

    monkeypatch.setattr(benchmarks.subprocess, "run", run)
    monkeypatch.setattr(benchmarks.report, "crewai_version", lambda: "1")
    benchmarks.run(True, ())
    assert len(given) == len(benchmarks.FULL)
    assert {name for env in given for name in env if name.startswith("FAST_CREWAI")} == {
        "FAST_CREWAI_RESULTS"
    }


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    done = bench(tmp_path, "speed")
    assert done.returncode == 2
    assert "runtime, concurrency, imports, memory, api" in done.stderr


class TestWhatIsRemembered:
    def test_nothing_is_said_to_be_measured_before(self, cache: Path) -> None:
        found = fast_crewai.get_performance_improvements()
        assert found["measured"] is False and "fast-crewai bench" in found["reason"]

    def test_each_benchmark_keeps_its_last_result(self, cache: Path) -> None:
        for times in (2.0, 3.0):
            measured.note(
                "runtime", {"date": "today", "versions": {}, "times_faster": {"a": times}}
            )
        measured.note("api", {"date": "now", "versions": {}, "times_faster": {"b": {"json": 4.0}}})
        found = fast_crewai.get_performance_improvements()["benchmarks"]
        assert {name: entry["times_faster"] for name, entry in found.items()} == {
            "runtime": {"a": 3.0},
            "api": {"b": {"json": 4.0}},
        }
        assert [path.name for path in cache.iterdir()] == ["benchmarks.json"]

    @pytest.mark.parametrize(
        "text", ["", "[]", "{", '{"benchmarks": [1]}', '{"benchmarks": {"a": 1}}']
    )
    def test_a_damaged_file_is_none_and_is_replaced(self, cache: Path, text: str) -> None:
        cache.mkdir()
        (cache / "benchmarks.json").write_text(text, encoding="utf-8")
        assert fast_crewai.get_performance_improvements()["measured"] is False
        measured.note("api", {"times_faster": {}})
        assert list(measured.read()) == ["api"]

    def test_a_folder_that_cannot_be_written_stops_nothing(self, cache: Path) -> None:
        cache.write_text("a file where the folder should be", encoding="utf-8")
        measured.note("api", {"times_faster": {}})
        assert measured.read() == {}
