"""Packages that are installed, changed and removed between questions for their version."""

import importlib.metadata
import pathlib
import sys
import tempfile
import warnings
from itertools import chain
from unittest import mock

from hypothesis import strategies as st

from strategies import data

NAMES = ["crewai", "other", "none"]
HEADERS = [
    "Name: crewai", "Version: 1.0", "Version: 2.0", "version: 3.0rc1", "Version:\t4 ", "Version:",
    "Version: 5\n  6", "Summary: é", "no header", "", "Version: 7\r", "Description: a\n        b",
]  # fmt: skip
metadata = st.lists(st.sampled_from(HEADERS), max_size=4).map(lambda lines: "\n".join(lines) + "\n")
plain = ["Version: 1.0\n", "Version: 2.0\n"]
texts = st.sampled_from([*plain, ""]) | metadata
files = st.sampled_from(["METADATA", "METADATA", "PKG-INFO"])
asks = st.sampled_from([[("ask", "crewai", None)]] * 4 + [[("ask", name, None)] for name in NAMES])
changes = st.one_of(
    st.tuples(st.just("write"), files, st.sampled_from([*plain, ""])),
    st.tuples(st.just("write"), files, texts),
    st.tuples(st.just("bytes"), files, st.sampled_from([b"Version: \xff\n", b"\xff"])),
    st.tuples(st.just("remove"), files, st.none()),
    st.tuples(
        st.just("patch"),
        st.sampled_from(["read_text", "metadata", "version", "distribution"]),
        st.none(),
    ),
    st.tuples(st.just("finder"), st.just(""), texts),
)
steps = st.tuples(asks, changes, asks).map(lambda step: [*step[0], step[1], *step[2]])
programs = st.tuples(
    texts, st.lists(steps, min_size=1, max_size=4).map(lambda found: list(chain(*found)))
)


class Elsewhere(importlib.metadata.Distribution):
    """What another finder than Python's own found."""

    def __init__(self, text, seen):
        self.text, self.seen = text, seen

    def read_text(self, filename):
        self.seen.append(filename)
        return self.text if filename == "METADATA" else None

    def locate_file(self, path):
        return path


class Finder(importlib.metadata.DistributionFinder):
    def __init__(self, text, seen):
        self.text, self.seen = text, seen

    def find_spec(self, *_):
        return None

    def find_distributions(self, context=None):
        self.seen.append(context.name)
        return iter([Elsewhere(self.text, self.seen)] if context.name == "crewai" else [])


def patch(name, seen):
    if name == "distribution":
        return mock.patch(
            "importlib.metadata.distribution", lambda name: Elsewhere("Version: 8\n", seen)
        )
    plain = importlib.metadata.PathDistribution
    if name == "read_text":
        return mock.patch.object(plain, name, lambda self, name: "Version: 9\n")
    replaced = {"metadata": {"Version": "10"}, "version": "11"}[name]
    return mock.patch.object(plain, name, replaced)


def observe(function, example):
    """All answers of a program, and what was read on the way."""
    first, program = example
    seen = []
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder, "crewai-0.dist-info")
        home.mkdir()
        (home / "METADATA").write_text(first, encoding="utf-8", newline="")
        path, finders = list(sys.path), list(sys.meta_path)
        sys.path.insert(0, folder)
        patches = []
        try:
            for what, name, value in program:
                if what == "ask":
                    with warnings.catch_warnings(record=True) as warned:
                        warnings.simplefilter("always")
                        seen.append(data.outcome(function, name))
                    seen.append([(str(w.message), w.filename, w.lineno) for w in warned])
                elif what == "write":
                    (home / name).write_text(value, encoding="utf-8", newline="")
                elif what == "bytes":
                    (home / name).write_bytes(value)
                elif what == "remove":
                    (home / name).unlink(missing_ok=True)
                elif what == "finder":
                    sys.meta_path.insert(0, Finder(value, seen))
                else:
                    patches.append(patch(name, seen))
                    patches[-1].start()
        finally:
            for started in reversed(patches):
                started.stop()
            sys.path[:], sys.meta_path[:] = path, finders
    return seen
