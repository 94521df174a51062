"""A made-up suite in which everything goes wrong that can."""

import re
import time

import pytest
from oracle.runner import read_log

EVERYTHING = """
    import os, time, pytest

    def test_passes(): pass
    def test_fails(): assert 1 == 2
    def test_dies(): os._exit(3)
    def test_after_death(): pass
    @pytest.mark.skip(reason="not today")
    def test_skipped(): pass
    @pytest.mark.xfail(reason="known")
    def test_xfails(): assert False
    @pytest.fixture
    def broken(): raise KeyError("fixture")
    def test_setup(broken): pass
    def test_sleeps(): time.sleep(60)
    def test_last(): pass
    @pytest.mark.parametrize("x", ["a[1]", "b"])
    def test_many(x): pass
"""


def test_every_outcome_is_recorded(suite, run_suite):
    root = suite(test_all=EVERYTHING, test_broken="import nothing_of_that_name\n")
    (record, other), rows, statuses = run_suite(root, test_limit=2)
    file = "tests/test_all.py::test_"
    assert {name: row.outcome for name, row in rows.items()} == {
        f"{file}passes": "passed",
        f"{file}fails": "failed",
        f"{file}dies": "crashed",
        f"{file}after_death": "passed",
        f"{file}skipped": "skipped",
        f"{file}xfails": "xfailed",
        f"{file}setup": "error@setup",
        f"{file}sleeps": "timeout",
        f"{file}last": "passed",
        f"{file}many[a[1]]": "passed",
        f"{file}many[b]": "passed",
        "tests/test_broken.py": "collect_error",
    }
    assert rows[f"{file}fails"].message == "assert 1 == 2"
    assert "nothing_of_that_name" in rows["tests/test_broken.py"].message
    assert (record.crashes, record.broken, record.loaded) == (1, "", False)
    assert other.broken == ""
    assert statuses == [None, None]


def test_selected_and_deselected(suite, run_suite):
    root = suite(
        test_all="""
            import pytest
            @pytest.mark.parametrize("x", ["a", "b", "c"])
            def test_many(x): pass
            def test_one(): pass
            def test_two(): pass
        """
    )
    file = "tests/test_all.py::test_"
    _, rows, _ = run_suite(root, deselect=(f"{file}many[*]", f"{file}o"))
    assert set(rows) == {f"{file}one", f"{file}two"}
    chosen = (f"{file}many[b]", f"{file}two", "tests/test_gone.py::test_x")
    _, rows, _ = run_suite(root, select=chosen, deselect=(f"{file}two",))
    assert set(rows) == {f"{file}many[b]"}


@pytest.mark.parametrize("limit", ["batch_limit", "stall_limit"])
def test_a_test_that_never_ends_is_ended(suite, run_suite, limit):
    root = suite(
        test_all="""
            import signal, time
            def test_stuck():
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
                time.sleep(100)
            def test_next(): pass
        """
    )
    begun = time.monotonic()
    (record,), rows, _ = run_suite(root, test_limit=1, **{limit: 4})
    assert time.monotonic() - begun < 60
    assert rows["tests/test_all.py::test_stuck"].outcome == "crashed"
    assert "limit of 4 s" in rows["tests/test_all.py::test_stuck"].message
    assert rows["tests/test_all.py::test_next"].outcome == "passed"
    assert record.broken == ""


def test_dying_again_and_again_is_given_up(suite, run_suite):
    source = "import os\n" + "".join(f"def test_{n}(): os._exit(1)\n" for n in range(4))
    (record,), rows, _ = run_suite(suite(test_all=source), max_crashes=2)
    assert len(rows) == 3
    assert record.broken == "3 tests ended their interpreter"


def test_dying_outside_a_test_is_said(suite, run_suite):
    (record,), rows, _ = run_suite(suite(test_all="import os\nos._exit(7)\n"))
    assert rows == {}
    assert re.match(r"ended with 7 outside a test, see .*batch000\.out", record.broken)


def test_an_interrupted_batch_is_said(suite, run_suite):
    source = "def test_stops(): raise KeyboardInterrupt\ndef test_next(): pass\n"
    (record,), _, _ = run_suite(suite(test_all=source))
    assert record.broken == "pytest stopped with 2"


def test_a_failing_teardown_of_a_skipped_test_is_seen(suite, run_suite):
    source = """
        import pytest
        @pytest.fixture
        def broken():
            yield
            raise KeyError("teardown")
        def test_skips(broken): pytest.skip("not today")
    """
    _, rows, _ = run_suite(suite(test_all=source))
    assert [row.outcome for row in rows.values()] == ["error@teardown"]


def test_the_callers_switches_are_not_inherited(suite, run_suite, monkeypatch):
    monkeypatch.setenv("FAST_CREWAI_DISABLE", "all")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    root = suite(
        test_all="""
            import os
            def test_clean():
                assert not {"FAST_CREWAI_DISABLE", "OPENAI_API_KEY"} & set(os.environ)
        """
    )
    _, rows, _ = run_suite(root)
    assert [row.outcome for row in rows.values()] == ["passed"]


def test_a_log_that_was_cut_off_is_read_to_there(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        '{"kind": "start", "id": "a"}\n{"kind": "end", "id": "a", "outcome": "passed"}\n'
        '{"kind": "start", "id": "b"}\n{"kind": "end", "id": "b", "outc'
    )
    attempt = read_log(log)
    assert set(attempt.rows) == {"a"}
    assert attempt.running == "b"
    assert attempt.finish is None
