"""json_repair's parser with faster steps: its own code decides, runs of plain text go at once.

Its accumulator copies the whole text for each character, and each look ahead starts anew.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

from fast_crewai._core import Declined
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
_METHODS = (
    *("parse_string", "parse_json", "skip_to_character"),
    *("scroll_whitespaces", "skip_whitespaces", "get_char_at", "__init__"),
)
_FUNCTIONS = (
    *("parse_string", "_prepare_string_entry", "_scan_string_body", "_append_literal_char"),
    *("_normalize_escape_sequence", "_handle_right_delimiter_candidate"),
    "_brace_before_code_fence_belongs_to_string",
)
_PARSER = "(json_str, json_fd, logging, chunk_length, stream_stable, strict)"
# In a string these are all that json_repair ever looks at; without quotes, spaces too.
_SPECIAL = frozenset("\0\"'“”„{}[](),:\\")
_ESCAPED = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\b": "\b"}
_BACKSLASHES = re.compile(r"\\+")
_SPACES = re.compile(r"\s*")
_STARTS = re.compile(r"[{\[(#/]")


class _Text:
    """What a string has so far, as json_repair's code uses it: it only ever changes the end."""

    __slots__ = ("_escaping", "_open", "_parser", "_parts", "_state")

    def __init__(self, parser: Any, state: Any) -> None:
        self._parser, self._state = parser, state
        self._parts: list[str] = []
        self._open = 0
        self._escaping = False  # the backslash is taken away, what it stands for comes next

    def __iadd__(self, added: str) -> _Text:
        """Appended; if it is the parser's plain character, with all those that follow it."""
        parser = self._parser
        text, start = parser.json_str, parser.index
        # What json_repair appends as an exception is special; the scan goes on differently then.
        if len(added) == 1 and text[start] == added and self._starts_run(added):
            run = _run(self._state, parser.context).match(text, start)
            end = run.end() if run else start
            if text[end - 2] == "\\":  # ends with an escape: what follows depends on that
                end = max(end - 2, start)
            if end > start:
                parser.index = end - 1
                self._parts.append(_unescape(text[start:end]))
                self._open += text.count("{", start, end)
                return self
        return self._append(added)

    def _starts_run(self, character: str) -> bool:
        return not self._escaping if character == "\\" else character not in _SPECIAL

    def __add__(self, added: str) -> _Text:
        """``text[:-1] + added``, where backslashes take each other's place."""
        parser = self._parser
        if added == "\\" and parser.json_str[parser.index] == "\\":
            parser.index = _BACKSLASHES.match(parser.json_str, parser.index).end() - 1  # type: ignore[union-attr]
        return self._append(added)

    def _append(self, added: str) -> _Text:
        self._escaping = False
        if added:
            self._parts.append(added)
            for brace in added if len(added) > 1 else (added,):
                if brace == "{":
                    self._open += 1
                elif brace == "}" and self._open:
                    self._open -= 1
        return self

    def __getitem__(self, place: Any) -> Any:
        if place == -1:
            return self._parts[-1][-1]
        if place != slice(None, -1, None) or self._parts.pop() != "\\":
            raise Declined("another use of the text")
        self._escaping = True
        return self

    def __bool__(self) -> bool:
        return bool(self._parts)

    def __reversed__(self) -> Iterator[str]:
        """As much as the search for a brace that is open needs."""
        return iter("{" if self._open else "")

    def __str__(self) -> str:
        return "".join(self._parts)


