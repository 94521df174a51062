"""AcceleratedMemoryStorage: one ranking in Rust and Python, and nothing is ever lost."""

import json
import math
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fast_crewai import _core
from fast_crewai.errors import NativeError, StorageError
from fast_crewai.memory import AcceleratedMemoryStorage
from fast_crewai.memory.python import PythonMemoryStorage
from fast_crewai.memory.words import words

SIDES = (True, False)
vocabulary = st.sampled_from(
    ["the", "cat", "Dog", "STRASSE", "straße", "日本", "e\u0301té", "Σας", "1st", "_"]
)
sentences = st.lists(vocabulary, max_size=8).map(" ".join)
anything = st.text(st.characters(exclude_categories=()), max_size=30)
texts = sentences | anything


@given(st.lists(texts, max_size=12), st.lists(texts, min_size=1, max_size=3), st.integers(0, 5))
def test_the_same_ranking_bit_by_bit(saved: list[str], queries: list[str], limit: int) -> None:
    rust, python = _core.RustMemoryStorage(), PythonMemoryStorage()
    for text in saved:
        assert rust.save(text) == python.save(text)
    for query in queries:
        assert rust.search(query, limit, 0.0) == python.search(query, limit, 0.0)
        assert rust.search(query, 99, 0.5) == python.search(query, 99, 0.5)
    assert rust.get_all() == python.get_all() == saved
    assert len(rust) == len(python) == len(saved)


@given(anything)
def test_words_of_all_characters(text: str) -> None:
    """A word is found in Rust if it is one in Python, and nothing else is."""
    rust = _core.RustMemoryStorage()
    rust.save(text)
    for word in {*words(text), "x"}:
        assert bool(rust.search(word)) == (word in words(text))


def test_words_of_every_character() -> None:
    for start in (*range(0, 0x33000, 0x1000), 0xE0000, 0x10F000):
        codes = range(start, start + 0x1000)
        text = " ".join(map(chr, codes))
        rust, python = _core.RustMemoryStorage(), PythonMemoryStorage()
        rust.save(text), python.save(text)
        rust.save(""), python.save("")
        for part in (text[: len(text) // 3], text[len(text) // 3 :]):
            assert rust.search(part) == python.search(part), hex(start)


def naive(saved: list[str], query: str) -> list[tuple[int, float]]:
    """The definition: weights of all terms, cosine of the vectors."""
    counts = [Counter(words(text)) for text in saved]
    terms = set().union(*counts) if counts else set()
    idf = {t: math.log((1 + len(saved)) / (1 + sum(t in c for c in counts))) + 1 for t in terms}

    def unit(count: Counter[str]) -> dict[str, float]:
        weights = {t: n * idf[t] for t, n in count.items() if t in idf}
        norm = math.sqrt(sum(w * w for w in weights.values())) or 1.0
        return {t: w / norm for t, w in weights.items()}

    asked = unit(Counter(words(query)))
    scores = [sum(w * unit(c).get(t, 0.0) for t, w in asked.items()) for c in counts]
    return [(number, score) for number, score in enumerate(scores) if score > 0]


@given(st.lists(sentences, max_size=8), sentences)
def test_it_is_tf_idf_with_cosine(saved: list[str], query: str) -> None:
    for side in SIDES:
        storage = AcceleratedMemoryStorage(use_rust=side)
        for text in saved:
            storage.save(text)
        found = storage.search(query, limit=99, score_threshold=0)
        expected = naive(saved, query)
        assert sorted(item["id"] for item in found) == [number for number, _ in expected]
        for item in found:
            assert item["score"] == pytest.approx(dict(expected)[item["id"]])
        order = [(-item["score"], item["id"]) for item in found]
        assert order == sorted(order)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | anything,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=3),
    max_leaves=5,
)
saves = st.lists(
    st.tuples(plain, st.none() | st.dictionaries(anything, plain, max_size=2)), max_size=6
)


def shown(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: item[key] for key in item if key != "timestamp"} for item in items]


@given(saves, texts, st.sampled_from(SIDES), st.sampled_from(SIDES))
def test_a_file_of_one_is_a_file_of_the_other(
    tmp_path_factory: Any, saved: list[Any], query: str, writer: bool, reader: bool
) -> None:
    path = tmp_path_factory.mktemp("memory") / "a" / "store.jsonl"
    first = AcceleratedMemoryStorage(path=path, use_rust=writer)
    for value, metadata in saved:
        first.save(value, metadata)
    again = AcceleratedMemoryStorage(path=str(path), use_rust=reader)
    assert again.get_all() == first.get_all()
    assert [(item["value"], item["metadata"]) for item in again.get_all()] == [
        (json.loads(json.dumps(value)), json.loads(json.dumps(metadata or {})))
        for value, metadata in saved
    ]
    assert again.search(query, 9, 0.0) == first.search(query, 9, 0.0)


