"""The store: what is found there is what would be computed, or nothing."""

import os
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fast_crewai import config
from fast_crewai.hooks import store


def forget() -> None:
    """As in another process."""
    store._entries = None
    store._used.clear()
    store._new = False
    store._place.cache_clear()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(config, "cache_folder", lambda: tmp_path / "cache")
    forget()
    yield tmp_path / "cache" / "code"
    forget()


def made(*parts: object, value: object = "value") -> bool:
    """Whether it had to be computed."""
    makes = []
    found = store.remembered("kind", parts, lambda: makes.append(1) or value)
    assert found == value
    return bool(makes)


def kept(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_what_was_computed_is_found_by_the_next_process(folder: Path) -> None:
    assert made("a", 1) and not made("a", 1)
    store.save()
    forget()
    assert not made("a", 1)
    assert made("a", 2) and made("b", 1) and made("a", "1") and made("a", (1,))
    store.save()
    forget()
    assert not made("a", 1) and not made("b", 1)


def test_code_stays_the_same(folder: Path) -> None:
    text = "class A:\n    def f(self, x=(1, 2.5, None, b'')):\n        return {x} | {'y', ...}\n"
    code = compile(text, "file.py", "exec")
    assert made("code", value=code)
    store.save()
    forget()
    found: types.CodeType = store.remembered("kind", ("code",), lambda: code.replace(co_name="no"))
    assert found == code and found is not code
    assert list(found.co_lines()) == list(code.co_lines()) and found.co_filename == "file.py"


def test_nothing_is_written_without_need(folder: Path) -> None:
    store.save()
    assert not folder.exists()
    made("a")
    store.save()
    before = kept(folder).stat().st_mtime_ns
    forget()
    assert not made("a")
    store.save()
    assert kept(folder).stat().st_mtime_ns == before


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def change(file: Path) -> None:
    content = file.read_bytes()
    assert b"value" in content
    file.write_bytes(content.replace(b"value", b"other"))


@pytest.mark.parametrize(
    "damage",
    [
        cut,
        change,
        lambda file: file.write_bytes(b""),
        lambda file: file.unlink(),
        lambda file: (file.unlink(), file.mkdir()),
        lambda file: file.chmod(0o666),
        lambda file: file.parent.chmod(0o777),
    ],
)
def test_a_damaged_file_is_no_file(damage: Callable[[Path], object], folder: Path) -> None:
    made("a")
    store.save()
    damage(kept(folder))
    forget()
    assert made("a")
    store.save()  # never raises
    assert [f.name for f in folder.iterdir()] == [store._place().name]  # type: ignore[union-attr]


def test_without_a_folder_everything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").touch()
    assert made("a")
    store.save()
    forget()
    monkeypatch.setattr(config, "cache_folder", lambda: None)
    assert made("a") and made("a")
    store.save()


def test_a_failure_is_not_kept(folder: Path) -> None:
    def fail() -> str:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            store.remembered("kind", ("x",), fail)
    store.save()
    assert not folder.exists()


def test_entries_of_replaced_files_are_given_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_MAXIMUM", 2)
    for name in "abc":
        made(name)
    store.save()
    forget()
    made("d"), made("c")
    store.save()
    forget()
    assert not made("c") and not made("d") and made("a")


@pytest.mark.parametrize("maker", [*store._MAKERS, *store._OTHERS])
def test_other_code_of_ours_or_another_python_finds_nothing(
    maker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store._place()
    read = Path.read_bytes

    def changed(path: Path) -> bytes:
        return read(path) + b"#" if str(path).endswith(maker.replace("/", os.sep)) else read(path)

    monkeypatch.setattr(Path, "read_bytes", changed)
    store._place.cache_clear()
    assert store._place() != before
