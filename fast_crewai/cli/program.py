"""``run``: becomes ``python PROGRAM…`` with our ``sitecustomize`` first on PYTHONPATH.

The program gets an interpreter of its own instead of a simulated ``__main__``, so that
``sys.argv``, ``sys.path[0]``, tracebacks, exit codes, signals, ``-i``, ``-W`` and ``-X`` are
Python's own doing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from fast_crewai import config, engine
from fast_crewai.cli.bootstrap import bootstrap_folder

_OWN_OPTIONS_WITH_VALUE = ("--disable", "--report")
_OWN_FLAGS = ("-v", "--verbose", "-h", "--help")
_LONG_INTERPRETER_OPTION = "--check-hash-based-pycs"  # the only one that runs a program
_LETTERS_WITH_VALUE = "WX"
_LAST_LETTERS = "cm"  # what follows is the program's


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our own options, and the program's part: from the first argument that isn't ours on."""
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        if argument in _OWN_OPTIONS_WITH_VALUE:
            if position + 1 == len(arguments):
                raise click.BadOptionUsage(argument, f"Option {argument!r} requires an argument.")
            position += 2
        elif argument in _OWN_FLAGS or argument.startswith(
            tuple(f"{option}=" for option in _OWN_OPTIONS_WITH_VALUE)
        ):
            position += 1
        elif argument == "--":
            return list(arguments[:position]), list(arguments[position + 1 :])
        else:
            if argument.startswith("--") and argument != _LONG_INTERPRETER_OPTION:
                raise click.NoSuchOption(argument)
            break
    return list(arguments[:position]), list(arguments[position:])


def run_program(
    program: Sequence[str], *, disable: str, report: Path | None, verbose: bool
) -> NoReturn:
    """Replace this process by the program's. Raises click.ClickException for bad input."""
    flags = interpreter_flags(sys.orig_argv)
    if (
        sys.flags.ignore_environment
        or sys.flags.no_site
        or set(_letters(interpreter_flags(["", *program]))) & set("EIS")
    ):
        raise click.ClickException(
            "python's -E, -I and -S switch off what `run` needs (PYTHONPATH and site): "
            "leave them out, or use `fast-crewai enable`"
        )
    if not sys.executable:
        raise click.ClickException("sys.executable is empty: there is no Python to start")
    names = config.split_names(disable)
    registry = engine.registry()
    if unknown := names - set(registry.known_names()):
        raise click.BadParameter(
            str(config.UnknownNameError(unknown, registry.known_names())), param_hint="--disable"
        )
    environment = config.run_environment(
        str(bootstrap_folder()),
        os.getpid(),
        disable=names,
        report=str(_writable(report)) if report else None,
        verbose=verbose,
    )
    _forget_own_locale(environment)
    _become([sys.executable, *flags, *program], environment)


def interpreter_flags(original: Sequence[str]) -> list[str]:
    """The interpreter's own options on the command line that started us."""
    flags = []
    arguments = iter(original[1:])
    for argument in arguments:
        if argument == _LONG_INTERPRETER_OPTION:
            flags += [argument, next(arguments, "")]
            continue
        letters = "" if argument.startswith("--") else _letters([argument])
        if not letters:
            break
        if letters[-1] in _LAST_LETTERS:  # "-um", "module": the u is ours, the rest the program
            flags += [f"-{letters[:-1]}"] if len(letters) > 1 else []
            break
        flags.append(argument)
        if argument[-1] in _LETTERS_WITH_VALUE and argument[1:] == letters:
            flags.append(next(arguments, ""))
    return flags


def _letters(flags: Sequence[str]) -> str:
    """The one-letter options in ``-uX dev``-like arguments, without values."""
    letters = ""
    for flag in flags:
        if flag.startswith("-"):
            for letter in flag[1:]:
                letters += letter
                if letter in _LETTERS_WITH_VALUE + _LAST_LETTERS:
                    break  # the rest is its value
    return letters


def _writable(report: Path) -> Path:
    report = report.absolute()  # the program may change its working directory
    if not report.parent.is_dir():
        raise click.BadParameter(f"there is no folder {report.parent}", param_hint="--report")
    if not os.access(report.parent, os.W_OK):
        raise click.BadParameter(f"{report.parent} is not writable", param_hint="--report")
    return report


def _forget_own_locale(environment: dict[str, str]) -> None:
    """Undo what Python did to LC_CTYPE in the C locale (PEP 538): it would act otherwise on it."""
    try:
        inherited = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return
    before = [item[len(b"LC_CTYPE=") :] for item in inherited if item.startswith(b"LC_CTYPE=")]
    environment.pop("LC_CTYPE", None)
    if before:
        environment["LC_CTYPE"] = os.fsdecode(before[0])


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "nt":  # exec on Windows returns to the shell before the program ends
        sys.exit(subprocess.call(command, env=environment))
    os.execve(command[0], command, environment)
