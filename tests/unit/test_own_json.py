"""``json`` that somebody has changed before us is not taken for Python's own."""

import subprocess
import sys

import pytest

ASKS = """
from fast_crewai._core import Declined
from fast_crewai.hooks.areas import own_json
def reads():
    try:
        own_json.check_reading(json)
    except Declined:
        return False
    return True
print(own_json.writes_as_usual(json), reads())
"""
WRITING = [
    "json._default_encoder = json.JSONEncoder(ensure_ascii=False)",
    "json.JSONEncoder.encode = lambda self, value: 'traced'",
    "json.JSONEncoder.iterencode = lambda self, value, _one_shot=False: ['traced']",
    "json.dumps.__kwdefaults__['ensure_ascii'] = False",
    "json.dumps.__kwdefaults__['indent'] = 2",
    "json.dumps.__code__ = (lambda obj, **options: 'traced').__code__",
]
READING = [
    "json.loads.__kwdefaults__['parse_int'] = str",
    "json.loads.__code__ = (lambda s, **options: 'traced').__code__",
    "json.JSONDecoder.decode = lambda self, text: 'traced'",
]


def answer(before: str, after: str = "") -> str:
    program = f"import json\n{before}\n{ASKS}\n{after}"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return run.stdout


def test_what_nobody_has_changed_is_pythons() -> None:
    assert answer("") == "True True\n"


@pytest.mark.parametrize("change", WRITING + READING)
def test_what_was_changed_before_us_is_not(change: str) -> None:
    assert answer(change) == "False False\n"


@pytest.mark.parametrize("change", WRITING + READING)
def test_what_is_changed_later_is_seen(change: str) -> None:
    after = f"{change}\nprint(own_json.writes_as_usual(json), reads())"
    later = "True False" if change in READING else "False True"
    assert answer("", after) == f"True True\n{later}\n"
