"""The report, and the choice of the fast subset."""

from datetime import date

import pytest
from click.testing import CliRunner
from oracle import judgement, results, selection, table
from oracle.cli import main
from oracle.comparison import compare
from oracle.results import Outcome, RouteUse
from oracle.workplace import OracleError, Workplace


@pytest.fixture
def place(tmp_path, make_run):
    """Results of one version: one difference, two active routes, one of them called."""
    place = Workplace(tmp_path / "work")
    off = make_run("off", a="passed", b="passed", c="failed")
    on = make_run("on", a="passed", b="failed", c="failed")
    off.batches[0].cpu, on.batches[0].cpu = 240, 90
    on.routes = {
        "tools.name": RouteUse("active", calls=7, fallbacks=2),
        "flow.idle": RouteUse("active"),
        "flow.old": RouteUse("off", "its code differs"),
    }
    for run in (off, on):
        results.save(run, place.result("1.0", "full", run.accel))
    verdicts = {"flow": "same", "memory": "different", "classic": "skipped"}
    rows = [{"program": name, "verdict": verdict} for name, verdict in verdicts.items()]
    results.write_json({"results": rows}, place.programs("1.0"))
    return place


def test_the_document_says_what_was_found(place, tmp_path):
    out = tmp_path / "compatibility.md"
    done = CliRunner().invoke(main, ["report", "--work", str(place.folder), "--out", str(out)])
    assert done.exit_code == 0, done.output
    text = out.read_text("utf-8")
    assert "| 1.0 | 3 | 2 | 1 | 1 | 2 of 3 | 1 (50%) | 0.0 / 0.0 | 1 of 2 |" in text
    assert "Programs that were not the same:\n\n- memory: different\n" in text
    assert "`python tools/oracle report`" in text
    assert "- flow.old (its code differs)" in text
    assert "- flow.idle" in text
    assert "7 calls of routes, 2 of them served by CrewAI's own code;" in text
    assert "differed at first sight: 1; minutes of CPU off / on: 4.0 / 1.5. " in text


def test_verdicts_of_the_same_runs_count(place, make_run):
    off, on = (results.load(place.result("1.0", "full", accel)) for accel in ("off", "on"))
    path = judgement.path_of(place.result("1.0", "full", "on"))
    judged = judgement.judge(off, on, compare(off, on))
    judgement.save(judged, off, on, path)
    assert table.pairs(place.results())[0].against_us == ("b",)
    results.write_json(
        {"off": off.started, "on": on.started, "against_us": [], "differences": []}, path
    )
    assert table.pairs(place.results())[0].against_us == ()
    results.write_json(
        {"off": "another", "on": on.started, "against_us": [], "differences": []}, path
    )
    assert table.pairs(place.results())[0].against_us == ("b",)


def test_an_unfinished_run_is_not_reported(place):
    path = place.result("1.0", "full", "on")
    run = results.load(path)
    run.complete = False
    results.save(run, path)
    with pytest.raises(OracleError, match="not finished"):
        table.pairs(place.results())


def test_newest_version_first_and_largest_subset_only(place, make_run):
    for version, subset in (("1.10.0", "fast"), ("1.9.3", "fast"), ("1.0", "fast")):
        for accel in ("off", "on"):
            run = make_run(accel, a="passed")
            run.crewai, run.subset = version, subset
            results.save(run, place.result(version, subset, accel))
    found = table.pairs(place.results())
    assert [(pair.off.crewai, pair.off.subset) for pair in found] == [
        ("1.10.0", "fast"),
        ("1.9.3", "fast"),
        ("1.0", "full"),
    ]
    text = table.document(found, "command", date(2026, 1, 2))
    assert "Generated on 2026-01-02 by `command`." in text
    assert "| 1.9.3 | 1 (fast subset) |" in text


def test_versions_without_results_are_kept_if_told_so(place, tmp_path, make_run):
    out = tmp_path / "compatibility.md"
    ask = ["report", "--work", str(place.folder), "--out", str(out)]
    for version in ("2.0", "0.9"):
        for accel in ("off", "on"):
            run = make_run(accel, a="passed")
            run.crewai = version
            results.save(run, place.result(version, "full", accel))
    assert CliRunner().invoke(main, ask).exit_code == 0
    before = out.read_text("utf-8").splitlines()
    for version in ("2.0", "0.9"):
        for accel in ("off", "on"):
            place.result(version, "full", accel).unlink()
    for accel in ("off", "on"):
        run = make_run(accel, a="passed", b="passed", c="passed", d="passed")
        results.save(run, place.result("1.0", "full", accel))
    assert CliRunner().invoke(main, [*ask, "--keep"]).exit_code == 0
    after = out.read_text("utf-8").splitlines()
    gone, fresh = set(before) - set(after), set(after) - set(before)
    assert not [line for line in gone if line.startswith(("| 2.0", "| 0.9"))]
    assert [line for line in fresh if line.startswith("| 1.0 | 4 | 4 | 4 | 0 |")]
    titles = [line for line in after if line.startswith("## ")]
    assert titles == ["## CrewAI 2.0", "## CrewAI 1.0", "## CrewAI 0.9"]
    for title in (titles[0], titles[2]):
        old, new = ("\n".join(text).partition(title)[2] for text in (before, after))
        assert old.partition("\n## ")[0] == new.partition("\n## ")[0] != ""
    assert "`python tools/oracle report --keep`" in "\n".join(after)
    assert CliRunner().invoke(main, ask).exit_code == 0
    assert "CrewAI 2.0" not in out.read_text("utf-8")


def test_no_results_is_an_error(tmp_path):
    done = CliRunner().invoke(main, ["report", "--work", str(tmp_path)])
    assert done.exit_code == 1
    assert "no version" in done.output


def test_something_else_than_a_run_is_an_error(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("[]")
    done = CliRunner().invoke(main, ["diff", str(path), str(path)])
    assert done.exit_code == 1
    assert "is not the result of a run" in done.output


def test_the_choice_uses_every_route_within_the_time(make_run):
    run = make_run("on")
    run.routes = {"r1": RouteUse("active"), "r2": RouteUse("active")}
    for number in range(50):
        run.outcomes[f"tests/test_a.py::t{number}"] = Outcome("passed", cpu=1.0)
    run.outcomes["tests/test_b.py::uses"] = Outcome("passed", cpu=2.0, calls={"r1": 3})
    run.outcomes["tests/test_b.py::uses_too"] = Outcome("passed", cpu=1.0, calls={"r2": 1})
    run.outcomes["tests/test_b.py::slow"] = Outcome("passed", wall=9.0, calls={"r2": 1})
    run.outcomes["tests/test_b.py::fails"] = Outcome("failed", cpu=0.1, calls={"r2": 1})
    run.outcomes["tests/test_c.py::elsewhere"] = Outcome("passed", calls={"r1": 1})
    among = frozenset(run.outcomes) - {"tests/test_c.py::elsewhere"}
    chosen = selection.choose(run, among, 10)
    assert {"tests/test_b.py::uses", "tests/test_b.py::uses_too"} <= set(chosen) <= among
    assert sum(run.outcomes[name].cpu for name in chosen) <= 10
    assert not {"tests/test_b.py::slow", "tests/test_b.py::fails"} & set(chosen)
    assert selection.text(chosen, run).splitlines()[2:] == chosen
