"""What ``tools/fingerprint.py`` records of a wheel is what the gate finds once it is installed."""

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import fingerprint as tool
from inheritance import definer
from wheel_sources import Wheel

from fast_crewai.hooks.route import Route

MODEL = "class BaseModel:\n    if 1:\n        def __getattr__(self, name): ...\n"
READ = "pydantic.main:BaseModel.__getattr__"

MakeWheels = Callable[[dict[str, str]], dict[str, Wheel]]


@pytest.fixture
def wheels(tmp_path: Path) -> MakeWheels:
    """``wheels({"crewai/llm.py": source})``: a wheel of CrewAI and one of pydantic."""

    def make(files: dict[str, str]) -> dict[str, Wheel]:
        lazy = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .main import *\n"
        every = {"pydantic/__init__.py": lazy, "pydantic/main.py": MODEL, **files}
        for package in ("crewai", "pydantic"):
            with zipfile.ZipFile(tmp_path / package, "w") as archive:
                for name, source in every.items():
                    if name.startswith(package):
                        archive.writestr(name, source)
        return {package: Wheel(tmp_path / package) for package in ("crewai", "pydantic")}

    return make


def route(target: str) -> Route:
    return Route("tools.made-up", target, "", lambda site: site.original, reads=(READ,))


def test_a_class_that_does_not_inherit_the_target_is_absent(wheels: MakeWheels) -> None:
    """As CrewAI 1.9.3's BaseLLM: pydantic is imported in its module, and not its base."""
    source = "from abc import ABC\nfrom pydantic import BaseModel\nclass LLM(ABC): ..."
    found = wheels({"crewai/llm.py": source})
    assert tool.combined(route("crewai.llm:LLM.__getattr__"), found) is None


def test_an_inherited_target_has_the_digest_of_its_base(wheels: MakeWheels) -> None:
    found = wheels({"crewai/llm.py": "from pydantic import BaseModel\nclass LLM(BaseModel): ..."})
    inherited = tool.combined(route("crewai.llm:LLM.__getattr__"), found)
    assert inherited is not None
    assert inherited == tool.combined(route(READ), found)


@pytest.mark.parametrize(
    ("source", "home"),
    [
        pytest.param("from pydantic import BaseModel as M\nclass C(M): ...", READ, id="renamed"),
        pytest.param(
            "from abc import ABC\nfrom typing import Generic, TypeVar\nT = TypeVar('T')\n"
            "from pydantic import BaseModel\nclass C(BaseModel, ABC, Generic[T]): ...",
            READ,
            id="python's own",
        ),
        pytest.param("from .base import Base\nclass C(Base): ...", READ, id="relative"),
        pytest.param("from crewai.base import *\nclass C(Base): ...", READ, id="star"),
        pytest.param(
            "from .base import Base, Own\nclass C(Base, Own): ...",
            "crewai.base:Own.__getattr__",
            id="the order of Python",
        ),
        pytest.param(
            "from typing import TYPE_CHECKING\nfrom .base import Base\nclass Said(Base):\n"
            "    if TYPE_CHECKING:\n        def __getattr__(self, name): ...\nclass C(Said): ...",
            READ,
            id="for type checkers",
        ),
        pytest.param("class C(Exception): ...", None, id="built-in"),
        pytest.param("class C: ...", None, id="no base"),
        pytest.param("from elsewhere import M\nclass C(M): ...", None, id="not in the wheels"),
        pytest.param("class C(M): ...", None, id="not defined"),
        pytest.param(
            "import typing\nimport pydantic as p\nclass C(p.BaseModel, typing.Generic['T']): ...",
            READ,
            id="of modules",
        ),
        pytest.param("import p.q\nclass C(p.q.M): ...", None, id="not followed"),
        pytest.param("from .one import *\nclass C(Base): ...", None, id="modules in a circle"),
        pytest.param("class D: ...", None, id="no such class"),
    ],
)
def test_the_base_that_defines_it(wheels: MakeWheels, source: str, home: str | None) -> None:
    base = (
        "from pydantic import BaseModel\nclass Base(BaseModel): ...\n"
        "class Own(BaseModel):\n    def __getattr__(self, name): ..."
    )
    found = wheels(
        {
            "crewai/__init__.py": "",
            "crewai/llm.py": source,
            "crewai/base.py": base,
            "crewai/one.py": "from .two import *",
            "crewai/two.py": "from .one import *",
        }
    )
    assert definer("crewai.llm:C.__getattr__", found) == home


def test_an_update_takes_back_what_no_longer_holds(
    wheels: MakeWheels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = wheels({"crewai/llm.py": "from pydantic import BaseModel\nclass LLM(BaseModel): ..."})
    target, other = "crewai.llm:LLM.__getattr__", "crewai.llm:Gone.__getattr__"
    digest = tool.combined(route(target), found)
    assert digest
    path = tmp_path / "fingerprints.json"
    monkeypatch.setattr(tool, "FINGERPRINTS", path)
    tool.save(
        {
            target: {digest: {"crewai": ["1.0", "2.0"]}, "old": {"crewai": ["1.0", "2.0"]}},
            other: {"old": {"crewai": ["2.0"]}},
        }
    )
    rows = [(route(target), "2.0", "2.12.5", digest), (route(other), "2.0", "2.12.5", None)]
    monkeypatch.setattr(tool, "examine", lambda versions, folder: iter(rows))
    monkeypatch.setattr(sys, "argv", ["fingerprint.py", "update", "2.0"])
    assert tool.main() == 0
    assert tool.load() == {
        target: {
            digest: {"crewai": ["1.0", "2.0"], "pydantic": ["2.12.5"]},
            "old": {"crewai": ["1.0"]},
        }
    }
