"""What an interpreter that ``run`` started does first; called by our ``sitecustomize``."""

from __future__ import annotations

import atexit

from fast_crewai import config, finder


def start() -> None:
    """Turn the accelerator on and, in the program's own process, report at exit. Never raises."""
    finder.start()
    try:
        settings = config.load()
        if settings.report is not None or settings.verbose:
            atexit.register(_report, settings)
    except Exception as error:
        finder.failure = f"{type(error).__name__}: {error}"


def _report(settings: config.Settings) -> None:
    from fast_crewai import report  # not before: most children never report

    report.at_exit(settings)
