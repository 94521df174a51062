"""json_repair's parser with faster steps: its own code decides, runs of plain text go at once.

Its accumulator copies the whole text for each character, and each look ahead starts anew.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.json_runs import Runs
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
    *("parse_object", "parse_array", "parenthesized_is_explicit_tuple"),
    "top_level_parenthesized_can_start_value",
)
_FUNCTIONS = (
    *("parse_string", "_prepare_string_entry", "_scan_string_body", "_append_literal_char"),
    *("_normalize_escape_sequence", "_handle_right_delimiter_candidate"),
    "_brace_before_code_fence_belongs_to_string",
)
_OBJECTS = (
    *("parse_object", "_parse_object_key", "_repair_empty_object_result"),
    *("_classify_empty_object_repair", "_strip_comments_for_empty_object_classification"),
)
_PARSER = "(json_str, json_fd, logging, chunk_length, stream_stable, strict)"
# In a string these are all that json_repair ever looks at; without quotes, spaces too.
_SPECIAL = frozenset("\0\"'“”„{}[](),:\\")
_ESCAPES = r"|\\(?:[ntrb\"']|u(?!00(?:5[cC]|7[bBdD]))[0-9a-fA-F]{4})"
_UNICODE = re.compile(r"\\u(....)")
_ESCAPED = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\b": "\b"}
_BACKSLASHES = re.compile(r"\\+")
_SPACES = re.compile(r"\s*")
_QUOTES = frozenset("\"'“”")
_DELIMITERS = ('"', "'", "“", "”")
_ENTRY = re.compile(r"[^\W_]|[\"'“”]")
_CONTENT = re.compile(r"[^\s\\]")
_SEPARATORS = re.compile(r"[\s,]*")
# In a list these are read otherwise than as JSON, or depend on what is around them.
_ODD = r'\\|""\s|\[\s*\]|\{\s*\}|[0-9]{100}|[0-9][eE]\+'
# Words in a key's place that no colon follows: each is read and dropped.
_STOP = r"\s\]:\"'“”„\\\0"
_NO_KEYS = re.compile(rf"(?:\{{?[^\W_][^{_STOP}]*\s+(?=[^{_STOP},}}#/\[])){{1,1000}}")
_EMPTY = "(self, start_index, schema, schema_repairer)"
_RESULT = "(self, obj, start_index, schema, path, schema_repairer)"
_DEEPEST = 20  # lists and objects around a list whose elements are tried as JSON
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
        if len(added) != 1 or text[start] != added:
            return self._append(added)
        pattern, quiet = _run(self._state, parser)
        # What json_repair appends as an exception is special: the scan looks at what follows in
        # another way then, unless no quote follows.
        first = start
        if not self._starts_run(added):
            if added not in ",}":
                return self._append(added)
            if not quiet:
                pattern = _COMMAS if pattern in _MEMBERS else _NOTHING
            self._append(added)
            first += 1
        run = pattern.match(text, first)
        end = run.end() if run else first
        # Ends with an escape: what follows depends on that.
        if text[end - 2] == "\\":
            end = max(end - 2, first)
        elif text[end - 6 : end - 4] == "\\u":
            end = max(end - 6, first)
        if end > first:
            parser.index = end - 1
            self._parts.append(_meaning(text[first:end]))
            self._open += text.count("{", first, end) - text.count("}", first, end)
        elif first == start:
            return self._append(added)
        return self

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
        module, parser, strings, objects, lists = known
        functions = {**known[strings], **known[objects], **known[lists]}
        faster, self._flat = _faster(parser, known[parser], functions)
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
        objects = sys.modules[f"{package}.parse_object"]
        lists = sys.modules[f"{package}.parse_array"]
        methods = {name: vars(parser)[name] for name in _METHODS}
        functions = {name: vars(strings)[name] for name in _FUNCTIONS}
        members = {name: vars(objects)[name] for name in _OBJECTS}
        elements = {"parse_array": lists.parse_array}
        found = {
            "json_parser.py": methods,
            "parse_string.py": functions,
            "parse_object.py": members,
            "parse_array.py": elements,
            "json_repair.py": {"repair_json": repair},
        }
        if not all(_are_own(functions, file) for file, functions in found.items()):
            return None  # patched while we look
        state = strings.StringParseState
        if not isinstance(state, type) or state.__module__ != strings.__name__:
            return None
        functions["StringParseState"] = state
        known = {module: {"JSONParser": parser}, parser: methods, strings: functions}
        return cls(repair, {**known, objects: members, lists: elements})

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

    def is_entry(self: Any, char: str) -> bool:
        """``char.isalnum()``; where it isn't, and no quote, all that is skipped next is passed."""
        if char in _QUOTES or char.isalnum():
            return char not in _QUOTES
        text, index = self.json_str, self.index
        known, start, entry = self._entry
        if known is not text or not start <= index <= entry:
            found = _ENTRY.search(text, index)
            entry = found.start() if found else len(text)
            self._entry = text, index, entry
        self.index = entry - 1
        return False

    prepare = recompiled(
        functions["_prepare_string_entry"],
        {"StringParseState()": "_fc_state(self)", "char.isalnum()": "_fc_alnum(self, char)"},
        {"_fc_state": state_of, "_fc_alnum": is_entry},
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

    def key_of(self: Any) -> Any:
        """``parse_string`` in a key's place, where words that aren't keys are passed over."""
        words = _NO_KEYS.match(self.json_str, self.index)
        if words:
            self.index = words.end()
            return ""
        return parse_string(self)

    def begin(self: Any, made: list[Any]) -> None:
        text = self.json_str
        if 0 <= self.index < len(text):
            self.index = _SPACES.match(text, self.index).end()  # type: ignore[union-attr]
            if self.index < len(text) and plain_elements(self, made, self.index):
                self.index = _SEPARATORS.match(text, self.index).end()  # type: ignore[union-attr]

    def append(self: Any, made: list[Any], value: Any) -> None:
        made.append(value)
        at = _SEPARATORS.match(self.json_str, self.index) if self.index >= 0 else None
        if at and at.end() > self.index:
            plain_elements(self, made, at.end())

    def plain_elements(self: Any, made: list[Any], at: int) -> bool:
        """Elements that json_repair reads as JSON does; it stands behind the last of them then."""
        if self.deferred_contexts or len(self.context.context) > _DEEPEST:
            return False
        runs = self._runs
        if runs is None or runs.text is not self.json_str:
            runs = self._runs = Runs(self.json_str, _ODD, distinct=True)
        known = len(made)
        for found, end in runs.chunks(at, 2):
            _deeper(60)  # json_repair would be
            made += found
            self.index = end
        return len(made) > known

    parse_array = recompiled(
        functions["parse_array"],
        {
            "self.skip_whitespaces()": "_fc_begin(self, arr)",
            "arr.append(value)": "_fc_append(self, arr, value)",
        },
        {"_fc_begin": begin, "_fc_append": append},
    )
    classify = recompiled(
        functions["_classify_empty_object_repair"],
        {"_strip_comments_for_empty_object_classification(body)": "_fc_strip(body)"},
        {"_fc_strip": functools.partial(_without_comments, functions)},
    )
    empty = recompiled(
        functions["_repair_empty_object_result"],
        {f"_classify_empty_object_repair{_EMPTY}": f"_fc_classify{_EMPTY}"},
        {"_fc_classify": classify},
    )
    member_key = recompiled(
        functions["_parse_object_key"],
        {"self.parse_string()": "_fc_key(self)"},
        {"_fc_key": key_of},
    )
    parse_object = recompiled(
        functions["parse_object"],
        {
            "_parse_object_key(self, obj)": "_fc_key(self, obj)",
            f"_repair_empty_object_result{_RESULT}": f"_fc_empty{_RESULT}",
        },
        {"_fc_key": member_key, "_fc_empty": empty},
    )
    plain_tuple = methods["parenthesized_is_explicit_tuple"]
    plain_start = methods["top_level_parenthesized_can_start_value"]
    json_of = recompiled(
        methods["parse_json"], {"self.get_char_at()": "_fc_start(self)"}, {"_fc_start": start_of}
    )
    plain_skip, plain_scroll = methods["skip_to_character"], methods["scroll_whitespaces"]

    class Faster(parser):  # type: ignore[misc]
        index: int
        json_str: str
        _ahead_text: str = ""
        _ahead: dict[Any, tuple[int, int]]
        _entry = "", 0, -1
        _runs: Runs | None = None
        _closers = "", -1

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

        def quotes_follow(self) -> bool:
            """False only if all quotes behind here are escaped."""
            text, index = self.json_str, self.index
            known = self._ahead.get(_DELIMITERS) if self._ahead_text is text else None
            if known and known[0] <= index <= known[1]:
                return known[1] < len(text)
            if index < 1 or text[index - 1] == "\\":
                return True
            return index + self.skip_to_character(_DELIMITERS) < len(text)

        def scroll_whitespaces(self, idx: int = 0) -> int:
            start = self.index + idx
            if not 0 <= start < len(self.json_str):
                return plain_scroll(self, idx)  # type: ignore[no-any-return]
            return _SPACES.match(self.json_str, start).end() - self.index  # type: ignore[union-attr]

        def skip_whitespaces(self) -> None:
            if 0 <= self.index < len(self.json_str):
                self.index = _SPACES.match(self.json_str, self.index).end()  # type: ignore[union-attr]

        def _closes(self) -> bool:
            """Whether anything behind here could end or part what is in parentheses."""
            text = self.json_str
            if self._closers[0] is not text:
                self._closers = text, max(text.rfind(","), text.rfind(")"))
            return self._closers[1] > self.index

        def parenthesized_is_explicit_tuple(self) -> bool:
            if self._closes():
                return plain_tuple(self)  # type: ignore[no-any-return]
            return not _CONTENT.search(self.json_str, self.index + 1)

        def top_level_parenthesized_can_start_value(self) -> bool:
            text, inner = self.json_str, _CONTENT.search(self.json_str, self.index + 1)
            if self._closes() or not inner:
                return plain_start(self)  # type: ignore[no-any-return]
            self.json_str = text[: inner.end() + 8]  # it never ends: so much decides
            try:
                return plain_start(self)  # type: ignore[no-any-return]
            finally:
                self.json_str = text

    for name, function, call in (
        ("parse_string", parse_string, "_parse_string(self)"),
        ("parse_array", parse_array, "_parse_array(self, schema, path, closing_delimiter)"),
        ("parse_object", parse_object, "_parse_object(self, schema, path)"),
    ):
        ours = {call: f"_fc{call}"}
        setattr(Faster, name, recompiled(methods[name], ours, {f"_fc_{name}": function}))
    Faster.parse_json = json_of
    flat = (
        start_of,
        is_entry,
        key_of,
        begin,
        append,
        Faster.parenthesized_is_explicit_tuple,
        Faster._closes,
        Faster.scroll_whitespaces,
        Faster.skip_whitespaces,
        Faster.skip_to_character,
    )
    return Faster, {function.__code__ for function in flat}


def _deeper(frames: int) -> None:
    if frames:
        _deeper(frames - 1)


class _Colonless:
    """An object's text in which what is looked for isn't."""

    def __init__(self, body: str) -> None:
        self._body = body

    def lstrip(self) -> _Colonless:
        return self

    def __bool__(self) -> bool:
        return bool(self._body)

    def __iter__(self) -> Iterator[str]:
        return iter(())


def _without_comments(functions: dict[str, Any], body: str) -> Any:
    if "#" in body or "/" in body:
        body = functions["_strip_comments_for_empty_object_classification"](body)
    return body if ":" in body else _Colonless(body.lstrip())


_RUNS: dict[Any, re.Pattern[str]] = {}
_MEMBERS: set[re.Pattern[str]] = set()
_COMMAS = re.compile(r"(?:\s*,(?=\s*,)){1,1000}")
_NOTHING = re.compile(r"(?!)")
_COMMA = r"|,(?!\s*(?:\Z|[}\"'“”`{\[]|\w[\w\-]*\s*:))"


def _run(state: Any, parser: Any) -> tuple[re.Pattern[str], bool]:
    """Characters that are just appended here, and escapes whose meaning is the same everywhere.

    And whether no quote follows: then commas that can't part members belong to the string. In a
    span of low quotes, or while a container is open, each special character counts.
    """
    context = parser.context
    delimiter, missing = state.rstring_delimiter, state.missing_quotes
    place = context.current.name if context.current else ""
    listed = any(value.name == "ARRAY" for value in context.context)
    busy = len(delimiter) > 1 or state.pending_inline_container or state.inline_container_stack
    member = place == "OBJECT_VALUE" and not busy
    quiet = member and not parser.quotes_follow()
    key = (delimiter[0], missing, place, listed, bool(busy), quiet)
    found = _RUNS.get(key)
    if found is None:
        special = re.escape("".join(_SPECIAL)) if busy else _specials(delimiter, place, listed)
        special += "," if missing and listed else ""
        special += "\\s" if missing else ""
        others = "" if busy else _ESCAPES
        if quiet and not missing:  # braces that are closed belong to it, too
            special += "{"
            # A quote in front of a closing brace would count.
            inside = f"(?:[^{special}]|\\\\[ntrb]{_COMMA}){{0,200}}"
            others += rf"{_COMMA}|\{{{inside}\}}|\{{"
        found = _RUNS[key] = re.compile(f"(?:[^{special}]+{others}){{1,1000}}")
        if member and not missing:
            _MEMBERS.add(found)
    return found, quiet


def _specials(delimiter: str, place: str, listed: bool) -> str:
    special = f"\\0„\\\\{delimiter}"
    if place == "OBJECT_VALUE":
        special += ",}"
    if listed:
        special += "\\]"
    if place == "OBJECT_KEY":
        special += ":"
    return special


def _meaning(run: str) -> str:
    """No backslash in it stands for itself."""
    if "\\" in run:
        if "\\u" in run:
            run = _UNICODE.sub(lambda found: chr(int(found[1], 16)), run)
        for escape, meaning in _ESCAPED.items():
            run = run.replace(escape, meaning)
        run = run.replace("\\", "")  # before quotes
    return run


_TARGETS: dict[Any, re.Pattern[str]] = {}


def _targets(key: str | tuple[str, ...]) -> re.Pattern[str]:
    """Any of them. The parser knows a dozen keys."""
    found = _TARGETS.get(key)
    if found is None:
        found = _TARGETS[key] = re.compile("[" + re.escape("".join(key)) + "]")
    return found


def _unescaped(targets: re.Pattern[str], text: str, start: int) -> int:
    """Where the first of the targets is that no odd number of backslashes precedes, or the end."""
    for found in targets.finditer(text, start):
        at = before = found.start()
        while before > start and text[before - 1] == "\\":
            before -= 1
        if (at - before) % 2 == 0:
            return at
    return len(text)
