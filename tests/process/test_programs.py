"""Programs of the kinds people write do the same with the accelerator as without it.

Each runs twice, by `python tools/compat run`, in folders of its own: exit code, output, events,
requests to the model and files are compared. Two starts of CrewAI a program: the first six run
always, the others only with ``-m slow`` or ``-m "slow or not slow"``.
"""

from __future__ import annotations

import importlib.util
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPAT = ROOT / "tools" / "compat"

# Together they call every route that any program calls, and touch each area once.
ALWAYS = (
    "checkpoints",
    "failing_tools",
    "flow_persist",
    "memory",
    "react_text",
    "sequential_tools",
)
NAMES = sorted(
    path.stem for path in (ROOT / "tests" / "programs").glob("*.py") if path.stem != "support"
)

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("crewai") is None, reason="CrewAI is not installed"
)


def compat(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, COMPAT, *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=280,
        check=False,
    )


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow) for name in NAMES],
)
def test_program_does_the_same(name: str, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    done = compat("run", "--only", name, "--json", file)
    assert file.exists(), done.stderr
    (result,) = json.loads(file.read_text())["results"]
    if result["verdict"] == "skipped":
        pytest.skip(result["detail"])
    assert (done.returncode, result["verdict"]) == (0, "same"), done.stdout + done.stderr
    assert sum(result["calls"].values()) > 0, "no route was called"
    relied_on = {route for route, program in by_programs().items() if program == name}
    assert relied_on <= result["calls"].keys(), "the oracle takes these for called here"


def by_programs() -> dict[str, str]:
    """Routes that tools/oracle doesn't see called → the program that calls them."""
    tools = ROOT / "tools"
    with mock.patch.object(sys, "path", [str(tools), *sys.path]):
        found = runpy.run_path(str(tools / "oracle" / "settings.py"))["BY_PROGRAMS"]
    assert set(found.values()) <= set(ALWAYS)
    return dict(found)


def test_the_fixed_subset_is_there() -> None:
    assert set(ALWAYS) < set(NAMES)


class TestDifferencesAreSeen:
    """The comparison can fail, and doesn't for what any two runs differ in."""

    @pytest.fixture
    def normalise(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.syspath_prepend(str(COMPAT.parent))
        from compat import normalise

        return normalise

    @staticmethod
    def event(number: int, kind: str, **fields: Any) -> dict[str, Any]:
        links = {"event_id": f"{number:032x}", "parent_event_id": None, "emission_sequence": number}
        return {
            "type": kind,
            "class": "Event",
            "source": "Crew",
            "thread": f"asyncio_{number}",
            "fields": {**links, "timestamp": str(number), **fields},
        }

    def test_ids_become_numbers_and_times_words(self, normalise: Any) -> None:
        first, second = (
            normalise.Normaliser({"work": work}).value(
                {"id": number * 32, "same": [number * 32], "started_at": clock, "text": text}
            )
            for work, number, clock, text in (
                ("/tmp/x", "a", 1.5, "in /tmp/x at 0x7f00deadbeef, took 12.5 ms"),
                ("/tmp/yy", "b", 2.5, "in /tmp/yy at 0x7f00beefdead, took 3 ms"),
            )
        )
        assert first == second
        assert first["id"] == first["same"][0] == "<id 0>"

    def test_other_values_and_links_count(self, normalise: Any) -> None:
        numbers = normalise.Normaliser({})
        assert numbers.value({"count": 1}) != numbers.value({"count": 2})
        one = normalise.events([self.event(1, "a"), self.event(2, "b", ref=f"{1:032x}")], {})
        other = normalise.events([self.event(1, "a"), self.event(2, "b", ref=f"{2:032x}")], {})
        assert one != other

    def test_a_fallback_shows_its_function_twice_and_counts_once(self, normalise: Any) -> None:
        frame = '  File "/x/m.py", line {}, in f\n    {}\n'
        original = frame.format(8, "raise KeyError")
        ours = frame.format(7, "def f(self):") + "\n"
        terminal = normalise.Normaliser({}).terminal
        assert terminal(ours + original) == terminal(original)
        for other in (original, ours.replace("in f", "in g"), ours.replace("def f", "def g")):
            assert terminal(other + original) != terminal(original)

    def test_order_counts_unless_it_is_declared_free(self, normalise: Any) -> None:
        events = [self.event(1, "a"), self.event(2, "b", x=1), self.event(3, "b", x=2)]
        swapped = [events[0], events[2], events[1]]
        assert normalise.events(events, {}) != normalise.events(swapped, {})
        assert normalise.events(events, {}, races=["b"]) == normalise.events(
            swapped, {}, races=["b"]
        )
        assert normalise.events(events, {}, races=["b"]) != normalise.events(
            [events[1], events[0], events[2]], {}, races=["b"]
        )

    def test_a_header_is_understood_or_refused(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.syspath_prepend(str(COMPAT.parent))
        from compat import programs

        path = tmp_path / "p.py"
        path.write_text('"""P.\n\ncrewai: >=1.10,<1.12\nraces: a b\n\nWhy.\n"""\n')
        program = programs.load(path)
        assert program.races == {"a", "b"}
        assert [program.works_with(v) for v in ("1.9.3", "1.10.0", "1.12.2")] == [
            False,
            True,
            False,
        ]
        path.write_text('"""P.\n\ncrewai: >=1.10\norders: x\n"""\n')
        with pytest.raises(ValueError, match="orders"):
            programs.load(path)


WRONG = """\
'''Does something else when it is accelerated.

crewai: >=1
'''

import os
from pathlib import Path

Path("left.txt").write_text("the same")
accelerated = any(name.startswith("FAST_CREWAI_RUN_") for name in os.environ)
print("accelerated" if accelerated else "plain")
"""


def test_a_difference_makes_the_command_fail(tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "wrong.py").write_text(WRONG)
    file = tmp_path / "result.json"
    done = compat("run", "--programs", folder, "--json", file)
    (result,) = json.loads(file.read_text())["results"]
    assert done.returncode == 1, done.stdout + done.stderr
    assert list(result["differences"]) == ["stdout"]
    assert "+accelerated" in result["differences"]["stdout"]
    again = compat("run", "--programs", folder, "--off-off")
    assert again.returncode == 0, again.stdout + again.stderr


def test_the_matrix_knows_its_versions() -> None:
    done = compat("matrix", "--crewai", "0.0.1")
    assert done.returncode == 2
    assert "not in matrix.toml: 0.0.1" in done.stderr
