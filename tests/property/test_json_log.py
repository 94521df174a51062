"""A JSON log: when only its end is written, and that others' changes are seen."""

import builtins
import json
import os

import pytest
from crewai.utilities.file_handler import FileHandler

import fast_crewai
from fast_crewai.hooks.dispatch import is_active


@pytest.fixture(scope="module", autouse=True)
def installed():
    fast_crewai.install()
    yield
    fast_crewai.uninstall()


@pytest.fixture
def ends(monkeypatch):
    """The ends that have been written."""
    written = []
    pwrite = os.pwrite

    def noting(file, content, place):
        written.append(bytes(content))
        return pwrite(file, content, place)

    monkeypatch.setattr(os, "pwrite", noting)
    return written


def tasks(path):
    text = path.read_text("utf-8")
    assert text == json.dumps(json.loads(text), indent=4) + "\n"
    return [entry["task"] for entry in json.loads(text)]


def test_from_the_second_entry_on_only_the_end_is_written(tmp_path, ends):
    assert is_active(FileHandler.log)
    path = tmp_path / "log.json"
    handler = FileHandler(str(path))
    for number in range(5):
        handler.log(task=str(number))
    assert tasks(path) == list("01234")
    assert len(ends) == 4
    assert all(len(end) < 100 for end in ends)


def test_entries_of_other_processes(tmp_path, ends):
    path = tmp_path / "log.json"
    handler, plain = FileHandler(str(path)), FileHandler.log.__wrapped__
    for number in range(6):
        (plain if number % 2 else FileHandler.log)(handler, task=str(number))
    assert tasks(path) == list("012345")
    assert len(ends) == 2


@pytest.mark.parametrize("change", ["now", "NOW", "while open"])
def test_what_is_changed_by_hand_is_written_as_crewai_does(tmp_path, ends, change):
    path = tmp_path / "log.json"
    handler = FileHandler(str(path))
    handler.log(task="a")
    handler.log(task="b")
    if change != "while open":
        path.write_text(path.read_text("utf-8").replace('"a"', f"{'x' if change == 'now' else 1}"))
        if change == "NOW":
            handler.log(task="c")
            assert tasks(path) == [1, "b", "c"]
        else:  # no JSON any more
            handler.log(task="c")
            assert tasks(path) == ["c"]
        assert len(ends) == 1
        return

    class Odd(dict):
        def items(self):
            path.write_text("somebody's")
            return super().items()

    handler.log(task=Odd(c=1))
    assert tasks(path) == ["a", "b", {"c": 1}]  # CrewAI overwrites it, too
    assert len(ends) == 1


def test_an_entry_that_reads_otherwise_than_it_was_written(tmp_path, ends):
    path = tmp_path / "log.json"
    handler = FileHandler(str(path))
    for task in ("a", "b", {1: "x", "1": "y"}):
        handler.log(task=task)
    assert path.read_text("utf-8").count('"1"') == 2  # json.dumps writes both
    handler.log(task="c")
    assert tasks(path) == ["a", "b", {"1": "y"}, "c"]
    assert len(ends) == 1


def test_the_exception_of_an_entry_that_is_no_json(tmp_path):
    handler = FileHandler(str(tmp_path / "log.json"))
    for function in (FileHandler.log, FileHandler.log.__wrapped__):
        handler.log(task="a")
        with pytest.raises(ValueError, match="not JSON serializable") as caught:
            function(handler, task={1, 2})
        cause = caught.value.__cause__
        assert type(cause) is TypeError
        assert cause.__context__ is None
    assert tasks(tmp_path / "log.json") == ["a", "a"]


def test_a_file_that_is_removed_meanwhile_is_made_again(tmp_path, ends):
    path = tmp_path / "log.json"
    handler = FileHandler(str(path))
    handler.log(task="a")

    class Odd(dict):
        def items(self):
            path.unlink(missing_ok=True)
            return super().items()

    handler.log(task=Odd(b=1))
    assert tasks(path) == ["a", {"b": 1}]
    assert not ends


def test_opening_that_is_replaced_gets_crewais_calls(tmp_path, ends, monkeypatch):
    calls, plain = [], builtins.open

    def noting(file, mode="r", **options):
        calls.append(mode)
        return plain(file, mode, **options)

    handler = FileHandler(str(tmp_path / "log.json"))
    handler.log(task="a")
    monkeypatch.setattr(builtins, "open", noting)
    handler.log(task="b")
    assert calls[-2:] == ["r", "w"]  # before: the lock
    assert not ends
    assert tasks(tmp_path / "log.json") == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "name"), [(json.JSONEncoder, "encode"), (json.JSONDecoder, "decode")]
)
def test_a_replaced_coder_gets_the_whole_log(tmp_path, ends, monkeypatch, kind, name):
    sizes, plain = [], getattr(kind, name)

    def noting(self, value, *rest):
        sizes.append(len(value))
        return plain(self, value, *rest)

    handler = FileHandler(str(tmp_path / "log.json"))
    handler.log(task="a")
    handler.log(task="b")
    ends.clear()
    monkeypatch.setattr(kind, name, noting)
    handler.log(task="c")
    size = 3 if name == "encode" else (tmp_path / "log.json").read_text().index('"c"') // 2
    assert len(sizes) == 1
    assert sizes[0] >= size
    assert not ends


def test_deep_entries_are_read_by_crewai(tmp_path, ends):
    value = "x"
    for _ in range(60):
        value = [value]
    handler = FileHandler(str(tmp_path / "log.json"))
    for _ in range(3):
        handler.log(task="a", metadata=value)
    assert tasks(tmp_path / "log.json") == ["a"] * 3
    assert not ends
