"""What is found in the source of a tree of packages is what importing the tree does."""

import importlib
import itertools
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_crewai.imports.reexport_proof import ReexportError, prove

NUMBERS = itertools.count()
HEAD = '"""Text."""\nfrom __future__ import annotations\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("trees")
    sys.path.insert(0, str(place))
    yield place
    sys.path.remove(str(place))


def make(folder: Path, files: dict[str, str]) -> str:
    """Write a tree of a new name; ``ROOT`` in its files is that name."""
    root = f"tree{next(NUMBERS)}"
    for name, text in {"__init__.py": "", **files}.items():
        path = folder / root / "types" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / root / "__init__.py").write_text("")
    (folder / root / "base.py").write_text("class Base:\n    pass\n")
    importlib.invalidate_caches()
    return root


def proven(folder: Path, root: str) -> object:
    return prove(f"{root}.types", folder / root / "types")


PLACES = ["", "a", "b", "a.c"]


@st.composite
def trees(draw: st.DrawFn) -> dict[str, str]:
    """Up to eight modules in up to four packages, each with a class made from others' classes."""
    count = draw(st.integers(1, 8))
    homes = [draw(st.sampled_from(PLACES)) for _ in range(count)]
    packages = {"", *homes} | ({"a"} if "a.c" in homes else set())
    inits = {place: [HEAD] if draw(st.booleans()) else [] for place in packages}
    shown: list[list[str]] = [[] for _ in range(count)]
    for number in range(count):
        for place in sorted(packages):
            if draw(st.integers(0, 3)):
                continue
            if (place and not homes[number].startswith(place)) or number in shown:
                continue
            inner = homes[number].split(".") if homes[number] else []
            path = ".".join([*inner[len(place.split(".")) if place else 0 :], f"m{number}"])
            other = draw(st.sampled_from([f"C{number}", f"D{number}"]))
            inits[place].append(f"from .{path} import C{number} as {other}\n")
            shown[number].append(f"{place}:{other}")
    files = {}
    for number in range(count):
        text = [HEAD, "from typing import List, TypeVar\nfrom pydantic import Field as FieldInfo\n"]
        bases = []
        for other in draw(st.sets(st.integers(0, count - 1), max_size=2)):
            dots = "." * (1 + (len(homes[number].split(".")) if homes[number] else 0))
            home = homes[other]
            names = [n.partition(":") for n in shown[other]]
            if names and draw(st.booleans()):
                place, _, name = draw(st.sampled_from(names))
                text.append(f"from {dots}{place} import {name} as X{other}\n")
            elif draw(st.booleans()):
                text.append(f"from {dots}{home} import m{other} as Y{other}\n")
                bases.append(f"Y{other}.C{other}")
                continue
            else:
                path = f"{home}.m{other}" if home else f"m{other}"
                text.append(f"from {dots}{path} import C{other} as X{other}\n")
            bases.append(f"X{other}")
        text.append(f"class C{number}({', '.join(bases[:1])}):\n    x: int = FieldInfo(3)\n")
        text.append(f"Alias = List[C{number}]\n")
        place = homes[number].replace(".", "/")
        files[f"{place}/m{number}.py".lstrip("/")] = "".join(text)
    for place, lines in inits.items():
        files[f"{place.replace('.', '/')}/__init__.py".lstrip("/")] = "".join(lines)
    return files


@settings(max_examples=150)
@given(files=trees())
def test_what_is_found_is_what_happens(folder: Path, files: dict[str, str]) -> None:
    root = make(folder, files)
    try:
        tree = prove(f"{root}.types", folder / root / "types")
    except ReexportError:
        return  # two need each other, or a name is two things
    try:
        importlib.import_module(f"{root}.types")
    except ImportError:
        return  # an installation is trusted only if all of it has been imported before
    loaded = {name for name in sys.modules if name.startswith(f"{root}.types")}
    assert set(tree.packages[f"{root}.types"].closure) == loaded
    for name in loaded & tree.packages.keys():
        module = sys.modules[name]
        found = tree.packages[name].names
        children = {n.rpartition(".")[2] for n in loaded if n.rpartition(".")[0] == name}
        own = {k for k in vars(module) if not k.startswith("__")} - children - {"annotations"}
        assert own == found.keys() - children
        for key, (target, here) in found.items():
            source = sys.modules[target]
            assert vars(module)[key] is (getattr(source, here) if here else source)


