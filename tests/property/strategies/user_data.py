"""The file of the user's consent: folders, contents and patches between the looks."""

import logging
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

from hypothesis import strategies as st

from strategies import data

FILE = ".crewai_user.json"
PLAIN = b'{"first_execution_done": true, "trace_consent": false}'
ODD = [
    b"[1]", b"null", b"", b"{", b"\xff", b'{"name": "\xc3\xa9"}', b"{}\r\n", b'"a\rb"',
    b"\xef\xbb\xbf{}", b"NaN", b"1 2", "folder", "dangling", "link", "missing",
]  # fmt: skip
usual = st.sampled_from([None, PLAIN, b'{\n  "trace_consent": true\n}'])
contents = usual | usual | st.sampled_from(ODD)
PATCHES = [
    "crewai_core.user_data._user_data_file", "crewai_core.user_data.db_storage_path",
    "crewai_core.paths.get_project_directory_name", "appdirs.user_data_dir", "json.loads",
    "crewai_core.user_data.json", "crewai_core.paths.os", "pathlib.Path.exists",
    "pathlib.Path.read_text", "pathlib.Path.mkdir", "os.path.expanduser", "os.stat", "io.open",
]  # fmt: skip
variables = st.fixed_dictionaries(
    {
        "CREWAI_STORAGE_DIR": st.sampled_from([None, None, "", "own", "own/.", "../up", "/{}/abs"]),
        "XDG_DATA_HOME": st.sampled_from([None, None, "", "{}/xdg", "relative", "{}//xdg/../xdg"]),
        "HOME": st.sampled_from([*["{}/home"] * 4, "relative"]),
    }
)
patches = st.none() | st.none() | st.sampled_from([None] * 9 + PATCHES)
looks = st.lists(st.tuples(contents, patches), min_size=1, max_size=3)
places = st.sampled_from(["work", "work", "other", "gone"])
examples = st.tuples(variables, places, looks)


def _write(folder, content):
    """Make the file such, by the folder that CrewAI's own code names."""
    if content == "missing":
        shutil.rmtree(folder, ignore_errors=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    if content == "folder":
        path.mkdir()
    elif content == "dangling":
        path.symlink_to("nowhere")
    elif content == "link":
        (folder / "target").write_bytes(PLAIN)
        path.symlink_to("target")
    elif content is not None:
        path.write_bytes(content)


def _look(function, folder, patch, seen):
    """What one look gives, and how often it calls what is patched."""
    with ExitStack() as stack:
        called = None
        if patch is not None:
            wrapped = _found(patch)
            called = mock.Mock(wraps=wrapped)
            if patch.startswith("pathlib"):
                replacement = lambda *given, **options: called(*given, **options)  # noqa: E731
            else:
                replacement = called
            stack.enter_context(mock.patch(patch, replacement))
        result = data.outcome(function)
        calls = [] if called is None else [str(call) for call in called.mock_calls]
    seen.append((result, calls, folder.is_dir()))


def _found(patch):
    import importlib

    parts = patch.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part)
        return found
    raise AssertionError(patch)


class _Told(logging.Handler):
    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def emit(self, record):
        self.seen.append((record.levelname, record.getMessage()))


def observe(function, example):
    """Results, warnings and folders; each side in a place of its own, named alike."""
    settings, place, todo = example
    seen, before = [], Path.cwd()
    logger = logging.getLogger("crewai_core.user_data")
    handler, propagates = _Told(seen), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    root = Path(tempfile.mkdtemp()).resolve()
    try:
        _observe(function, settings, place, todo, root, seen)
    finally:
        os.chdir(before)
        logger.removeHandler(handler)
        logger.propagate = propagates
        shutil.rmtree(root, ignore_errors=True)
    return [str(entry).replace(str(root), "<root>") for entry in seen]


def _observe(function, settings, place, todo, root, seen):
    from crewai_core import paths

    top = root / "a" / "b"
    for name in ("work", "other", "gone"):
        (top / name).mkdir(parents=True)
    places = {
        name: value.replace("/{}", str(top)).replace("{}", str(top))
        for name, value in settings.items()
        if value is not None
    }
    with mock.patch.dict(os.environ, places):
        for name in settings.keys() - places.keys():
            os.environ.pop(name, None)
        os.chdir(top / place)
        folder = Path(paths.db_storage_path())
        folder = (Path.cwd() / folder).resolve()
        assert folder.is_relative_to(root), folder  # whatever is written goes with it
        if place == "gone" and not any((top / place).iterdir()):
            (top / place).rmdir()
        for content, patch in todo:
            _write(folder, content)
            _look(function, folder, patch, seen)
        seen.append(sorted(str(path) for path in root.rglob("*")))
