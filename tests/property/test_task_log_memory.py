"""Texts of the task log that one storage has decoded, and another one meets again."""

import json
import sqlite3
import sys
from contextlib import closing

import pytest
from crewai.memory.storage import kickoff_task_outputs_storage as stored
from crewai.utilities.task_output_storage_handler import TaskOutputStorageHandler

import fast_crewai
from fast_crewai import engine
from fast_crewai.hooks.areas import task_log

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


def test_what_is_nested_deeply_is_decoded_each_time():
    """What is left of the stack may decide."""

    class Storage:
        db_path = _lock_name = "nowhere"

    session = task_log._Session(Storage, frozenset())
    session.decode(_DEEP)
    session.decode("[[1]]")
    assert session.seen == {"[[1]]"}


def test_another_storage_meets_texts_again(sides, tmp_path, monkeypatch):
    _, fast, _ = sides
    decoded = []
    monkeypatch.setattr(
        task_log, "_loads", lambda text: decoded.append(text) or json.JSONDecoder().decode(text)
    )
    monkeypatch.setattr(json, "loads", task_log._loads)
    text = '{"met": "again"}'
    for name in ("one", "two"):
        assert _update(fast, _handler(tmp_path / name, text)) is None
    assert decoded.count(text) == 1