def test_trees_that_are_proven_are_not_rare(folder: Path) -> None:
    files = {
        "a/__init__.py": HEAD + "from .m import C as C, D\n",
        "a/m.py": "from ..n import B\nclass C(B):\n    x: int = 3\nD = C\n",
        "n.py": "from ..base import Base as Base\nclass B(Base):\n    pass\n",
        "__init__.py": "from .n import B as B\nfrom .a import C as E\n",
    }
    root = make(folder, files)
    tree = prove(f"{root}.types", folder / root / "types")
    assert tree.outside == (f"{root}.base",)
    assert tree.packages[f"{root}.types"].names["E"] == (f"{root}.types.a", "C")
    rest = types.ModuleType("rest")
    exec(tree.packages[f"{root}.types.a"].code, vars(rest))
    assert rest.__doc__ == "Text."
    assert "annotations" in vars(rest)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("__init__.py", "print(1)\n", "more than imports"),
        ("__init__.py", "x = 1\n", "more than imports"),
        ("__init__.py", "if True:\n    from .m import C\n", "more than imports"),
        ("__init__.py", "import typing\n", ""),
        ("__init__.py", "from .m import *\n", "imports all"),
        ("__init__.py", "from .m import X\n", "not found"),
        ("__init__.py", "from .nothing import X\n", "not found"),
        ("__init__.py", "from os import path\n", "imports os"),
        ("__init__.py", "from ..base import Base\n", "imports"),
        ("__init__.py", "from .m import C as m\n", "two things"),
        ("n.py", "print(1)\n", "no plain definition"),
        ("n.py", "import os\n", "imports os"),
        ("n.py", "from os import path\n", "imports os"),
        ("n.py", "from .m import *\n", "imports all"),
        ("n.py", "from .m import C\nC.x = 1\n", "no plain definition"),
        ("n.py", "x = open('y')\n", "no plain definition"),
        ("n.py", "x: int = open('y')\n", "no plain definition"),
        ("n.py", "x: print(1) = 2\n", "no plain definition"),
        ("n.py", "x = [print for y in z]\n", "no plain definition"),
        ("n.py", "x = (y := 3)\n", "no plain definition"),
        ("n.py", "@print\nclass N:\n    pass\n", "no plain definition"),
        ("n.py", "class N:\n    @print\n    def x(self): ...\n", "no plain definition"),
        ("n.py", "class N:\n    print(1)\n", "no plain definition"),
        ("n.py", "class N(print(1)):\n    pass\n", "no plain definition"),
        ("n.py", "class N(metaclass=print()):\n    pass\n", "no plain definition"),
        ("n.py", "def x(y=print()): ...\n", "no plain definition"),
        ("n.py", "def x(y: print()): ...\n", "no plain definition"),
        ("n.py", "@print\ndef x(): ...\n", "no plain definition"),
        ("n.py", "for x in y:\n    pass\n", "no plain definition"),
        ("n.py", "try:\n    x = 1\nfinally:\n    pass\n", "no plain definition"),
        ("n.py", "if x:\n    y = 1\n", "no plain definition"),
        ("n.py", "del x\n", "no plain definition"),
        ("n.py", "from . import m2\n", "lacks it"),
        ("n.py", "from .o import O\n", "need each other"),
        ("sub/x.py", "class X: ...\n", "no package"),
    ],
)
def test_what_does_more(name: str, text: str, said: str, folder: Path) -> None:
    files = {
        "m.py": "class C:\n    pass\n",
        "o.py": "from .n import C as C\nclass O:\n    pass\n",
        "n.py": "from .m import C as C\n",
        name: text,
    }
    root = make(folder, files)
    if not said:
        proven(folder, root)
        return
    with pytest.raises(ReexportError, match=said):
        proven(folder, root)
