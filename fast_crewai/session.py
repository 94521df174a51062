"""What an interpreter that ``run`` started does first; called by our ``sitecustomize``.

It imports only what Python has in itself: a module that is loaded here would hide the one of the
same name in the program's folder. The rest is loaded at exit, with the search path of now.
"""

import atexit
import os
import sys

from fast_crewai import finder


def start() -> None:
    """Turn the accelerator on and, in the program's own process, report at exit. Never raises."""
    finder.start()
    pid = os.getpid()
    for name, value in os.environ.items():
        if name.startswith("FAST_CREWAI_RUN_") and value.startswith(f"{pid}:"):
            atexit.register(_report, pid, dict(os.environ), list(sys.path))
            break


def _report(pid: int, environ: "dict[str, str]", path: "list[str]") -> None:
    if pid != os.getpid():  # a fork of the program that ends as a program does
        return
    programs, sys.path[:] = list(sys.path), path
    try:
        from fast_crewai import config, report

        report.at_exit(config.load(environ))
    except Exception as error:  # the program's modules may have taken names that we need
        if sys.stderr is not None:
            print(f"fast_crewai: the report could not be written: {error}", file=sys.stderr)
    finally:
        sys.path[:] = programs
        _stay_interrupted()


def _stay_interrupted() -> None:
    # After an uncaught KeyboardInterrupt, Python ends by SIGINT. But it forgets that with the next
    # exec() of a string, and dataclasses and namedtuple do that: the modules above have them.
    if getattr(sys, "last_type", None) is KeyboardInterrupt and not sys.flags.interactive:
        try:  # noqa: SIM105  contextlib may be the user's
            exec("raise KeyboardInterrupt")
        except KeyboardInterrupt:
            pass
