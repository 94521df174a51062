"""Which rows of the task log are decoded before a new one is written."""

import json
import sqlite3
import sys
from contextlib import closing

import pytest
from crewai.memory.storage import kickoff_task_outputs_storage as stored
from crewai.utilities.task_output_storage_handler import TaskOutputStorageHandler
from hypothesis import given
from hypothesis import strategies as st

import fast_crewai
from fast_crewai import _core, engine
from fast_crewai.hooks.areas import own_json

_INSERT = "INSERT INTO latest_kickoff_task_outputs VALUES ('old', 'k', 'e', ?, 9, '{}', 0, '2020')"
_DEEP = "[" * 60 + "]" * 60


@pytest.fixture(scope="module")
def sides():
    fast_crewai.install()
    state = engine.registry().states["tasks.output-log"]
    yield state.dispatcher.attribute.__wrapped__, state.dispatcher.attribute, state.tally
    fast_crewai.uninstall()


class _Task:
    id, key, expected_output = "new", "key", "an answer"


def _handler(folder, text):
    folder.mkdir()
    handler = TaskOutputStorageHandler.__new__(TaskOutputStorageHandler)
    handler.storage = stored.KickoffTaskOutputsSQLiteStorage(str(folder / "log.db"))
    with closing(sqlite3.connect(handler.storage.db_path)) as connection, connection:
        connection.execute(_INSERT, (text,))
    return handler


def _update(function, handler):
    log = {"task": _Task, "output": {}, "task_index": 0, "inputs": {}, "was_replayed": False}
    try:
        return function(handler, 0, log)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.skipif(not hasattr(sys, "set_int_max_str_digits"), reason="no such limit")
def test_the_limit_of_digits_counts(sides, tmp_path):
    original, fast, tally = sides
    number, limit, calls = f"[{'7' * 5000}]", sys.get_int_max_str_digits(), tally.calls
    try:
        sys.set_int_max_str_digits(0)
        assert _update(fast, _handler(tmp_path / "before", number)) is None
        sys.set_int_max_str_digits(4300)
        expected = _update(original, _handler(tmp_path / "plain", number))
        assert expected is not None
        assert _update(fast, _handler(tmp_path / "fast", number)) == expected
    finally:
        sys.set_int_max_str_digits(limit)
    assert tally.calls == calls + 2


@pytest.mark.parametrize("how", ["decoder", "method", "attribute", "scanner", "loads"])
def test_a_replaced_decoder_decodes(sides, tmp_path, monkeypatch, how):
    original, fast, _ = sides
    assert _update(fast, _handler(tmp_path / "before", '{"seen": 1}')) is None
    seen = []

    def refuse(*arguments, **_options):
        seen.append(arguments[-1] if how != "scanner" else arguments[0])
        raise RuntimeError("no")

    class Decoder(json.JSONDecoder):
        decode = refuse

    decoder = json._default_decoder
    if how == "decoder":
        monkeypatch.setattr(json, "_default_decoder", Decoder())
    elif how == "method":
        monkeypatch.setattr(json.JSONDecoder, "decode", refuse)
    elif how == "attribute":
        monkeypatch.setattr(decoder, "decode", refuse, raising=False)
    elif how == "scanner":
        monkeypatch.setattr(decoder, "scan_once", refuse)
    else:
        monkeypatch.setattr(json, "loads", refuse)
    expected = _update(original, _handler(tmp_path / "plain", '{"seen": 1}'))
    plainly = list(seen)
    seen.clear()
    assert _update(fast, _handler(tmp_path / "fast", '{"seen": 1}')) == expected
    assert seen == plainly != []


def test_only_what_might_raise_is_decoded(sides, tmp_path, monkeypatch):
    _, fast, _ = sides
    decoded = []
    monkeypatch.setattr(
        json, "loads", lambda text: decoded.append(text) or json.JSONDecoder().decode(text)
    )
    monkeypatch.setattr(own_json, "_reads", own_json._reader())  # as if it were Python's
    for number, text in enumerate(('{"sure": 1}', "[NaN]", _DEEP)):
        assert _update(fast, _handler(tmp_path / str(number), text)) is None
    assert decoded == ["[NaN]", "{}", _DEEP, "{}"]


_WORDS = st.sampled_from(
    [*'{}[],:"', '{"a": ', "[1, ", '"b"', '"\\ud800"', "true", "null", "-1.5e+7", "01", "1.", "NaN",
     "Infinity", "\\", "\\x", "\n", "\t", "\x0b", "\x00", "\ufeff", "é\xa0", " ",
     "7" * 601, "7" * 4301]
)  # fmt: skip
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
_TEXTS = st.one_of(
    st.lists(_WORDS, max_size=12).map("".join),
    st.builds(json.dumps, _VALUES, ensure_ascii=st.booleans(), indent=st.none() | st.just(1)),
    st.tuples(st.builds(json.dumps, _VALUES), st.integers(0), _WORDS).map(
        lambda made: made[0][: made[1] % (len(made[0]) + 1)] + made[2]
    ),
    st.text(),
    st.sampled_from([None, 1, b"{}", ["{}"]]),
)


@given(st.lists(st.tuples(_TEXTS, _TEXTS, st.just("{")), max_size=5))
def test_rows_that_are_left_out_can_be_decoded(rows):
    found = _core.rows_to_decode(rows, [0, 1])
    left = iter(found)
    awaited = next(left, None)
    for row in rows:  # in their order
        if row is awaited:
            awaited = next(left, None)
            continue
        for text in row[:2]:
            json.loads(text)
    assert awaited is None


@given(_VALUES)
def test_what_crewai_writes_is_not_decoded(value):
    text = json.dumps(value)
    odd = "NaN" in text or "Infinity" in text
    assert odd or _core.rows_to_decode([(text,)], [0]) == []


def test_much_text_is_checked_without_the_gil_in_the_same_way():
    rows = [(json.dumps("x" * 100),) for _ in range(1000)]
    rows[500:502] = [("x",), ("[" * 51 + "]" * 51,)]
    assert _core.rows_to_decode(rows, [0]) == rows[500:502]
    assert _core.rows_to_decode([(1, "{}"), ("{}",), [1, "{}"]], [1]) == [("{}",), [1, "{}"]]