class Repairing:
    """``repair_json`` as CrewAI calls it; long texts with our steps."""

    def __init__(self) -> None:
        self._steps: Steps | None = None

    def __call__(self, repair: Any, text: Any, **options: bool) -> Any:
        """``repair(text, **options)``: no options but ``skip_json_loads``."""
        if type(text) is str and len(text) >= WORTH:
            steps = self._steps
            if steps is None or steps.repair is not repair:
                steps = self._steps = Steps.of(repair)
            if steps is not None and steps.are_originals():
                try:
                    # From here on no call is deeper than json_repair's, but those in _Text.
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
        module, parser, strings = known
        faster, self._flat = _faster(parser, known[parser], known[strings])
        self.parser = faster
        self._folder = str(Path(module.__file__).parent)
        self.repaired = recompiled(
            repair, {f"JSONParser{_PARSER}": f"_fc_parser{_PARSER}"}, {"_fc_parser": faster}
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
        parser = vars(sys.modules[f"{package}.json_parser"])["JSONParser"]
        strings = sys.modules[f"{package}.parse_string"]
        methods = {name: vars(parser)[name] for name in _METHODS}
        functions = {name: vars(strings)[name] for name in _FUNCTIONS}
        own = _are_own(methods, "json_parser.py") and _are_own(functions, "parse_string.py")
        if not own or not _are_own({"repair_json": repair}, "json_repair.py"):
            return None  # patched while we look
        state = strings.StringParseState
        if not isinstance(state, type) or state.__module__ != strings.__name__:
            return None
        functions["StringParseState"] = state
        return cls(repair, {module: {"JSONParser": parser}, parser: methods, strings: functions})

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


def _are_own(functions: dict[str, Any], file: str) -> bool:
    return all(
        isinstance(function, FunctionType)
        and function.__name__ == name
        and Path(function.__code__.co_filename).name == file
        for name, function in functions.items()
    )


def _digest(folder: Path) -> str:
    try:
        code = b"".join((folder / name).read_bytes() for name in _FILES)
    except OSError:
        return ""
    return hashlib.sha256(code.replace(b"\r\n", b"\n")).hexdigest()


def _faster(parser: Any, methods: dict[str, Any], functions: dict[str, Any]) -> tuple[Any, Any]:
    """The parser, and the code of ours that calls nothing where json_repair's doesn't."""
    new_state = functions["StringParseState"]

    def state_of(self: Any) -> Any:
        state = new_state()
        state.string_acc = _Text(self, state)
        return state

    def start_of(self: Any) -> str | None:
        """Outside of everything, what starts nothing is passed over."""
        text, at = self.json_str, self.index
        if self.context.empty and 0 <= at < len(text):
            start = _STARTS.search(text, at)
            self.index = at = start.start() if start else len(text)
        return text[at] if at < len(text) else None

    prepare = recompiled(
        functions["_prepare_string_entry"],
        {"StringParseState()": "_fc_state(self)"},
        {"_fc_state": state_of},
    )
    scan_body = functions["_scan_string_body"]

    def scan(self: Any, state: Any) -> Any:
        char = scan_body(self, state)
        state.string_acc = str(state.string_acc)
        return char

    parse_string = recompiled(
        functions["parse_string"],
        {
            "_prepare_string_entry(self)": "_fc_prepare(self)",
            "_scan_string_body(self, state)": "_fc_scan(self, state)",
        },
        {"_fc_prepare": prepare, "_fc_scan": scan},
    )
    parse_json = recompiled(
        methods["parse_json"], {"self.get_char_at()": "_fc_start(self)"}, {"_fc_start": start_of}
    )
    plain_skip, plain_scroll = methods["skip_to_character"], methods["scroll_whitespaces"]

    class Faster(parser):  # type: ignore[misc]
        index: int
        json_str: str
        _ahead_text: str = ""
        _ahead: dict[Any, tuple[int, int]]

        def skip_to_character(self, character: Any, idx: int = 0) -> int:
            text, index = self.json_str, self.index
            start = index + idx
            if start <= 0 or start >= len(text):
                return plain_skip(self, character, idx)  # type: ignore[no-any-return]
            if self._ahead_text is not text:
                self._ahead_text, self._ahead = text, {}
            key = character if type(character) is str else tuple(character)
            known = self._ahead.get(key)
            # Which backslashes count depends on the start if it is among them.
            if known and known[0] <= start <= known[1] and text[start - 1] != "\\":
                return known[1] - index
            found = _unescaped(_targets(key), text, start)
            self._ahead[key] = start, found
            return found - index

        def scroll_whitespaces(self, idx: int = 0) -> int:
            start = self.index + idx
            if not 0 <= start < len(self.json_str):
                return plain_scroll(self, idx)  # type: ignore[no-any-return]
            return _SPACES.match(self.json_str, start).end() - self.index  # type: ignore[union-attr]

        def skip_whitespaces(self) -> None:
            if 0 <= self.index < len(self.json_str):
                self.index = _SPACES.match(self.json_str, self.index).end()  # type: ignore[union-attr]

    Faster.parse_string = parse_string
    Faster.parse_json = parse_json
    flat = (start_of, Faster.scroll_whitespaces, Faster.skip_whitespaces, Faster.skip_to_character)
    return Faster, {function.__code__ for function in flat}


_RUNS: dict[Any, re.Pattern[str]] = {}


def _run(state: Any, context: Any) -> re.Pattern[str]:
    """Characters that are just appended here, and escapes whose meaning is the same everywhere.

    In a span of low quotes, or while a container is open, each special character counts.
    """
    delimiter, missing = state.rstring_delimiter, state.missing_quotes
    place = context.current.name if context.current else ""
    listed = any(value.name == "ARRAY" for value in context.context)
    busy = len(delimiter) > 1 or state.pending_inline_container or state.inline_container_stack
    key = (delimiter, missing, place, listed, bool(busy))
    found = _RUNS.get(key)
    if found is None:
        special = re.escape("".join(_SPECIAL)) if busy else _specials(delimiter, place, listed)
        special += "," if missing and listed else ""
        special += "\\s" if missing else ""
        escapes = "" if busy else "|\\\\[ntrb\"']"
        found = _RUNS[key] = re.compile(f"(?:[^{special}]+{escapes}){{1,1000}}")
    return found


def _specials(delimiter: str, place: str, listed: bool) -> str:
    special = f"\\0„\\\\{delimiter}"
    if place == "OBJECT_VALUE":
        special += ",}"
    if listed:
        special += "\\]"
    if place == "OBJECT_KEY":
        special += ":"
    return special


def _unescape(run: str) -> str:
    """No backslash in it stands for itself."""
    if "\\" in run:
        for escape, meaning in _ESCAPED.items():
            run = run.replace(escape, meaning)
        run = run.replace("\\", "")  # before quotes
    return run


_TARGETS: dict[Any, re.Pattern[str]] = {}


def _targets(key: str | tuple[str, ...]) -> re.Pattern[str]:
    """Any of them, or backslashes. The parser knows a dozen keys."""
    found = _TARGETS.get(key)
    if found is None:
        found = _TARGETS[key] = re.compile("[" + re.escape("".join(key)) + "]|\\\\+")
    return found


def _unescaped(targets: re.Pattern[str], text: str, start: int) -> int:
    """Where the first of the targets is that no odd number of backslashes precedes, or the end."""
    escaped = -1
    for found in targets.finditer(text, start):
        at, end = found.span()
        if text[at] == "\\":
            escaped = end if (end - at) % 2 else -1
        elif at != escaped:
            return at
    return len(text)
