"""A regular expression that the import compiles is the one that Python compiles."""

import dataclasses
import re
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fast_crewai.hooks import store
from fast_crewai.imports import patterns, texts

compiling: Any = patterns.module()
pytestmark = [
    pytest.mark.skipif(compiling is None, reason="Python before 3.11 has another module"),
    pytest.mark.usefixtures("own_store"),
]

PARTS = st.sampled_from(
    [
        *("a", "é", "ß", "İ", "k", " ", "\n", "#", "1", "(", ")", "(?:", "(?P<x>", "(?P<y>"),
        *("(?P=x)", "(?i)", "(?s:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?(x)", "(?#", "(?L)"),
        *("(?u)", "(?a:", "[", "]", "^", "-", "[^", "a-z", "&", "~", "|", "--", "||", "\\d", "\\W"),
        *("\\b", "\\Z", "\\1", "\\x41", "\\N{DIGIT ONE}", "\\", "*", "+", "?", "*+", "{2}"),
        *("{1,3}", "{", ".", "$"),
    ]
)  # fmt: skip
_NAMES = ("IGNORECASE", "MULTILINE", "DOTALL", "VERBOSE", "ASCII", "LOCALE", "UNICODE", "TEMPLATE")
_SINGLE = [getattr(re, name, re.RegexFlag(0)) for name in _NAMES]
FLAGS = st.sampled_from([re.RegexFlag(0), *_SINGLE, re.IGNORECASE | re.VERBOSE])
SAMPLES = ("", "a", "aA1", "ab\nk é ß", "K İ--||1", "xx a1 a1")


