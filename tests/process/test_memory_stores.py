"""Short forms of tests/memory_freshness.py and tests/memory_kills.py."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent


def run(name, *arguments):
    command = [sys.executable, "-W", "ignore", str(TESTS / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("processes", [("on", "on"), ("on", "off")])
def test_searches_find_what_the_handle_reads(processes):
    options = ("--operations", "480", "--threads", "4", "--processes", *processes)
    lines = run("memory_freshness.py", *options).splitlines()
    assert [line.split(":")[0] for line in lines] == list(processes)
    for side, line in zip(processes, lines, strict=True):
        wrote, searched, compared, in_ram = map(int, re.findall(r"\d+", line))
        assert wrote > 5 and searched > 20 and compared > 20
        assert (in_ram > 20) is (side == "on")


@pytest.mark.parametrize("fixes", ["", "memory-files"])
def test_nothing_is_lost_when_a_writer_is_killed(monkeypatch, fixes):
    monkeypatch.setenv("FAST_CREWAI_FIX", fixes)
    line = run("memory_kills.py", "--kills", "4")
    kills, _, wrote, in_ram, _ = map(int, re.findall(r"\d+", line))
    assert kills == 4 and wrote > 4 and in_ram > 0
