"""A string that json_repair has begun: what it appends one by one is taken at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fast_crewai._core import Declined

# In a string these are all that json_repair ever looks at; in a key without quotes, spaces too.
_SPECIAL = frozenset("\0\"'“”„{}[](),:\\")
_ESCAPES = r"|\\(?:[ntrb\"']|u(?!00(?:5[cC]|7[bBdD]))[0-9a-fA-F]{4})"
_UNICODE = re.compile(r"\\u(....)")
_ESCAPED = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\b": "\b"}
_BACKSLASHES = re.compile(r"\\+")


class Text:
    """What a string has so far, as json_repair's code uses it: it only ever changes the end."""

    __slots__ = ("_escaping", "_open", "_parser", "_parts", "_state")

    def __init__(self, parser: Any, state: Any) -> None:
        self._parser, self._state = parser, state
        self._parts: list[str] = []
        self._open = 0
        self._escaping = False  # the backslash is taken away, what it stands for comes next

    def __iadd__(self, added: str) -> Text:
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
            if not quiet:  # a comma in front of another one is read as that one is
                pattern = _COMMAS if added == "," and pattern in _MEMBERS else _NOTHING
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

    def __add__(self, added: str) -> Text:
        """``text[:-1] + added``, where backslashes take each other's place."""
        parser = self._parser
        if added == "\\" and parser.json_str[parser.index] == "\\":
            parser.index = _BACKSLASHES.match(parser.json_str, parser.index).end() - 1  # type: ignore[union-attr]
        return self._append(added)

    def _append(self, added: str) -> Text:
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
    current, stack = parser.context.current, parser.context.context
    delimiter, missing = state.rstring_delimiter, state.missing_quotes
    listed = parser.array in stack
    busy = len(delimiter) > 1 or state.pending_inline_container or state.inline_container_stack
    member = current is parser.object_value and not busy
    quiet = member and not parser.quotes_follow()
    key = (delimiter[0], missing, current, listed, not busy, quiet)
    found = _RUNS.get(key)
    if found is None:
        place = current.name if current else ""
        special = re.escape("".join(_SPECIAL)) if busy else _specials(delimiter, place, listed)
        special += "," if missing and listed else ""
        special += "\\s" if missing and place == "OBJECT_KEY" else ""
        others = "" if busy else _ESCAPES
        if quiet and not missing:  # braces that are closed belong to it, too
            special += "{"
            # A quote in front of a closing brace would count.
            inside = f"(?:[^{special}]|\\\\[ntrb]{_COMMA}){{0,200}}"
            others += rf"{_COMMA}|\{{{inside}\}}|\{{"
        found = re.compile(f"(?:[^{special}]+{others}){{1,1000}}")
        if member and not missing:
            _MEMBERS.add(found)
        _RUNS[key] = found
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
