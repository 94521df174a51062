"""What the import leaves out, as data: the transformer, the stored code, the reports."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from fast_crewai.cli import profiling, warming
from fast_crewai.imports import asking, feature, journal, lazy, leaving, portion, reexports, store

SOURCE = b'''"""Doc."""
from json import dumps, loads as read
from wave import Error
import os

__all__ = ["Error", "use"]
Alias = list[Error]
known: dict[str, Alias] = {}


def use(text: str, error: Error = None) -> "Error | None":
    return error or (lambda: Error)() or [Error for _ in text]


class Holder:
    def method(self, *many: Error, **named: Alias) -> int:
        def inner():
            return Error, Alias
        return inner()
'''


def load(names: set[str], source: bytes = SOURCE) -> tuple[dict[str, Any], leaving.Left]:
    left = leaving.leave_out(source, "file.py", names)
    namespace: dict[str, Any] = {"__name__": "m"}
    exec(left.code, namespace)
    return namespace, left


def test_a_name_is_left_out_and_made_up_for() -> None:
    namespace, left = load({"Error", "read"})
    assert not {"Error", "read", "Alias"} & namespace.keys()
    assert "dumps" in namespace and namespace["known"] == {}
    assert left.names == ("Alias", "Error", "read")
    asked: list[str] = []
    namespace[leaving.HELPER] = lambda name: asked.append(name) or name
    assert namespace["use"]("ab") == "Error"
    assert namespace["Holder"]().method() == ("Error", "Alias")
    assert asked == ["Error", "Error", "Alias"]
    rest: dict[str, Any] = {}
    for statement in left.rest:
        exec(statement, namespace, rest)
    assert rest.keys() == {"Error", "read", "Alias"}
    assert set(left.annotations) == {"", "use", "Holder.method"}
    assert set(left.annotations["use"]) == {"error", "return"}
    assert set(left.annotations["Holder.method"]) == {"many", "named"}
    known = eval(left.annotations[""]["known"], namespace, rest)
    assert known.__args__ == (str, rest["Alias"])


def test_a_local_function_asks_for_its_annotations_when_it_is_defined() -> None:
    source = b"from wave import Error\ndef f():\n    def g(a: Error) -> [Error]: pass\n    return g"
    left = leaving.leave_out(source, "file.py", {"Error"})
    namespace: dict[str, Any] = {leaving.HELPER: str.lower}
    exec(left.code, namespace)
    assert namespace["f"]().__annotations__ == {"a": "error", "return": ["error"]}
    assert left.annotations == {}


def test_classes_and_type_variables_are_made_with_what_stands_for_a_name() -> None:
    source = (
        b"from typing import TypeVar\nfrom wave import Error\nT = TypeVar('T', bound=Error)\n"
        b"class Mine:\n    field: list[Error]\n"
    )
    left = leaving.leave_out(source, "file.py", {"Error"}, stands={"Error"})
    namespace: dict[str, Any] = {leaving.STAND: {"Error": int}.get}
    exec(left.code, namespace)
    assert namespace["T"].__bound__ is int
    assert namespace["Mine"].__annotations__ == {"field": list[int]}
    for statement in left.rest:
        exec(statement, namespace)
    real = eval(left.annotations["Mine"]["field"], namespace)
    assert real.__args__ == (namespace["Error"],)


def test_lines_are_the_same() -> None:
    plain = compile(SOURCE, "file.py", "exec", dont_inherit=True)
    _, left = load({"Error"})

    def lines(code: Any) -> dict[str, tuple[int, set[int]]]:
        found = {
            code.co_qualname if sys.version_info >= (3, 11) else code.co_name: (
                code.co_firstlineno,
                {line for _, _, line in code.co_lines() if line},
            )
        }
        for constant in code.co_consts:
            if hasattr(constant, "co_lines"):
                found |= lines(constant)
        return found

    ours, theirs = lines(left.code), lines(plain)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        if name != "<module>":
            assert ours[name] == theirs[name]


@pytest.mark.parametrize(
    "source",
    [
        "from wave import Error\n@print\nclass Mine(Error): pass",
        "from wave import Error\nclass Mine(Error, metaclass=type): pass",
        "from wave import Error\nclass Mine(Error): pass\nMine = 3",
        "from wave import Error\nclass Mine(Error): pass\nMine()",
        "from wave import Error\nmade: int = Error()\nprint(made)",
        "import os.path as Error, os",
        "import Error.part",
        "from wave import Error\nclass Mine:\n    field: Error",
        "from wave import Error\nclass Mine:\n    field: 'Error'",
        "from wave import Error\ndef f(a=Error): pass",
        "from wave import Error\n@Error\ndef f(): pass",
        "from wave import Error\n@print\ndef f(a: Error): pass",
        "from wave import Error\nprint(Error)",
        "from wave import Error\nError = 3",
        "from wave import Error\ndef f():\n    global Error",
        "from wave import Error\ndef f():\n    Error = 2\n    return Error",
        "from wave import Error\ndef f(Error): pass",
        "from wave import Error\ndef f():\n    import Error",
        "from wave import Error\ndef Error(): pass",
        "from wave import Error\nfrom wave import Error",
        "try:\n    from wave import Error\nexcept ImportError: pass",
        "if True:\n    from wave import Error",
        "from .wave import Error",
        "import wave as Error\nError.open",
    ],
)
def test_what_is_needed_or_bound_otherwise_is_not_left_out(source: str) -> None:
    with pytest.raises(leaving.LeavingError):
        leaving.leave_out(source.encode(), "file.py", {"Error"})


TEXTS = b"""from __future__ import annotations
import wave
from wave import Error as Base
from dataclasses import dataclass

