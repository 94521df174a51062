"""What the import compiles from texts is what Python compiles, and only while it lasts."""

import builtins
import dataclasses
import keyword
import threading
import types
import typing
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fast_crewai import engine
from fast_crewai.hooks import store
from fast_crewai.imports import texts

pytestmark = pytest.mark.usefixtures("own_store")

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True).filter(
    lambda name: not keyword.iskeyword(name) and not name.startswith("__")
)
OPTIONS = ("init", "repr", "eq", "order", "frozen", "unsafe_hash")
KINDS = (int, "str | None", list[int], "typing.ClassVar[int]", dataclasses.InitVar[int], Any)


def names(module: types.ModuleType) -> tuple[bool, bool]:
    return "exec" in vars(module), "compile" in vars(module)


def functions(cls: type) -> dict[str, Any]:
    """The code of a class's methods, and what goes with it."""
    found = {}
    for name, value in vars(cls).items():
        value = getattr(value, "__wrapped__", value)
        if isinstance(value, types.FunctionType):
            code = value.__code__
            found[name] = (
                (code, code.co_name, code.co_filename, [*code.co_lines()], code.co_flags),
                (value.__defaults__, value.__kwdefaults__, value.__qualname__, value.__module__),
                ({**value.__annotations__}, value.__globals__ is globals()),
            )
    return found


@given(
    st.dictionaries(NAMES, st.sampled_from(KINDS), max_size=6),
    st.sets(NAMES),
    st.fixed_dictionaries({name: st.booleans() for name in OPTIONS}),
    st.booleans(),
)
def test_data_classes(
    fields: dict[str, Any], defaults: set[str], options: dict[str, bool], slots: bool
) -> None:
    ordered = sorted(fields, key=lambda name: name in defaults)
    options["eq"] |= options["order"]

    def made() -> Any:
        space = {"__annotations__": {name: fields[name] for name in ordered}}
        space |= {name: 1 for name in ordered if name in defaults}
        cls = type("Made", (), {**space, "__module__": __name__})
        try:
            return functions(dataclasses.dataclass(cls, slots=slots, **options))
        except Exception as error:
            return type(error), str(error)

    plain = made()
    window = texts.begin()
    assert window is not None and texts.begin() is None
    try:
        assert made() == plain  # compiled
        assert made() == plain  # remembered
    finally:
        window.end(True)
    assert (names(dataclasses), names(typing)) == ((False, False), (False, False))
    assert made() == plain


PARTS = st.sampled_from(
    [
        *("int", "str", "None", "True", "a.b", "[", "]", " | ", ", ", "list[int]", "'x'", "1"),
        *(" is ", "(", ")", "\\d", "Literal['a']", "lambda: 1", " ", "=", ":=", "-", "0x1l"),
        *("é", "if", "*"),
    ]
)


@given(st.lists(PARTS, min_size=1, max_size=6).map("".join))
def test_annotations(text: str) -> None:
    def made() -> Any:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                code = typing.ForwardRef(text).__forward_code__
                result: Any = code, code.co_filename, code.co_flags, [*code.co_positions()]
            except Exception as error:
                result = type(error), str(error), getattr(error, "args", None)
        return result, [(str(w.message), w.category) for w in caught]

    plain = made()
    window = texts.begin()
    assert window is not None
    try:
        assert [made(), made()] == [plain, plain]
    finally:
        window.end(True)


@given(st.text(alphabet="aA0_ .,|[]", max_size=2000))
def test_long_annotations_take_no_longer(text: str) -> None:
    """An expression that looks for repetitions in repetitions would not end here."""
    assert texts._SIMPLE(text * 50 + "!") is None
    texts._WARNED(text * 50)


def test_each_function_has_its_own_code() -> None:
    def made() -> Any:
        cls: Any = dataclasses.make_dataclass("Made", [("a", int)])
        return cls.__init__.__code__

    window = texts.begin()
    assert window is not None
    codes = [made() for _ in range(3)]
    window.end(True)
    assert codes[0] == codes[1] == codes[2]
    assert len(set(map(id, codes))) == 3


def test_what_earlier_runs_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> Any:
        return functions(dataclasses.make_dataclass("Made", [("a", int), ("b", str, "c")]))

    compiled: list[str] = []
    original = texts._compiled
    monkeypatch.setattr(texts, "_compiled", lambda s, m: compiled.append(s) or original(s, m))
    for number in range(2):
        window = texts.begin()
        assert window is not None
        answers = [made(), made()]
        window.end(True)
        store.save()
        monkeypatch.setattr(store, "_entries", None)  # another process
        assert answers[0] == answers[1]
        assert bool(compiled) is (number == 0)
        compiled.clear()


