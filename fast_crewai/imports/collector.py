"""No garbage collection while CrewAI is imported, and none of CrewAI's modules afterwards.

The import makes 360,000 objects, of which 5,000 are garbage; Python looks through all of them
again and again. The collector is paused by a threshold that is never reached, because then
``gc.enable()``, ``gc.disable()`` and ``gc.isenabled()`` stay the user's.

Afterwards what the import has made stays out of the collector's sight (``set_aside``), until
somebody asks for what could tell; see there.
"""

from __future__ import annotations

import gc
import sys
import types
from _thread import _count as count_threads

from fast_crewai.imports import set_aside
from fast_crewai.imports.feature import Feature

GC = Feature(
    "imports.gc",
    "crewai",
    "collections are a fifth of the import's CPU time, and the one at exit as much again",
)

_NEVER = 2_000_000_011  # nobody else's threshold, and no import's number of objects

_kept: tuple[int, ...] | None = None  # the user's thresholds, while ours hold


def pause() -> Resume | None:
    """Stop automatic collections until the answer's ``end``; None: nothing to do. Never raises."""
    global _kept
    try:
        thresholds = gc.get_threshold()
        if _kept is not None or not gc.isenabled() or thresholds[0] in (0, _NEVER):
            return None  # a pause inside a pause, or the user has no collections
        if set_aside.is_watched():
            return None  # somebody counts collections
        older = set_aside.known_objects() if _is_young() else None
        frozen = set_aside.has_any()
        gc.set_threshold(_NEVER, *thresholds[1:])
    except Exception as error:  # PyPy's collector is another
        GC.turn_off(f"this Python's garbage collector is another ({type(error).__name__})")
        return None
    _kept = thresholds
    return Resume(older, frozen)


class Resume:
    """The end of one pause."""

    def __init__(self, older: list[object] | None, frozen: bool) -> None:
        self._older = older
        self._frozen = frozen

    def end(self, done: bool) -> None:
        """Put the user's thresholds back, unless somebody has set others meanwhile.

        After an import that succeeded all objects become old without being looked at. In a
        program that has hardly begun, those that the import has made are set aside.
        """
        older, self._older = self._older, None
        ours = _kept is not None and gc.get_threshold()[0] == _NEVER and gc.isenabled()
        if done and ours and not self._frozen and not set_aside.has_any():
            if older is None or set_aside.is_watched():
                set_aside.make_old()
            else:
                set_aside.all_but(older)
        resume()
        GC.used()


def resume() -> None:
    """Put the user's thresholds back; also in a fork of a process that is importing CrewAI."""
    global _kept
    kept, _kept = _kept, None
    if kept is not None and gc.get_threshold()[0] == _NEVER:
        gc.set_threshold(*kept)


def _is_young() -> bool:
    """Whether the import comes from statements of modules only, and no other thread exists.

    Otherwise there may be objects of running functions, which are to be collected as usual.
    """
    frame: types.FrameType | None = sys._getframe()
    while frame is not None:
        code = frame.f_code
        ours = code.co_filename.startswith("<frozen ") or frame.f_globals.get("__package__") in (
            "fast_crewai",
            "fast_crewai.imports",
        )
        if code.co_name != "<module>" and not ours:
            return False
        frame = frame.f_back
    return not count_threads()
