"""Batches are the same ones every time, and no file is lost."""

from collections import Counter

from oracle import subsets
from oracle.batches import plan
from oracle.subsets import Subset


def test_files_are_cut_by_number():
    batches = plan([f"f{n}" for n in range(7)], {}, max_files=3)
    assert [batch.files for batch in batches] == [
        ("f0", "f1", "f2"),
        ("f3", "f4", "f5"),
        ("f6",),
    ]
    assert [batch.number for batch in batches] == [0, 1, 2]


def test_files_are_cut_by_tests():
    sizes = {"a": 300, "b": 90, "c": 20, "d": 900, "e": 1}
    batches = plan("abcde", sizes, max_tests=400)
    assert [batch.files for batch in batches] == [("a", "b"), ("c",), ("d",), ("e",)]


def test_no_files_no_batches():
    assert plan([], {}) == []


def test_the_lists_name_each_test_once(tmp_path):
    for path in subsets.LISTS.values():
        tests = subsets.lines_of(path)
        assert len(tests) == len(set(tests)) > 1000
        assert all(test.startswith("tests/") and "::" in test for test in tests)


def test_files_of_another_version_are_left_out(tmp_path, monkeypatch):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_here.py").touch()
    names = tmp_path / "list.txt"
    names.write_text("# a remark\ntests/test_here.py::a\ntests/test_gone.py::b\n")
    monkeypatch.setitem(subsets.LISTS, "fast", names)
    subset = subsets.load("fast", tmp_path)
    assert subset == Subset(("tests/test_here.py",), ("tests/test_here.py::a",))
    assert subset.sizes() == Counter({"tests/test_here.py": 1})


def test_all_files_and_some_of_them(tmp_path):
    (tmp_path / "tests" / "deep").mkdir(parents=True)
    for name in ("test_b.py", "deep/test_a.py", "helper.py"):
        (tmp_path / "tests" / name).touch()
    subset = subsets.load("full", tmp_path)
    assert subset.files == ("tests/deep/test_a.py", "tests/test_b.py")
    assert subset.only(("deep",)).files == ("tests/deep/test_a.py",)
    assert subset.only(()) is subset
