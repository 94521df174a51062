"""Which rows of the task log are decoded before a new one is written."""

import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from crewai.memory.storage import kickoff_task_outputs_storage as stored
from crewai.utilities.task_output_storage_handler import TaskOutputStorageHandler
from hypothesis import example, given
from hypothesis import strategies as st

import fast_crewai
from fast_crewai import _core, engine
from fast_crewai.hooks.areas import own_json, task_log

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


_JSON = st.sampled_from(["{}", '{"raw": "é"}', "[1, 2]", '"x"', "null", " [ ] ", "true"])
_CELLS = _JSON | _TEXTS.filter(lambda text: not isinstance(text, list))
_ODD = st.sampled_from(
    ["7", 7, -7, 1.5, float("inf"), None, b"{}", b"\xff", b"\x01", "{}\x01{}", "[\x01]", "\x01", ""]
)
# What isn't UTF-8 comes in as bytes and is called a text.
_RAW = st.sampled_from([b"{}", b"\xff", b'"\xc3"', b'"\xed\xa0\x80"', b"\x01", b"7", b"k\x00"])
_OTHERS = st.one_of(st.just("k"), st.just("k"), st.text(), _ODD)
_ROWS = st.lists(
    st.tuples(
        *[_OTHERS] * 3,
        st.one_of(*[_JSON] * 6, _CELLS, _ODD),
        st.one_of(st.integers(-9, 9), st.integers(-9, 9), _OTHERS),
        st.one_of(*[_JSON] * 6, _CELLS, _ODD),
        *[st.one_of(st.just(False), _OTHERS)] * 2,
    ),
    max_size=6,
)


def _surrogates(value):
    return isinstance(value, str) and any("\ud800" <= one <= "\udfff" for one in value)


@given(
    _ROWS.filter(lambda rows: not any(_surrogates(cell) for row in rows for cell in row)),
    st.none() | st.tuples(st.integers(0, 7), st.integers(0, 5), _RAW),
    st.sampled_from(["", "UTF-16", "TEXT", "COLLATE"]),
)
@example(
    [("k", "k", "k", "{}\x01{}", 0, None, 0, 0), ("k", "k", "k", None, 0, "{}\x01{}", 0, 0)],
    None,
    "",
)
def test_a_large_table_is_read_in_one_row(sides, rows, raw, odd):
    compare(sides, rows, raw, odd)


_PLAIN = ("k", "k", "k", "{}", 1, "{}", False, "2020")


@pytest.mark.parametrize("column", range(8))
@pytest.mark.parametrize("value", [b"\xff", b"\xed\xa0\x80", b"{}\x01{}", None, 7, b"[NaN]"])
def test_one_odd_cell_of_a_large_table(sides, column, value):
    raw = (column, 2, value) if isinstance(value, bytes) else None
    odd = [*_PLAIN]
    if raw is None:
        odd[column] = value
    compare(sides, [_PLAIN, odd, _PLAIN], raw, "")
    # as many texts as there are cells
    other = [*_PLAIN[:3], "{}\x01{}", 1, "{}\x01{}", *_PLAIN[6:]]
    compare(sides, [_PLAIN, odd, other], raw, "")


def compare(sides, rows, raw, odd):
    original, fast, _ = sides
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    seen, answers = [], []
    with tempfile.TemporaryDirectory(dir=place) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_log, "_MANY", 0)
        are_plain = task_log.are_plain
        patch.setattr(task_log, "are_plain", lambda c: seen.append(are_plain(c)) or seen[-1])
        for name, function in (("plain", original), ("fast", fast)):
            handler = _stored(Path(folder, name), rows, raw, odd)
            answers.append(_update(function, handler))
            with closing(sqlite3.connect(handler.storage.db_path)) as connection:
                connection.text_factory = bytes
                found = connection.execute(f"SELECT {_COLUMNS} FROM {_TABLE} ORDER BY rowid")
                answers.append(repr(found.fetchall()))
            answers.append(sorted(file.name for file in Path(folder, name).iterdir()))
    assert answers[:3] == answers[3:]
    assert seen and not (seen[0] and answers[0])
    if raw is None and not odd and all(_is_simple(row) for row in rows):
        assert seen == [True]


def _is_simple(row):
    texts = all(isinstance(cell, str) and "\x01" not in cell for cell in row[:3])
    return texts and {row[3], row[5]} <= {"{}", "[1, 2]", "true"}


_TABLE = "latest_kickoff_task_outputs"
_COLUMNS = "task_id, task_key, expected_output, output, task_index, inputs, was_replayed"


def _stored(folder, rows, raw, odd):
    folder.mkdir()
    path = folder / "log.db"
    handler = TaskOutputStorageHandler.__new__(TaskOutputStorageHandler)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.create_collation("LENGTH", lambda a, b: len(a) - len(b))
        if odd == "UTF-16":
            connection.execute("PRAGMA encoding='UTF-16'")
        if odd in ("TEXT", "COLLATE"):  # other types than CrewAI's
            order = "TEXT COLLATE LENGTH" if odd == "COLLATE" else "TEXT"
            columns = _COLUMNS.replace("task_index", f"task_index {order}")
            connection.execute(f"CREATE TABLE {_TABLE} ({columns}, timestamp)")
    handler.storage = stored.KickoffTaskOutputsSQLiteStorage(str(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        for number, row in enumerate(rows):
            row = (f"{number}{row[0]}" if isinstance(row[0], str) else number, *row[1:])
            connection.execute(f"INSERT INTO {_TABLE} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        if raw is not None:
            column, number, value = raw
            names = [*_COLUMNS.split(", "), "timestamp"]
            connection.execute(
                f"UPDATE {_TABLE} SET {names[column]} = CAST(? AS TEXT) WHERE rowid = ?",
                (value, number),
            )
    return handler


def test_a_large_table_makes_no_rows(sides, tmp_path, monkeypatch):
    _, fast, tally = sides
    asked = []
    monkeypatch.setattr(task_log, "unsure", lambda rows: asked.append(len(rows)) or rows)
    handler = _handler(tmp_path / "db", json.dumps("x" * 300_000))
    fallbacks = tally.fallbacks
    assert _update(fast, handler) is None
    assert asked == [0] and tally.fallbacks == fallbacks
    with closing(sqlite3.connect(handler.storage.db_path)) as connection, connection:
        connection.execute(f"UPDATE {_TABLE} SET output = '[NaN]' WHERE task_id = 'new'")
    assert _update(fast, handler) is None
    assert asked == [0, 2]


def test_a_large_table_that_is_locked_is_waited_for_once(monkeypatch):
    class Locked:
        def execute(self, statement):
            raise sqlite3.OperationalError("database is locked")

    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        task_log.are_plain(Locked())


def test_the_cache_of_the_connection_is_as_large_as_before():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE {_TABLE} ({_COLUMNS}, timestamp)")
        for size in (-1234, 5):
            connection.execute(f"PRAGMA cache_size={size}")
            assert task_log.are_plain(connection)
            assert connection.execute("PRAGMA cache_size").fetchall() == [(size,)]