@pytest.mark.parametrize("side", SIDES)
class TestStorage:
    def test_what_a_search_returns(self, side: bool) -> None:
        storage = AcceleratedMemoryStorage("entities", use_rust=side)
        assert storage.implementation == ("rust" if side else "python")
        assert storage.search("anything") == []
        storage.save("Ada wrote the first program", {"who": "Ada", "when": object})
        storage.save({"title": "Programs", "by": ["Grace"]})
        (found,) = storage.search("first PROGRAM")
        assert found.pop("timestamp") > 0 and found.pop("score") > 0.35
        assert found == {
            "id": 0,
            "value": "Ada wrote the first program",
            "content": "Ada wrote the first program",
            "metadata": {"who": "Ada", "when": "<class 'object'>"},
        }
        (found,) = storage.search("grace", limit=1)
        assert found["value"] == {"title": "Programs", "by": ["Grace"]}
        assert len(storage) == 2 and "items=2" in repr(storage)

    def test_arguments(self, side: bool) -> None:
        storage = AcceleratedMemoryStorage(use_rust=side)
        storage.save("a"), storage.save("a")
        assert len(storage.search("a", limit=-5)) == 1
        assert len(storage.search("a", limit=1 << 70, score_threshold=-3)) == 2
        assert len(storage.search("a", score_threshold=7)) == 2  # as 1
        for wrong in ({"limit": "3"}, {"score_threshold": "x"}, {"score_threshold": math.nan}):
            with pytest.raises(ValueError, match="must be"):
                storage.search("a", **wrong)
        with pytest.raises(TypeError):
            storage.search(5)  # type: ignore[arg-type]

    def test_reset(self, side: bool, tmp_path: Path) -> None:
        path = tmp_path / "store.jsonl"
        storage = AcceleratedMemoryStorage(path=path, use_rust=side)
        storage.save("a")
        storage.reset()
        assert len(storage) == 0 and storage.search("a") == [] and path.read_bytes() == b""
        storage.save("b")
        assert [i["value"] for i in AcceleratedMemoryStorage(path=path).get_all()] == ["b"]
        with pytest.raises(StorageError, match="allow_reset"):
            AcceleratedMemoryStorage(allow_reset=False, use_rust=side).reset()

    def test_what_a_killed_process_leaves(self, side: bool, tmp_path: Path) -> None:
        path = tmp_path / "store.jsonl"
        AcceleratedMemoryStorage(path=path, use_rust=side).save("kept é")
        whole = path.read_bytes()
        for cut in range(1, len(whole)):
            path.write_bytes(whole + whole[:cut])
            storage = AcceleratedMemoryStorage(path=path, use_rust=side)
            storage.save("later")
            again = AcceleratedMemoryStorage(path=path, use_rust=not side)
            assert [item["value"] for item in again.get_all()] == ["kept é", "later"]

    @pytest.mark.parametrize("content", [b"[1]\n", b"{}\n", b"\xff\n", b"\n", b"{\n"])
    def test_a_file_of_something_else(self, side: bool, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "store.jsonl"
        path.write_bytes(content)
        with pytest.raises(StorageError, match=r"store\.jsonl"):
            AcceleratedMemoryStorage(path=path, use_rust=side)
        assert path.read_bytes() == content
        with pytest.raises(StorageError):
            AcceleratedMemoryStorage(path=tmp_path, use_rust=side)

    def test_a_full_disk(self, side: bool, tmp_path: Path) -> None:
        path = tmp_path / "store.jsonl"
        subprocess.run([sys.executable, "-c", FULL_DISK, str(path), str(side)], check=True)
        again = AcceleratedMemoryStorage(path=path, use_rust=not side)
        assert [item["value"] for item in again.get_all()] == ["small", "small again"]

    def test_eight_threads(self, side: bool) -> None:
        storage = AcceleratedMemoryStorage(use_rust=side)
        rounds = 250 if side else 25
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for step in range(rounds):
                    saved = storage.save(f"thread{number} step{step} common")
                    if step % 10 == 0:
                        (best,) = storage.search(f"thread{number} step{step}", 1)
                        assert best["id"] == saved
                        assert len(storage.search("common", 5, 0.0)) >= 1
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        [thread.start() for thread in threads], [thread.join() for thread in threads]
        assert not errors
        items = storage.get_all()
        assert len(items) == 8 * rounds and len({i["value"] for i in items}) == 8 * rounds
        assert [i["id"] for i in items] == list(range(8 * rounds))


FULL_DISK = """
import resource, signal, sys
from fast_crewai.errors import StorageError
from fast_crewai.memory import AcceleratedMemoryStorage

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
storage = AcceleratedMemoryStorage(path=sys.argv[1], use_rust=sys.argv[2] == "True")
storage.save("small")
try:
    storage.save("big " * 1000)
except StorageError:
    pass
else:
    raise AssertionError("nothing was raised")
assert len(storage) == 1 and not storage.search("big")
storage.save("small again")
assert storage.search("again")[0]["id"] == 1
"""


class Failing:
    """A native store that fails at a chosen call: before or after it did its work."""

    implementation = "rust"

    def __init__(self, store: Any, method: str, after: bool) -> None:
        self._store, self._method, self._after = store, method, after

    def __len__(self) -> int:
        return len(self._store)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        if name != self._method:
            return real

        def fail(*arguments: Any) -> Any:
            if self._after:
                real(*arguments)
            raise NativeError("panic: injected")

        return fail


@pytest.mark.parametrize("filed", [True, False])
@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("method", ["save", "search", "reset"])
def test_native_code_that_fails(tmp_path: Path, method: str, after: bool, filed: bool) -> None:
    path = tmp_path / "store.jsonl" if filed else None
    storage = AcceleratedMemoryStorage(path=path, use_rust=True)
    storage.save("one fish"), storage.save({"two": "fish"})
    storage._store = Failing(storage._store, method, after)
    if method == "save":
        assert storage.save("red fish") == 2
    elif method == "search":
        assert [item["id"] for item in storage.search("fish", 9, 0.0)] == [0, 1]
    else:
        storage.reset()
    assert storage.implementation == "python"
    values = [item["value"] for item in storage.get_all()]
    expected: dict[str, list[Any]] = {
        "save": ["one fish", {"two": "fish"}, "red fish"],
        "reset": [],
    }
    assert values == expected.get(method, ["one fish", {"two": "fish"}])
    assert storage.save("blue fish") == len(values)
    assert storage.search("blue", 1)[0]["value"] == "blue fish"
    if path is not None:
        assert AcceleratedMemoryStorage(path=path).get_all() == storage.get_all()


def test_native_code_that_fails_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(_path: Any) -> Any:
        raise NativeError("panic: injected")

    path = tmp_path / "store.jsonl"
    AcceleratedMemoryStorage(path=path).save("kept")
    monkeypatch.setattr(_core, "RustMemoryStorage", fail)
    storage = AcceleratedMemoryStorage(path=path)
    assert storage.implementation == "python" and storage.get_all()[0]["value"] == "kept"


@pytest.mark.parametrize(
    ("value", "metadata", "query"),
    [
        ("x y", {"score": math.nan}, "y"),
        ({"a": "Café noir"}, {"lone": "\ud800"}, "café"),
        ({"a": "Café noir", "b": "\ud800"}, {}, "café"),
        ({"a": 1e5, "b": math.inf}, {}, "100000"),
        ([1, "two"], {}, "two"),
    ],
)
@pytest.mark.parametrize("writer", SIDES)
def test_odd_records_are_found_as_before(
    tmp_path: Path, value: Any, metadata: Any, query: str, writer: bool
) -> None:
    path = tmp_path / "store.jsonl"
    storage = AcceleratedMemoryStorage(path=path, use_rust=writer)
    storage.save(value, metadata)
    before = storage.search(query, 3, 0.0)
    for reader in SIDES:
        again = AcceleratedMemoryStorage(path=path, use_rust=reader)
        assert repr(again.search(query, 3, 0.0)) == repr(before), reader
        assert repr(again.get_all()) == repr(storage.get_all())


def test_files_by_another_hand(tmp_path: Path) -> None:
    path = tmp_path / "store.jsonl"
    path.write_bytes(
        b'"a b"\r\n{"value": "c"}\r\n{"value": {"a":   1e5, "b": "\\u00e9t\\u00e9"}}\n'
    )
    stores = [store(path) for store in (_core.RustMemoryStorage, PythonMemoryStorage)]
    assert stores[0].get_all() == stores[1].get_all()
    for query in ("b", "c", "100000", "été", "u00e9t"):
        assert stores[0].search(query, 3, 0.0) == stores[1].search(query, 3, 0.0), query


@pytest.mark.parametrize("side", SIDES)
def test_a_path_that_can_be_none(tmp_path: Path, side: bool) -> None:
    with pytest.raises(StorageError):
        AcceleratedMemoryStorage(path=str(tmp_path / "a\0b"), use_rust=side)
