"""Garbage collection while CrewAI is imported: the user's settings stay the user's."""

import gc
import os
import threading
import types
from collections.abc import Iterator

import pytest

from fast_crewai.imports import collector, set_aside


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[tuple[int, ...]]:
    kept, was = gc.get_threshold(), gc.isenabled()
    gc.enable()
    yield kept
    gc.unfreeze()
    gc.set_threshold(*kept)
    (gc.enable if was else gc.disable)()
    assert collector._kept is None


class Cycle:
    """Garbage that only a collection frees."""

    freed = 0

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        Cycle.freed += 1


def make_garbage(number: int) -> int:
    """How many of them were collected while they were made."""
    before = Cycle.freed
    for _ in range(number):
        Cycle()
    return Cycle.freed - before


def paused() -> collector.Resume:
    pause = collector.pause()
    assert pause is not None
    return pause


def test_nothing_is_collected_in_between_and_everything_afterwards(
    thresholds: tuple[int, ...],
) -> None:
    assert make_garbage(5000) > 0
    gc.collect()
    pause = paused()
    assert gc.isenabled()
    assert make_garbage(5000) == 0
    pause.end(True)
    assert gc.get_threshold() == thresholds
    before = Cycle.freed  # a test is a function: nothing may be frozen for good
    gc.collect()
    assert Cycle.freed - before == 5000
    assert gc.get_freeze_count() == 0


def test_a_failed_import_freezes_nothing(
    monkeypatch: pytest.MonkeyPatch, thresholds: tuple[int, ...]
) -> None:
    monkeypatch.setattr(collector, "_is_young", lambda: True)
    paused().end(False)
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, thresholds)


def test_a_program_that_has_just_begun_keeps_what_was_imported_aside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collector, "_is_young", lambda: True)
    older = Cycle()
    pause = paused()
    made = [[number] for number in range(2000)]
    pause.end(True)
    assert 2000 <= set_aside.count() < 3000
    before = Cycle.freed
    del older
    gc.collect(0)  # whoever asks for it has everything collected
    assert Cycle.freed == before + 1
    assert set_aside.count() == gc.get_freeze_count() == 0
    assert type(gc) is types.ModuleType and len(made) == 2000


def test_what_the_user_has_frozen_stays_frozen() -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    paused().end(True)
    assert gc.get_freeze_count() > frozen // 2  # some die in the ordinary way


def test_inside_a_pause_there_is_no_other(thresholds: tuple[int, ...]) -> None:
    pause = paused()
    assert collector.pause() is None
    pause.end(True)
    assert gc.get_threshold() == thresholds


@pytest.mark.parametrize("how", ["disabled", "threshold"])
def test_a_user_without_collections_is_left_alone(how: str) -> None:
    gc.disable() if how == "disabled" else gc.set_threshold(0, 7, 8)
    before = gc.get_threshold()
    assert collector.pause() is None
    assert gc.isenabled() == (how != "disabled")
    assert gc.get_threshold() == before


def test_what_the_user_sets_meanwhile_is_kept() -> None:
    pause = paused()
    gc.set_threshold(123, 4, 5)
    pause.end(True)
    assert gc.get_threshold() == (123, 4, 5)


@pytest.mark.parametrize("enabled", [False, True])
def test_what_the_user_switches_meanwhile_is_kept(
    enabled: bool, thresholds: tuple[int, ...]
) -> None:
    pause = paused()
    gc.disable()
    if enabled:
        gc.enable()
    pause.end(True)
    assert gc.isenabled() is enabled
    assert gc.get_threshold() == thresholds


def test_a_function_or_another_thread_makes_the_program_old() -> None:
    assert not collector._is_young()
    answers: list[bool] = []
    code = compile("answers.append(is_young())", "<module level>", "exec")

    def at_module_level() -> None:
        names = {"answers": answers, "is_young": collector._is_young}
        exec(code, names)

    at_module_level()
    assert answers == [False]  # called by a function


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_in_between_collects_again(thresholds: tuple[int, ...]) -> None:
    from fast_crewai import engine

    assert engine
    pause = paused()
    child = os.fork()
    if not child:
        os._exit(0 if gc.get_threshold() == thresholds else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    pause.end(True)


def test_threads_that_pause_at_once_leave_no_threshold_of_ours(
    thresholds: tuple[int, ...],
) -> None:
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        for _ in range(200):
            pause = collector.pause()
            if pause is not None:
                pause.end(False)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gc.get_threshold() == thresholds


def test_somebody_who_is_told_of_collections_is_told_of_all() -> None:
    told: list[object] = []
    gc.callbacks.append(lambda *what: told.append(what))
    try:
        assert collector.pause() is None
        make_garbage(5000)
    finally:
        gc.callbacks.pop()
    assert told
