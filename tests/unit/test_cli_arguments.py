"""Which part of a command line is ours and which is the program's."""

import click
import pytest

from fast_crewai.cli.program import interpreter_flags, split_arguments


@pytest.mark.parametrize(
    ("arguments", "own", "program"),
    [
        ([], [], []),
        (["a.py", "-v"], [], ["a.py", "-v"]),
        (["-v", "a.py"], ["-v"], ["a.py"]),
        (["--disable", "flow", "a.py"], ["--disable", "flow"], ["a.py"]),
        (["--disable=flow", "-m", "x"], ["--disable=flow"], ["-m", "x"]),
        (["--report", "r", "-v", "-c", "1", "-v"], ["--report", "r", "-v"], ["-c", "1", "-v"]),
        (["-mvenv", "d"], [], ["-mvenv", "d"]),
        (["-"], [], ["-"]),
        (["--", "a.py"], [], ["a.py"]),
        (["--", "--odd.py"], [], ["--odd.py"]),
    ],
)
def test_split(arguments: list[str], own: list[str], program: list[str]) -> None:
    assert split_arguments(arguments) == (own, program)


def test_unknown_option_is_an_error() -> None:
    with pytest.raises(click.NoSuchOption):
        split_arguments(["--disabel", "flow", "a.py"])


@pytest.mark.parametrize(
    ("original", "flags"),
    [
        (["python", "-m", "fast_crewai", "run", "a.py"], []),
        (
            ["python", "-u", "-W", "error", "-Xdev", "-m", "fast_crewai"],
            ["-u", "-W", "error", "-Xdev"],
        ),
        (["python", "-X", "importtime", "-i", "-mfast_crewai"], ["-X", "importtime", "-i"]),
        (["python", "/bin/fast-crewai", "run", "-i"], []),
        (["python", "-O", "/bin/fast-crewai"], ["-O"]),
    ],
)
def test_interpreter_flags(original: list[str], flags: list[str]) -> None:
    assert interpreter_flags(original) == flags
