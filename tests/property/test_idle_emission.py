"""An event that only idle listeners hear: the future that ``emit`` returns."""

from concurrent.futures import Future, wait

import pytest

from fast_crewai.hooks.areas import event_emission


def test_it_is_done_as_one_of_the_bus():
    """All that can be asked of it is as of a future that a thread has finished."""
    theirs = Future()
    theirs.set_running_or_notify_cancel()
    theirs.set_result(None)
    ours = event_emission._done()
    asked = []
    for future in (theirs, ours):
        called = []
        future.add_done_callback(called.append)
        done, left = wait([future], timeout=1)
        asked.append(
            (
                type(future),
                future.done(),
                future.running(),
                future.cancelled(),
                future.cancel(),
                future.result(0),
                future.exception(0),
                called == [future],
                done == {future},
                not left,
                future.__dict__.keys(),
                future._state,
                future._waiters,
            )
        )
    assert asked[0] == asked[1]
    for future in (theirs, ours):
        with pytest.raises(Exception, match="FINISHED") as error:
            future.set_result(1)
        asked.append((error.type, str(error.value).partition(":")[0]))
    assert asked[2] == asked[3]


def test_a_patched_set_result_is_called(monkeypatch):
    called = []
    set_result = Future.set_result
    monkeypatch.setattr(
        Future,
        "set_result",
        lambda future, value: called.append(value) or set_result(future, value),
    )
    assert event_emission._done().done() and called == [None]
