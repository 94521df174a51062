"""The user's consent to traces: a small file, read again for every crew, agent and task.

CrewAI makes its folder twice, by ``pathlib``, before each look. The same questions are asked here
with a few system calls: where the folder is, whether the file is there, what it says. Nothing is
kept. A folder that is missing, and a file that isn't plain ASCII JSON, are CrewAI's.
"""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.route import Route, Site, TargetError

_DATA = "crewai_core.user_data"
_PATHS = "crewai_core.paths"
_FILE = ".crewai_user.json"
_METHODS = (
    *("__new__", "__init__", "__truediv__", "__str__", "__fspath__", "cwd", "name"),
    *("mkdir", "exists", "is_dir", "stat", "read_text", "open"),
)
_CALLED = (
    (os, ("stat", "mkdir", "getcwd", "getenv", "fspath")),
    (os.path, ("exists", "isdir", "expanduser", "join")),
    (io, ("open", "text_encoding")),
    (json, ("loads",)),
    *((kind, _METHODS) for kind in (Path, type(Path()))),
)
# What CrewAI's code ends in: whoever replaces one of these gets its calls.
_LOOKS = [(vars(owner).get, name) for owner, names in _CALLED for name in names]


def _load_user_data(site: Site) -> Callable[..., Any]:
    data, paths = vars(site.module), vars(sys.modules[_PATHS])
    were = [look(name) for look, name in _LOOKS]
    of_data = {name: data[name] for name in ("json", "Path", "db_storage_path")}
    of_paths = {
        name: paths[name]
        for name in ("os", "Path", "appdirs", "db_storage_path", "get_project_directory_name")
    }
    if of_data["db_storage_path"] is not of_paths["db_storage_path"]:
        raise TargetError("crewai_core.user_data is not what it was")
    appdirs = paths["appdirs"]
    folder_of, project_of = appdirs.user_data_dir, paths["get_project_directory_name"]
    if getattr(folder_of, "__globals__", None) is not vars(appdirs):
        raise TargetError("appdirs.user_data_dir is not what it was")

    def fast() -> Any:
        if not all(data.get(name) is value for name, value in of_data.items()):
            raise Declined("patched: user_data")
        if not all(paths.get(name) is value for name, value in of_paths.items()):
            raise Declined("patched: paths")
        if appdirs.user_data_dir is not folder_of:
            raise Declined("patched: appdirs")
        if [look(name) for look, name in _LOOKS] != were or sys.flags.warn_default_encoding:
            raise Declined("patched: files")
        try:
            return _read(folder_of(project_of(), "CrewAI"))
        except (OSError, ValueError) as error:
            raise Declined(f"{type(error).__name__} when reading") from None

    return fast


def _read(folder: str) -> Any:
    if not folder:
        raise Declined("the working directory")
    path = f"{folder}/{_FILE}"
    try:
        found = os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        if not stat.S_ISDIR(os.stat(folder).st_mode):  # noqa: PTH116
            raise Declined("no folder yet") from None
        return {}
    if not stat.S_ISREG(found.st_mode):
        raise Declined("not a file")
    with io.open(path, "rb", buffering=0) as opened:  # noqa: UP020
        text = opened.readall()
    return json.loads(text.decode("ascii"))  # the same in any locale


USER_DATA = Route(
    name="agents.user-data",
    target=f"{_DATA}:_load_user_data",
    why="the consent to traces is asked for ten times per agent and task (0.08 ms each)",
    build=_load_user_data,
    pure=True,
    reads=(
        f"{_DATA}:_user_data_file",
        f"{_PATHS}:db_storage_path",
        f"{_PATHS}:get_project_directory_name",
    ),
)
