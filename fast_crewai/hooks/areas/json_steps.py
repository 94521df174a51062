"""json_repair's parser with faster steps: its own code, recompiled, decides."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from fast_crewai._core import repaired_elements, repaired_members
from fast_crewai.hooks.areas.json_certain import Certain
from fast_crewai.hooks.areas.json_strings import Text
from fast_crewai.hooks.areas.recompile import recompiled

_SPACES = re.compile(r"\s*")
_QUOTES = frozenset("\"'“”")
_DELIMITERS = ('"', "'", "“", "”")
_ENTRY = re.compile(r"[^\W_]|[\"'“”]")
_CONTENT = re.compile(r"[^\s\\]")
_SEPARATORS = re.compile(r"[\s,]*")
# Words in a key's place that no colon follows: each is read and dropped.
_STOP = r"\s\]:\"'“”„\\\0"
_NO_KEYS = re.compile(rf"(?:\{{?[^\W_][^{_STOP}]*\s+(?=[^{_STOP},}}#/\[])){{1,1000}}")
_EMPTY = "(self, start_index, schema, schema_repairer)"
_RESULT = "(self, obj, start_index, schema, path, schema_repairer)"
_DEEPEST = 20  # lists and objects around what is read many at a time
_STARTS = re.compile(r"[{\[(#/]")


def faster(parser: Any, methods: dict[str, Any], functions: dict[str, Any]) -> tuple[Any, Any]:
    """The parser, and the code of ours that calls nothing where json_repair's doesn't."""
    new_state, contexts = functions["StringParseState"], functions["ContextValues"]

    def state_of(self: Any) -> Any:
        state = new_state()
        state.string_acc = Text(self, state)
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
            self.index = at = _SPACES.match(text, self.index).end()  # type: ignore[union-attr]
            if at < len(text) and text[at] != ",":
                append_more(self, made)
                if self.index > at:
                    self.index = _SEPARATORS.match(text, self.index).end()  # type: ignore[union-attr]

    def append(self: Any, made: list[Any], value: Any) -> None:
        made.append(value)
        append_more(self, made)

    def append_more(self: Any, made: list[Any]) -> None:
        """What is certain; it stands behind that then, as json_repair would."""
        text, known = self.json_str, self._elements
        if known is None or known.text is not text:
            known = self._elements = Certain(text, repaired_elements)
        if self.index >= known.again and not self.deferred_contexts:
            read_on(self, known, made)

    def members(self: Any, made: dict[str, Any]) -> Any:
        text, known = self.json_str, self._members
        if known is None or known.text is not text:
            known = self._members = Certain(text, repaired_members)
        if self.index >= known.again and not self.deferred_contexts:
            read_on(self, known, made)
        return self

    def read_on(self: Any, known: Certain, made: Any) -> None:
        at = self.index
        if 0 <= at < len(known.text) and len(self.context.context) <= _DEEPEST:
            if not has_room():
                return
            end = known.read(made, at)
            if end > at:
                self.index = end

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
            "_parse_object_key(self, obj)": "_fc_key(_fc_members(self, obj), obj)",
            f"_repair_empty_object_result{_RESULT}": f"_fc_empty{_RESULT}",
        },
        {"_fc_key": member_key, "_fc_members": members, "_fc_empty": empty},
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
        array, object_value = contexts.ARRAY, contexts.OBJECT_VALUE
        _elements: Certain | None = None
        _members: Certain | None = None
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
        append_more,
        members,
        read_on,
        Faster.parenthesized_is_explicit_tuple,
        Faster._closes,
        Faster.scroll_whitespaces,
        Faster.skip_whitespaces,
        Faster.skip_to_character,
    )
    return Faster, {function.__code__ for function in flat}


def has_room() -> bool:
    """Whether what we stand for, which calls deeper than we do, surely has enough of the stack."""
    try:
        _deeper(60)
    except RecursionError:
        return False
    return True


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
