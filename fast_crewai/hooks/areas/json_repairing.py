"""Long repairs: json_repair's parser with faster steps, if it is the one that is known.

Its accumulator copies the whole text for each character, and each look ahead starts anew.
"""

from __future__ import annotations

import atexit
import hashlib
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from fast_crewai._core import CoreError, Declined, json_text
from fast_crewai.hooks import store
from fast_crewai.hooks.areas.json_steps import faster
from fast_crewai.hooks.areas.own_json import writes_as_usual
from fast_crewai.hooks.areas.recompile import recompiled

WORTH = 1_000  # characters
_PROVEN = {"54b435b9ad9903d5fd9514788dda79413c409d98741841304d2bca4327a317b6"}
_FILES = (
    *("json_repair.py", "json_parser.py", "parse_array.py", "parse_comment.py", "parse_number.py"),
    *("parse_object.py", "parse_string.py", "parser_parenthesized.py", "utils/json_context.py"),
    *("utils/constants.py", "utils/object_comparer.py"),
    "parse_string_helpers/object_value_context.py",
    "parse_string_helpers/parse_boolean_or_null.py",
    "parse_string_helpers/parse_json_llm_block.py",
)
_PACKAGES = {"json_repair", "typing", "dataclasses", "enum"}
_PARSER = "(json_str, json_fd, logging, chunk_length, stream_stable, strict)"
_WRITTEN = "(json, parsed_json, json_dumps_args)"


class Repairing:
    """``repair_json`` as CrewAI calls it; long texts with our steps."""

    def __init__(self) -> None:
        self._steps: Steps | None = None

    def __call__(self, repair: Any, text: Any, **options: bool) -> Any:
        """``repair(text, **options)``: no options but ``skip_json_loads``."""
        if type(text) is str and len(text) >= WORTH:
            steps = self._steps
            if steps is None or steps.repair is not repair:
                try:
                    steps = self._steps = Steps.of(repair)
                except Exception:  # not what it was
                    steps = None
                atexit.register(store.save)  # not now: whatever watches files would see it
            if steps is not None and steps.are_originals():
                try:
                    # From here on no call is deeper than json_repair's, but those in Text.
                    return steps.repaired(text, **options)
                except Exception as error:
                    if steps.raised_as_the_original(error):
                        raise
        return repair(text, **options)


class Steps:
    """One json_repair with our steps in it."""

    def __init__(self, repair: Any, known: dict[Any, dict[str, Any]]) -> None:
        self.repair = repair
        self._known = known
        modules = {vars(owner).get("__name__"): names for owner, names in known.items()}
        package = repair.__module__.rpartition(".")[0]
        functions = {
            name: value
            for file in ("parse_string", "parse_object", "parse_array")
            for name, value in modules[f"{package}.{file}"].items()
        }
        parser = modules[f"{package}.json_parser"]["JSONParser"]
        self.parser, self._flat = faster(parser, known[parser], functions)
        self._folder = str(Path(sys.modules[package].__file__ or "").parent)
        self.repaired = recompiled(
            repair,
            {
                f"JSONParser{_PARSER}": f"_fc_parser{_PARSER}",
                "json.dumps(parsed_json, **json_dumps_args)": f"_fc_written{_WRITTEN}",
            },
            {"_fc_parser": self.parser, "_fc_written": _written},
        )

    @classmethod
    def of(cls, repair: Any) -> Steps | None:
        """None for another json_repair than those that are proven, or one that is patched."""
        module = sys.modules.get(getattr(repair, "__module__", ""))
        if module is None or vars(module).get("repair_json") is not repair:
            return None
        if _digest(Path(str(module.__file__)).parent) not in _PROVEN:
            return None
        package = module.__name__.rpartition(".")[0]
        files = [file.removesuffix(".py").replace("/", ".") for file in _FILES]
        owners: list[Any] = [sys.modules[f"{package}.{file}"] for file in files]
        owners += {value for owner in owners for value in vars(owner).values() if _is_class(value)}
        known = {owner: _members(owner) for owner in owners}
        if not all(_is_own(value) for names in known.values() for value in names.values()):
            return None  # patched while we look
        return cls(repair, known)

    def are_originals(self) -> bool:
        return all(
            vars(owner).get(name) is known
            for owner, names in self._known.items()
            for name, known in names.items()
        )

    def raised_as_the_original(self, error: Exception) -> bool:
        """Too deep for json_repair, too: no call on the way is one that it hasn't."""
        if type(error) is not ValueError or type(error.__cause__) is not RecursionError:
            return False
        trace = error.__cause__.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if code not in self._flat and not code.co_filename.startswith(self._folder):
                return False
            trace = trace.tb_next
        return True


def _written(module: Any, value: Any, options: dict[str, Any]) -> Any:
    """``module.dumps(value, **options)``"""
    if not options and writes_as_usual(module):
        try:
            return json_text(value)
        except (Declined, CoreError):  # not plain, or too deep
            pass
    return module.dumps(value, **options)


def _is_class(value: Any) -> bool:
    return isinstance(value, type) and value.__module__.startswith("json_repair.")


def _members(owner: ModuleType | type) -> dict[str, Any]:
    """All that its code may call or read, by name."""
    kept = ("__init__", "__enter__", "__exit__", "__name__")
    return {
        name: value
        for name, value in vars(owner).items()
        if not name.startswith("__") or (name in kept and isinstance(owner, type))
    }


def _is_own(value: Any) -> bool:
    """No one else's function, nor a mock of one."""
    if isinstance(value, FunctionType):
        return value.__module__.partition(".")[0] in _PACKAGES
    if isinstance(value, type) or not callable(value):
        return not isinstance(value, type) or not value.__module__.startswith("unittest")
    return type(value).__module__ in ("typing", "builtins")


def _digest(folder: Path) -> str:
    try:
        code = b"".join((folder / name).read_bytes() for name in _FILES)
    except OSError:
        return ""
    return hashlib.sha256(code.replace(b"\r\n", b"\n")).hexdigest()