table: dict[str, Mine] = {"a": Mine}


def use() -> Mine:
    return wave, Mine, table

class Mine(Base):
    field: Base | None = None
    def method(self, other: Mine) -> Base:
        return Base, self

class Other:
    field: Base
    @staticmethod
    def method(other: wave.Error): return other
"""


def test_what_needs_a_name_is_left_out_with_it() -> None:
    """Classes and tables, and functions before them; annotations are texts here."""
    namespace, left = load({"wave", "Base", "table"}, TEXTS)
    assert left.names == ("Base", "Mine", "table", "wave")
    assert not {*left.names} & namespace.keys()
    assert namespace["__annotations__"] == {"table": "dict[str, Mine]"}
    assert left.annotations == {"": {}, "use": {}, "Other": {}, "Other.method": {}}
    plain: dict[str, Any] = {"__name__": "m"}
    exec(compile(TEXTS.replace(b'{"a": Mine}', b"{}"), "file.py", "exec"), plain)
    done = portion.Part("m", namespace, left)
    namespace[leaving.HELPER] = lambda name: portion.value(done, name, lambda: None)
    with pytest.raises(NameError, match="'wave' is not defined"):
        namespace["use"]()
    with pytest.raises(NameError):  # as the module itself: the table comes first
        done.execute()
    source = TEXTS.replace(b'table: dict[str, Mine] = {"a": Mine}\n', b"") + b"table = {1: Mine}\n"
    namespace, left = load({"wave", "Base"}, source)
    done = portion.Part("m", namespace, left)
    namespace[leaving.HELPER] = lambda name: portion.value(done, name, done.execute)
    wave, mine, table = namespace["use"]()
    assert (wave.__name__, table) == ("wave", {1: mine})
    assert mine.__mro__[1] is wave.Error and mine.__module__ == "m"
    assert mine.method.__annotations__ == plain["Mine"].method.__annotations__
    assert mine.__annotations__ == plain["Mine"].__annotations__


def test_texts_are_asked_for_before_they_are_read() -> None:
    namespace, left = load({"wave", "Base"}, TEXTS.replace(b'{"a": Mine}', b"{}"))
    done = portion.Part("m", namespace, left)
    asked: list[str] = []

    def ask() -> None:
        asked.append("asked")
        done.execute()
        asking.answer(namespace, left.annotations, None)

    asking.answer(namespace, left.annotations, ask)
    other = namespace["Other"]
    assert not asked and "Base" not in namespace
    held = other.__annotations__
    assert dict(held.items()) == {"field": "Base"} and asked == ["asked"]
    assert type(other.__annotations__) is dict and "Base" in namespace
    assert other.method.__annotations__ == {"other": "wave.Error"}
    assert type(namespace["use"].__annotations__) is dict


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs owners")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.chmod(0o666),
        lambda path: path.chmod(0o620),
        lambda path: path.parent.chmod(0o777),
    ],
)
def test_stored_code_that_others_can_write_is_none(
    spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "folder" / "file"
    assert store.write(path, 3)
    assert store.read(path) == 3
    spoil(path)
    assert store.read(path) is None
    assert store.write(path, 4)  # it becomes ours again
    assert store.read(path) == 4


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs owners")
def test_stored_code_of_somebody_else_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder" / "file"
    assert store.write(path, 3)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert store.read(path) is None


def test_stored_code(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    assert store.read(path) is None
    assert store.write(path, {"a": (1, b"2")})
    assert store.read(path) == {"a": (1, b"2")}
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    content = path.read_bytes()
    for damaged in (b"", content[:20], content[:-1], content[:-1] + b"?", b"x" + content):
        path.write_bytes(damaged)
        assert store.read(path) is None
    (tmp_path / "not a folder").touch()
    assert not store.write(tmp_path / "not a folder" / "file", {})


def test_comparing() -> None:
    plain = {"version": "1", "answer": "a", "handlers": {}, "names": 1, "modules": {"m": "1"}}
    assert warming.compare(plain, plain) == []
    assert warming.compare(plain, plain | {"modules": {"m": "2"}}) == ["names of m"]
    assert warming.compare(plain, plain | {"modules": {}}) == ["names of m"]
    assert warming.compare(plain, plain | {"answer": "b"}) == ["answer: a plain, b accelerated"]


def test_the_profile() -> None:
    text = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       100 |        100 |   a.b\nnoise\n"
        "import time:      2000 |       2100 | a\nimport time:        30 |         30 | c\n"
    )
    told = {
        "modules": 3,
        "seconds": 0.5,
        "features": [{"name": "imports.lazy", "state": "active", "reason": "imported since"}],
        "forced": [{"feature": "imports.lazy", "seconds": 0.25, "thread": "T", "place": "x.py:3"}],
    }
    found = profiling.parse(text, told)
    assert found.packages == {"a": (2100, 2), "c": (30, 1)}
    lines = profiling.lines(found, 1)
    assert "imports.lazy       active: imported since" in lines
    assert "imports.lazy       asked for after 250 ms CPU by x.py:3 (T)" in lines
    assert [line for line in lines if line.endswith(" a")] and lines[-1].endswith("2.0  a")


def test_who_asked_is_noted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    entries: list[journal.Entry] = []
    monkeypatch.setattr(journal, "entries", entries)
    journal.note("a")
    journal.note("a")
    (entry,) = entries
    assert cast(str, entry.place).startswith(__file__)


@pytest.mark.parametrize(
    ("of_lazy", "imported", "state", "reason"),
    [
        (feature.ACTIVE, False, feature.WAITING, ""),
        (feature.OFF, False, feature.OFF, "needs imports.lazy"),
        (feature.OFF, True, feature.OFF, "openai is imported with CrewAI"),
    ],
)
def test_types_wait_only_for_an_openai_whose_import_is_seen(
    of_lazy: str, imported: bool, state: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CrewAI 1.12 doesn't import openai itself, and there nothing is left out."""
    for known, said in ((reexports.REEXPORTS, feature.WAITING), (lazy.LAZY, of_lazy)):
        monkeypatch.setattr(known, "state", said)
        monkeypatch.setattr(known, "reason", "")
    monkeypatch.delitem(sys.modules, "openai", raising=False)
    if imported:
        monkeypatch.setitem(sys.modules, "openai", sys)
    reexports.executed("crewai")
    assert (reexports.REEXPORTS.state, reexports.REEXPORTS.reason) == (state, reason)
