"""A wheel is built once for each state of the sources."""

import tarfile

from oracle import suite, wheel


def test_the_digest_follows_names_and_contents(tmp_path):
    (tmp_path / "fast_crewai").mkdir()
    source = tmp_path / "fast_crewai" / "a.py"
    source.write_text("one")
    first = digest(tmp_path)
    (tmp_path / "fast_crewai" / "_core.abi3.so").write_text("built")
    (tmp_path / "notes.txt").write_text("no part of it")
    assert digest(tmp_path) == first
    source.write_text("two")
    second = digest(tmp_path)
    source.rename(source.with_name("b.py"))
    assert len({first, second, digest(tmp_path)}) == 3


def digest(root):
    return wheel.digest(wheel.source_files(root), root)


def test_of_a_source_distribution_only_the_tests_are_unpacked(tmp_path):
    top = tmp_path / "crewai-1.0"
    (top / "tests" / "deep").mkdir(parents=True)
    (top / "src").mkdir()
    for name in ("tests/deep/test_a.py", "src/crewai.py", "pyproject.toml"):
        (top / name).touch()
    archive = tmp_path / "crewai-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(top, "crewai-1.0")
    root = suite.unpack(archive, tmp_path / "out")
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert files == {"tests/deep/test_a.py", "pyproject.toml"}
