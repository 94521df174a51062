"""What counts as worse, and what two runs must have in common."""

import pytest
from oracle import judgement, results
from oracle.comparison import RANKS, compare
from oracle.results import Outcome, RouteUse
from oracle.verdicts import FLAKY, NOT_REPRODUCED, REAL, UNSTEADY, Verdict
from oracle.workplace import OracleError

PROVEN_BUT_OFF = RouteUse("off", "its code differs", target="module:function")


@pytest.mark.parametrize(
    ("off", "on", "worse"),
    [
        ("passed", "failed", True),
        ("passed", "skipped", True),
        ("passed", "crashed", True),
        ("skipped", "error@setup", True),
        ("failed", "timeout", True),
        ("failed", "passed", False),
        ("timeout", "failed", False),
    ],
)
def test_an_outcome_that_got_worse_is_held_against_us(make_run, off, on, worse):
    judged = judge(make_run("off", t=off), make_run("on", t=on))
    assert len(judged.comparison.differences) == 1
    assert judged.passed is not worse


def test_equal_runs_pass(make_run):
    outcomes = {f"t{number}": kind for number, kind in enumerate(RANKS)}
    judged = judge(make_run("off", **outcomes), make_run("on", **outcomes))
    assert judged.passed
    assert judged.comparison.same == len(RANKS)


@pytest.mark.parametrize("missing", ["off", "on"])
def test_a_test_missing_on_one_side_is_held_against_us(make_run, missing):
    runs = [make_run("off", a="passed", b="passed"), make_run("on", a="passed", b="passed")]
    del runs[missing == "on"].outcomes["b"]
    judged = judge(*runs)
    assert [difference.test for difference in judged.against_us()] == ["b"]


def test_failing_for_another_reason_is_shown(make_run):
    one, other = Outcome("failed", "at 0x7f01: no"), Outcome("failed", "at 0x7fff: no")
    assert not judge(make_run("off", t=one), make_run("on", t=other)).comparison.reworded
    other = Outcome("failed", "TypeError")
    judged = judge(make_run("off", t=one), make_run("on", t=other))
    said = []
    judged.show(said.append)
    assert judged.passed
    assert any("for another reason: t" in line for line in said)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda on: setattr(on, "complete", False), "not finished"),
        (lambda on: on.outcomes.clear(), "no test was run"),
        (lambda on: setattr(on.batches[0], "loaded", False), "was not loaded"),
        (lambda on: setattr(on.batches[0], "broken", "ended outside"), "ended outside"),
        (lambda on: on.routes.clear(), "no route was active"),
        (lambda on: setattr(on.routes["tools.name"], "state", "off"), "no route was active"),
        (lambda on: on.routes.update(other=PROVEN_BUT_OFF), "other is proven on this version"),
        (
            lambda on: on.routes["tools.name"].fallback_reasons.update(
                {"KeyError in the fast path": 3}
            ),
            "KeyError in the fast path (3 times)",
        ),
    ],
)
def test_a_run_that_proves_nothing_is_no_pass(make_run, change, fault, monkeypatch):
    monkeypatch.setattr(results, "proven", lambda version: {PROVEN_BUT_OFF.target})
    off, on = make_run("off", t="passed"), make_run("on", t="passed")
    change(on)
    judged = judge(off, on)
    assert not judged.passed
    assert fault in judged.faults[0]


def test_off_must_be_off(make_run):
    off, on = make_run("off", t="passed"), make_run("on", t="passed")
    off.batches[0].loaded = True
    assert "loaded although it should be off" in judge(off, on).faults[0]


@pytest.mark.parametrize("sides", [("off", "off"), ("on", "on"), ("on", "off")])
def test_the_sides_must_be_the_right_way_round(make_run, sides):
    with pytest.raises(OracleError, match="without us, then one with us"):
        compare(*(make_run(side, t="passed") for side in sides))


def test_a_version_has_its_proven_targets():
    assert "crewai.utilities.string_utils:sanitize_tool_name" in results.proven("1.15.30")
    assert results.proven("0.0.1") == set()


def test_runs_of_different_versions_are_not_compared(make_run):
    on = make_run("on", t="passed")
    on.crewai = "2.0"
    with pytest.raises(OracleError, match=r"'1\.0' and '2\.0'"):
        compare(make_run("off", t="passed"), on)


@pytest.mark.parametrize(
    ("kind", "passed"), [(REAL, False), (UNSTEADY, False), (FLAKY, True), (NOT_REPRODUCED, True)]
)
def test_only_what_repetitions_explain_is_forgiven(make_run, kind, passed):
    judged = judge(make_run("off", t="passed"), make_run("on", t="failed"))
    verdict = Verdict(kind, "alone")
    forgiven = judgement.Judgement(judged.comparison, (), {"t": verdict})
    assert forgiven.passed is passed


def judge(off, on):
    return judgement.judge(off, on, compare(off, on))
