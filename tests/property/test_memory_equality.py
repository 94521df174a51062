"""Stores and queries that Hypothesis makes: a process with us and one without find the same.

Each store is written by one of the two and copied, a copy for each. What they answer is compared
in every field, in order; at last all rows of the two copies. All of the issue's 1,000 stores:

    FAST_CREWAI_STORES=1000 pytest tests/property/test_memory_equality.py
"""

import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from strategies import memory_questions

TESTS = Path(__file__).parent.parent
STORES = int(os.environ.get("FAST_CREWAI_STORES", "30"))
OWN = {"search", "deep-recall", "recall-state", "list", "list-scopes", "list-categories"}
OWN |= {"scope-info", "forget"}


class Side:
    """A process with us, or without."""

    def __init__(self, side, folder):
        from memory_writes import environment

        self.own = {}
        command = [sys.executable, "-W", "ignore", str(TESTS / "memory_asker.py"), side]
        self._process = subprocess.Popen(
            command,
            env=environment(folder / f"data-{side}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, *request):
        print(json.dumps(request), file=self._process.stdin, flush=True)

    def answers(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process has ended: {self._process.wait()}")
        found, self.own = json.loads(line)
        return found

    def close(self):
        self._process.communicate()


@pytest.fixture(scope="module")
def folder():
    """In RAM if there is such a folder: nothing here is about disks."""
    ram = "/dev/shm"
    made = tempfile.mkdtemp(prefix="stores", dir=ram if os.access(ram, os.W_OK) else None)
    yield Path(made)
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def sides(folder):
    sys.path.append(str(TESTS))
    sides = {side: Side(side, folder) for side in ("off", "on")}
    yield sides
    for side in sides.values():
        side.close()


@pytest.mark.timeout(300 + STORES * 2)
def test_the_same_answers(folder, sides):
    counts = collections.Counter()

    @settings(
        max_examples=STORES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],  # a smaller case would have other questions
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(memory_questions.cases)
    def check(case):
        store, options, listens, questions, writer = case
        for name in ("written", *sides):
            shutil.rmtree(folder / name, ignore_errors=True)
        copies = [str(folder / side) for side in sides]
        sides[writer].begin(str(folder / "written"), store, copies)
        sides[writer].answers()
        for name, side in sides.items():
            side.begin(str(folder / name), None, [], store[0], options, listens, questions)
        off, on = [side.answers() for side in sides.values()]
        for question, one, other in zip([*questions, "all rows"], off, on, strict=True):
            assert one == other, question
        counts["stores"] += 1
        for (what, _), answer in zip(questions, off[:-1], strict=True):
            counts[what] += 1
            counts[f"{what}: found"] += "['id', " in answer
            counts[f"{what}: failed"] += "Error'>" in answer

    check()
    own = sides["on"].own
    print(f"\n{dict(sorted(counts.items()))}\nnot CrewAI's own: {own}")
    assert set(own) == OWN
    assert all(own.values())
    assert all(counts[f"{what}: found"] > STORES / 4 for what in ("search", "recall"))
