"""A stand-in module whose functions the unit tests route."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = '''
import contextlib
from textwrap import indent


def shout(text, mark="!", *, times=1):
    """Shout a text."""
    if text == "fail":
        raise LookupError(text)
    return helper(text).upper() + mark * times


def helper(text):
    return text.strip()


@contextlib.contextmanager
def held(text):
    yield helper(text)


class Box:
    def __init__(self):
        self.items = []

    def put(self, item, /, *more, **named):
        self.items.append((item, more, named))
        return len(self.items)

    @staticmethod
    def fixed(x=1):
        return x

    @classmethod
    def name_of(cls, suffix=""):
        return cls.__name__ + suffix


class Small(Box):
    pass
'''


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[ModuleType]:
    path = tmp_path / "stand_in_crewai.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("stand_in_crewai", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[module.__name__]