def shown(pattern: Any, flags: Any) -> Any:
    """What is compiled, what it finds, and what is told."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            made = compiling.compile(pattern, flags)
            found = [[m.span(), m.groups()] for text in SAMPLES for m in made.finditer(text)]
            names = dict(made.groupindex), type(made.groupindex)
            result: Any = (
                made,
                made.pattern,
                made.flags,
                type(made.flags),
                made.groups,
                names,
                found,
            )
        except Exception as error:
            told = str(error), repr(error.__cause__), repr(error.__context__)
            result = type(error), told, vars(error)
    return result, [(str(w.message), w.category) for w in caught]


def forget() -> None:
    """As another process, which finds what this one has stored."""
    store.save()
    store._entries = None


@given(st.lists(PARTS, max_size=8).map("".join), FLAGS.map(int))
@example("[[a]", 0)
@example("[a--b]", 0)
@example("(a)(?(+1)b|c)", 0)
@example("[^[a]]|(?P<x>a)(?P=x)?", 2)
def test_the_same_pattern(pattern: str, flags: int) -> None:
    plain = shown(pattern, flags)
    window = texts.begin()
    assert window is not None and compiling.compile.__module__ == patterns.__name__
    try:
        assert shown(pattern, flags) == plain  # compiled
        forget()
        assert shown(pattern, flags) == plain  # remembered
    finally:
        window.end(True)
    assert compiling.compile.__module__ == "re._compiler"


@given(st.one_of(st.binary(max_size=5), st.none(), st.integers()), FLAGS)
def test_others_are_left_to_python(pattern: Any, flags: Any) -> None:
    before = dict(store._used)
    plain = shown(pattern, flags)
    window = texts.begin()
    assert window is not None
    try:
        assert shown(pattern, flags) == plain
    finally:
        window.end(True)
    assert store._used == before


def within(work: Callable[[], Any]) -> Any:
    window = texts.begin()
    assert window is not None
    try:
        return work()
    finally:
        window.end(True)


def test_no_pattern_is_parsed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    parser, parsed = compiling._parser, []
    original = parser.Tokenizer  # one for each pattern that is parsed

    def tokenizer(*arguments: Any) -> Any:
        parsed.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(parser, "Tokenizer", tokenizer)
    made = [within(lambda: compiling.compile("(?P<x>no)such+", 0)) for _ in range(3)]
    forget()
    made.append(within(lambda: compiling.compile("(?P<x>no)such+", 0)))
    assert len(parsed) == 1
    assert len(set(made)) == 1 and len(set(map(id, made))) == 4
    assert [m.match("nosuch").groupdict() for m in made] == [{"x": "no"}] * 4


def test_entries_that_are_damaged() -> None:
    plain = compiling.compile("a+b", 0)
    assert within(lambda: compiling.compile("a+b", 0)) == plain
    wrong: list[Any] = [
        (0, [1, 2, 3], 0, {}, (None,)),
        (0, "x", 0, {}, ()),
        (0, [], 0, {}, (None,)),
    ]
    for value in (None, (), ("a+b",), *wrong, *(("a+b", *each) for each in wrong)):
        for key in store._load():
            store._load()[key] = __import__("marshal").dumps(value)
        assert within(lambda: compiling.compile("a+b", 0)) == plain


def test_other_threads_and_afterwards() -> None:
    kept: list[Any] = []

    def elsewhere() -> None:
        kept.append(compiling.compile)
        kept.append(compiling.compile("other+", 0))

    def work() -> None:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    within(work)
    assert kept[1] == compiling.compile("other+", 0)
    assert not store._used
    assert kept[0]("later+", 0) == compiling.compile("later+", 0)  # whoever has taken it


def test_somebody_elses_function_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    original = compiling.compile

    def compile_pattern(p: Any, flags: Any = 0) -> Any:
        return original(p, flags)

    monkeypatch.setattr(compiling, "compile", compile_pattern)
    assert patterns.module() is None
    within(lambda: compiling.compile("mine+", 0))
    assert compiling.compile is compile_pattern
    assert not store._used


def test_no_more_than_an_import_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_MOST", 5)
    within(lambda: [compiling.compile(f"{number}+", 0) for number in range(20)])
    assert len(store._used) == 5


@pytest.mark.parametrize("pattern", ["[[a]b", "a(?:b|[+--])", "(a)(?(+1)b|c)"])
def test_a_warning_tells_the_same_line(pattern: str) -> None:
    def told() -> Any:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2):
                re.purge()
                try:
                    re.compile(pattern)
                except re.error as error:  # the last one, from Python 3.12 on
                    return str(error)
        return [(str(w.message), w.category, w.filename, w.lineno) for w in caught]

    plain = told()
    assert plain == within(told) == within(told)


def test_it_keeps_the_very_text() -> None:
    text = "".join(["the", "very+"])
    for _ in range(2):
        assert within(lambda: compiling.compile(text, 0)).pattern is text
        forget()


@pytest.mark.parametrize(
    ("name", "before"),
    [
        *(("_parser.parse", True), ("_parser.parse", False), ("_parser._parse", True)),
        *(("_code", True), ("_code", False)),
    ],
    ids=["parse-before", "parse-meanwhile", "inner-before", "code-before", "code-meanwhile"],
)
def test_somebody_elses_parser(monkeypatch: pytest.MonkeyPatch, name: str, before: bool) -> None:
    """It is called, and what it makes is nobody else's."""
    *inside, function = name.split(".")
    owner = getattr(compiling, inside[0]) if inside else compiling
    original, called = getattr(owner, function), []

    def somebodys(*arguments: Any, **options: Any) -> Any:
        called.append(name)
        return original(*arguments, **options)

    def work() -> None:
        monkeypatch.setattr(owner, function, somebodys)
        compiling.compile("thing+", 0)

    within(lambda: compiling.compile("thing+", 0))  # remembered
    if before:
        monkeypatch.setattr(owner, function, somebodys)
    known = dict(store._used)
    within(work)
    assert called
    assert store._used == known


def test_whoever_has_taken_it_has_pythons_afterwards() -> None:
    kept = within(lambda: compiling.compile)
    assert kept("taken+", 0) == compiling.compile("taken+", 0)
    assert not store._used


def test_an_interrupt_while_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(patterns, "compiler", interrupted)
    with pytest.raises(KeyboardInterrupt):
        texts.begin()
    assert not texts._changed
    assert "exec" not in vars(dataclasses)


@pytest.mark.parametrize(
    "kind", [TimeoutError, type("Stop", (Exception,), {})], ids=["time", "own"]
)
def test_what_a_signals_handler_raises(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    """It may come while a pattern is parsed, and must arrive."""
    original = compiling._parser.Tokenizer
    raised: list[Exception] = []

    def tokenizer(*arguments: Any) -> Any:
        if not raised:
            raised.append(kind("it was too long"))
            raise raised[0]
        return original(*arguments)

    monkeypatch.setattr(compiling._parser, "Tokenizer", tokenizer)
    with pytest.raises(kind) as caught:
        within(lambda: compiling.compile("long+", 0))
    assert caught.value is raised[0]


@pytest.mark.parametrize("arguments", [(), ("a", 0, 1), (None,), ("a", None), ("a", 1.5), ("(",)])
def test_wrong_arguments(arguments: tuple[Any, ...]) -> None:
    def told() -> tuple[Any, ...]:
        with pytest.raises(Exception) as caught:
            compiling.compile(*arguments)
        return caught.type, str(caught.value), repr(caught.value.__context__)

    plain = told()
    assert within(told) == plain