def test_others_functions_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def run(source: Any, *namespaces: Any) -> None:
        calls.append(type(source))
        exec(source, *namespaces)

    monkeypatch.setattr(dataclasses, "exec", run, raising=False)
    window = texts.begin()
    assert window is not None and vars(dataclasses)["exec"] is run
    dataclasses.make_dataclass("Made", ["a"])
    window.end(True)
    assert vars(dataclasses)["exec"] is run and set(calls) == {str}


def test_replaced_builtins_get_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    original, seen = builtins.exec, []

    def run(source: Any, *namespaces: Any) -> None:
        seen.append(type(source))
        original(source, *namespaces)

    monkeypatch.setattr(builtins, "exec", run)
    window = texts.begin()  # for annotations only
    assert names(dataclasses) == (False, False) and names(typing) == (False, True)
    dataclasses.make_dataclass("Made", ["a"])
    assert window is not None
    window.end(True)
    assert set(seen) == {str}


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    store._place.cache_clear()
    monkeypatch.setattr(store, "_entries", None)
    window = texts.begin()
    assert window is not None
    made: Any = dataclasses.make_dataclass("Made", ["a"])
    store.save()
    window.end(True)
    assert made(1) == made(1)


def test_long_texts_have_no_options_of_ours() -> None:
    def made() -> Any:
        fields = [(f"field_{number}", int) for number in range(600)]
        return functions(dataclasses.make_dataclass("Made", fields))

    plain = made()
    window = texts.begin()
    assert window is not None
    try:
        assert made() == plain
        code = vars(typing)["compile"]("a", "file", "eval")
        assert code.co_flags == compile("a", "file", "eval", dont_inherit=True).co_flags
    finally:
        window.end(True)


@pytest.mark.parametrize("text", ["[int][str, int]", "...[int]", "... [int]", "[int] [None]"])
def test_each_annotation_warns(text: str) -> None:
    window = texts.begin()
    assert window is not None
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(3):
                typing.ForwardRef(text)
    finally:
        window.end(True)
    assert [w.category for w in caught] == [SyntaxWarning] * 3


def test_other_threads_are_left_alone() -> None:
    def made() -> Any:
        return functions(dataclasses.make_dataclass("Other", [("a", "list[int]")]))

    answers: list[Any] = []
    window = texts.begin()
    assert window is not None
    try:
        thread = threading.Thread(target=lambda: answers.append(made()))
        thread.start()
        thread.join()
        assert not store._used and not store._new
        assert made() == answers[0] and store._new
    finally:
        window.end(True)


def test_no_more_than_an_import_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "_MOST", 10)
    window = texts.begin()
    assert window is not None
    try:
        made = [dataclasses.make_dataclass("Made", [(f"field_{n}", int)]) for n in range(20)]
    finally:
        window.end(True)
    assert len(store._used) == 10
    assert [repr(cls(n)) for n, cls in enumerate(made)] == [
        f"Made(field_{n}={n})" for n in range(20)
    ]


@pytest.mark.parametrize("name", ["exec", "compile"])
def test_builtins_replaced_meanwhile(name: str) -> None:
    """Whoever replaces one, sees each text as without us, and none that isn't his."""

    def made(seen: list[Any]) -> None:
        original = getattr(builtins, name)

        def replaced(source: Any, *rest: Any, **options: Any) -> Any:
            seen.append(source)
            return original(source, *rest, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(builtins, name, replaced)
            dataclasses.make_dataclass("Made", [("a", "list[int]")])
            typing.ForwardRef("list[int]")

    def begun(seen: list[Any]) -> None:
        window = texts.begin()
        assert window is not None
        try:
            typing.ForwardRef("list[int]")
            made(seen)
            made(seen)
        finally:
            window.end(True)

    plain: list[Any] = []
    ours: list[Any] = []
    made(plain)
    begun(ours)
    assert plain and ours == plain * 2


def test_two_threads_end_it() -> None:
    class Late(list[Any]):
        def pop(self, *_: Any) -> Any:
            super().clear()
            return super().pop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "_changed", Late([(dataclasses, "exec", None)]))
        texts.end()


def test_what_else_is_ended() -> None:
    """An interrupt at the end of one leaves nothing of the others behind."""
    done: list[bool] = []

    def interrupted(_: bool) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine._Ends(interrupted, None, done.append, done.append).end(True)
    assert done == [True, True]
