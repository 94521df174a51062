"""A module that lacks names is what it would be with them, whatever it does with them."""

import importlib.util
import itertools
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fast_crewai.imports import lending_proof
from fast_crewai.imports.lending import Lender

NUMBERS = itertools.count()
NAMES = ["Answer", "Chunk", "Stream"]
LIBRARY = "".join(f"class {name}:\n    pass\n" for name in NAMES)
HEAD = "from __future__ import annotations\n"

PIECES = [
    "def f{i}():\n    return {n}\n",
    "def f{i}(x=None):\n    return [isinstance(x, {n}) for _ in 'ab'], lambda: {n}\n",
    "def f{i}() -> {n}:\n    return {n}\n",
    "def f{i}(x: list[{n}] = []) -> '{n}':\n    y: {n} = x\n    return y\n",
    "async def f{i}(x: {n}): ...\n",
    "class C{i}:\n    def f(self, x: {n}) -> None:\n        return {n}\n",
    "class C{i}:\n    @staticmethod\n    def f(x: {n} = None):\n        return {n}\n",
    "class C{i}:\n    @property\n    def f(self) -> {n}:\n        return {n}\n",
    "class C{i}:\n    x: {n}\n",
    "class C{i}({n}):\n    pass\n",
    "x{i}: {n}\n",
    "x{i} = {n}\n",
    "x{i} = [{n}]\n",
    "try:\n    x{i} = 1\nexcept {n}:\n    pass\n",
    "def keep(f): return f\n@keep\ndef f{i}(x: {n}): ...\n",
    "def f{i}():\n    def g(x: {n}): ...\n    return g.__annotations__\n",
    "def f{i}({n}=1):\n    return {n}\n",
    "def f{i}():\n    {n} = 1\n    return {n}\n",
    "def f{i}():\n    global {n}\n    {n} = 1\n",
    "def f{i}(x={n}):\n    return x\n",
    "def f{i}():\n    from {lib} import {n}\n    return {n}\n",
    "def f{i}():\n    for {n} in 'ab': pass\n    return {n}\n",
    "__all__ = ['{n}']\nshown = [globals()[name] for name in __all__]\n",
    "def f{i}():\n    del {n}\n",
    "def f{i}():\n    return globals().get('nothing'), '{n}'\n",
    "x{i} = 3\n",
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("library")
    (folder / "lent_library.py").write_text(LIBRARY)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("lent_library", None)


def execute(name: str, path: Path, lent: bool) -> types.ModuleType | None:
    """The module, plain or without names; None if it doesn't come without any."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    if not lent:
        spec.loader.exec_module(module)
        return module
    user = lending_proof.look(name, path, {"lent_library": set(NAMES)})
    if user is None:
        return None
    lender = Lender(module, user)
    exec(user.code, vars(module))
    lender.executed()
    return module


def told(ask: typing.Any) -> typing.Any:
    try:
        found = ask()
        if isinstance(found, tuple):  # a function of a function's
            return [each() if callable(each) else each for each in found]
        return found
    except Exception as error:
        return type(error), str(error)


def look(module: types.ModuleType) -> dict[str, typing.Any]:
    """What its functions return, and what they and its classes are annotated with."""
    found: dict[str, typing.Any] = {}
    every = {name: value for name, value in sorted(vars(module).items()) if name[0] in "fxC"}
    for name, value in every.items():
        if isinstance(value, type):
            function = vars(value).get("f")
            function = getattr(function, "fget", function)
            function = getattr(function, "__func__", function)
            found[f"{name} hints"] = told(lambda value=value: typing.get_type_hints(value))
            every = {**every, f"{name}.f": function} if function else every
        elif not callable(value):
            found[name] = value
    for name, value in every.items():
        if isinstance(value, types.FunctionType):
            found[f"{name} texts"] = dict(value.__annotations__)
            found[f"{name} hints"] = told(lambda value=value: typing.get_type_hints(value))
            if not value.__code__.co_flags & 0x80:
                needed = value.__code__.co_argcount - len(value.__defaults__ or ())
                found[name] = told(lambda value=value, needed=needed: value(*[None] * needed))
    found["names"] = sorted(n for n in dir(module) if "fast_crewai" not in n)
    return found


piece = st.tuples(st.integers(0, len(PIECES) - 1), st.sampled_from(NAMES))


@settings(max_examples=300, deadline=None)
@given(pieces=st.lists(piece, max_size=6), future=st.booleans(), whole=st.booleans())
@example(pieces=[(i, NAMES[0]) for i in (0, 3, 5, 6)], future=True, whole=False)
def test_the_module_is_what_it_would_be(
    library: Path, pieces: list[tuple[int, str]], future: bool, whole: bool
) -> None:
    name = f"lent_user_{next(NUMBERS)}"
    text = HEAD if future else ""
    text += f"from lent_library import {', '.join(NAMES)}\n"
    for number, (which, used) in enumerate(pieces):
        text += PIECES[which].format(i=number, n=used, lib="lent_library")
    path = library / f"{name}.py"
    path.write_text(text)
    try:
        plain = execute(name, path, False)
    except Exception:
        return  # no module is trusted that has not been imported before
    ours = execute(name, path, True)
    if ours is None:
        return
    assert plain is not None
    if whole:
        assert [n for n in sorted(vars(ours)) if "fast_crewai" not in n] == sorted(vars(plain))
    assert re.sub("0x[0-9a-f]+", "", repr(look(ours))) == re.sub(
        "0x[0-9a-f]+", "", repr(look(plain))
    )
    assert [getattr(ours, n, None) for n in NAMES] == [getattr(plain, n, None) for n in NAMES]


USED = [
    ("def f():\n    return Answer\n", NAMES),
    ("class C:\n    def f(self, x: Answer): ...\n", NAMES),
    ("x = Answer\n", None),
    ("def f(Answer): ...\n", NAMES[1:]),
    ("def f():\n    from lent_library import Answer\n", NAMES[1:]),
    ("__all__ = ['Answer', 'f']\n", NAMES[1:]),
    ("class C:\n    x: Answer\n", None),
    ("def f():\n    def g(x: Answer): ...\n", None),
    ("from functools import cache\n@cache\ndef f(x: 'Answer'): ...\n", None),
]


@pytest.mark.parametrize(("text", "left"), USED)
def test_what_is_left_out(text: str, left: list[str] | None, tmp_path: Path) -> None:
    path = tmp_path / "user.py"
    path.write_text(f"{HEAD}from lent_library import {', '.join(NAMES)}\n{text}")
    user = lending_proof.look("user", path, {"lent_library": set(NAMES)})
    assert (None if user is None else sorted(user.names)) == left


def test_relative_imports(tmp_path: Path) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "__init__.py").write_text("from .lib import Answer as A, other, inner\n")
    bound = {"package.lib": {"Answer"}, "package.lib.inner": {"x"}}
    user = lending_proof.look("package", folder / "__init__.py", bound)
    assert user is not None
    assert user.names == {"A": ("package.lib", "Answer"), "inner": ("package.lib.inner", "")}
    assert not user.helped
    assert user.targets == ("package.lib", "package.lib.inner")
    assert lending_proof.look("nothing", folder / "nothing.py", bound) is None
