"""Logs in JSON files: entries, and what others do to the file between them."""

import json
import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import strategies as st

from strategies import data

_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
_values = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.just({1: "a", "1": "b"}),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
_odd = st.sampled_from([{1, 2}, b"x", object, {("a",): 1}, "\ud800", [], {}])
_entries = st.dictionaries(st.sampled_from(["task", "output", "agent"]), _values, max_size=3)
_log = st.tuples(st.just("log"), _entries)
_steps = (
    _log
    | _log
    | _log
    | st.tuples(st.just("log"), st.fixed_dictionaries({"output": _odd}))
    | st.tuples(st.just("other"), _entries)  # another process's
    | st.tuples(
        st.just("text"), st.sampled_from(["", "[", "[]", "{}", "[1]", "[\n    1\n]\n", "ü"])
    )
    | st.tuples(
        st.sampled_from(["cut", "flip", "delete", "minify", "feed", "replace", "folder"]), st.none()
    )
)
programs = st.lists(_steps, max_size=9)


class Clock:
    @staticmethod
    def now():
        return Clock

    @staticmethod
    def strftime(_format):
        return "now"


def _change(path: Path, what: str, given) -> None:
    if path.is_dir():
        return
    if what == "text":
        path.write_text(given, encoding="utf-8")
        return
    if not path.is_file():
        return
    content = path.read_bytes()
    if what == "cut":
        path.write_bytes(content[:-4])
    elif what == "flip":
        path.write_bytes(content.replace(b"now", b"NOW", 1))
    elif what == "delete":
        path.unlink()
    elif what == "feed":
        path.write_bytes(content + b"\n")
    elif what == "replace":
        path.with_name("new").write_bytes(content)
        path.with_name("new").replace(path)
    elif what == "folder":
        path.unlink()
        path.mkdir()
    else:
        try:
            value = json.loads(content)
        except ValueError:
            return
        entries = [*value, given] if what == "other" and isinstance(value, list) else value
        indent = 4 if what == "other" else None
        path.write_text(json.dumps(entries, indent=indent) + "\n", encoding="utf-8")


def observe(function, program):
    from crewai.utilities import file_handler

    seen = []
    with (
        tempfile.TemporaryDirectory(dir=_MEMORY) as folder,
        patch.object(file_handler, "datetime", Clock),
    ):
        path = Path(folder, "log.json")
        handler = file_handler.FileHandler(str(path))
        for what, given in program:
            if what == "log":
                found = data.outcome(lambda given=given: function(handler, **given))
                seen.append(str(found).replace(folder, ""))
            else:
                _change(path, what, given)
            seen.append(path.read_bytes() if path.is_file() else path.exists())
        seen.append(sorted(path.name for path in Path(folder).iterdir()))
    return seen
