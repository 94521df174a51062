"""Which of the suite's tests are run: all of them, or those of a list kept beside this file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from oracle.workplace import PACKAGE, OracleError, lines_of

LISTS = {"fast": PACKAGE / "fast_set.txt", "runtime": PACKAGE / "runtime_set.txt"}
NAMES = ("fast", "runtime", "full")


@dataclass(frozen=True)
class Subset:
    """``tests``: the node ids to run, None for all. ``files``: the test files they are in."""

    files: tuple[str, ...]
    tests: tuple[str, ...] | None = None

    def sizes(self) -> Counter[str]:
        """File → number of tests, as far as that is known before the collection."""
        return Counter(file_of(test) for test in self.tests or ())

    def only(self, words: tuple[str, ...]) -> Subset:
        """The files whose path has one of these words."""
        if not words:
            return self
        files = tuple(name for name in self.files if any(word in name for word in words))
        if not files:
            raise OracleError(f"no test file of this subset has {' or '.join(words)} in its path")
        return of_tests(self.tests, files) if self.tests is not None else Subset(files)


def file_of(test: str) -> str:
    return test.partition("::")[0]


def load(name: str, root: Path) -> Subset:
    """A subset of the suite in ``root``. Files of another version's tests are left out."""
    if name == "full":
        found = sorted(path.relative_to(root) for path in (root / "tests").rglob("test_*.py"))
        return Subset(tuple(path.as_posix() for path in found))
    tests = tuple(lines_of(LISTS[name]))
    files = dict.fromkeys(file_of(test) for test in tests)
    return of_tests(tests, tuple(file for file in files if (root / file).is_file()))


def of_tests(tests: tuple[str, ...], files: tuple[str, ...]) -> Subset:
    """These tests, as far as they are in these files."""
    known = set(files)
    return Subset(files, tuple(test for test in tests if file_of(test) in known))
