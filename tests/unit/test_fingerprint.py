"""Digests follow behaviour, not layout; live objects and parsed wheels give the same digest."""

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fast_crewai.hooks import fingerprint

SOURCE = '''
import contextlib
import functools

LIMIT = 3

class Box:
    """A box."""

    @property
    def size(self):
        return len(self.items)

    @staticmethod
    @functools.lru_cache(
        maxsize=2,
    )
    def cached(x): return x

    def put(self, item: object,
            *, where: str = """
    not indented like the rest
""") -> None:
        """Put it in."""
        # the first
        self.items.append(  item)

        def inner():
            "inner"
            return where
        return inner

async def wait(box):
    await box

@contextlib.contextmanager
def hold(box):
    yield box
'''
SAME = SOURCE.replace("(  item)", "(item)").replace("# the first", "").replace("Put it in", "Put")
OTHER = SOURCE.replace("append", "extend")


def load(source: str, folder: Path, name: str) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_layout_comments_and_docstrings_do_not_count(tmp_path: Path) -> None:
    one, same, other = (
        load(text, tmp_path, f"fp_{n}") for n, text in enumerate((SOURCE, SAME, OTHER))
    )
    assert fingerprint.digest_of(one.Box.put) == fingerprint.digest_of(same.Box.put)
    assert fingerprint.digest_of(one.Box.put) != fingerprint.digest_of(other.Box.put)


@pytest.mark.parametrize("name", ["put", "size"])
def test_live_and_parsed_digests_agree(tmp_path: Path, name: str) -> None:
    module = load(SOURCE, tmp_path, "fp_live")
    tree = ast.parse(SOURCE)
    node = next(n for n in ast.walk(tree) if getattr(n, "name", None) == name)
    live = fingerprint.digest_of(vars(module.Box)[name])
    assert live == fingerprint.digest_of_node(node)
    wait = next(n for n in tree.body if isinstance(n, ast.AsyncFunctionDef))
    assert fingerprint.digest_of(module.wait) == fingerprint.digest_of_node(wait)
    hold = tree.body[-1]
    assert fingerprint.digest_of(module.hold) == fingerprint.digest_of_node(hold)


def test_constants() -> None:
    digest = fingerprint.digest_of
    assert digest(re.compile("a")) != digest(re.compile("a", re.IGNORECASE))
    assert digest("3") != digest(3)
    with pytest.raises(fingerprint.UnreadableError, match="dict"):
        digest({})


def test_code_without_a_source_file_has_no_digest() -> None:
    scope: dict[str, object] = {}
    exec(compile("def f(): pass", "<nowhere>", "exec"), scope)
    with pytest.raises(fingerprint.UnreadableError, match="not readable"):
        fingerprint.digest_of(scope["f"])


def test_combination_depends_on_every_part() -> None:
    base = fingerprint.combine("a", [("x", "1"), ("y", "2")])
    assert base == fingerprint.combine("a", [("y", "2"), ("x", "1")])
    assert base != fingerprint.combine("a", [("x", "1"), ("y", "3")])
    assert base != fingerprint.combine("b", [("x", "1"), ("y", "2")])


def test_an_import_has_the_digest_of_what_it_names() -> None:
    digest = fingerprint.digest_of_import
    assert digest("os.path:join") == digest("os.path:join") != digest("os.path:split")
