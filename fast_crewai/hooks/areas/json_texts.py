"""JSON in what a model has written, found and read in linear time."""

from __future__ import annotations

import json
import re
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.json_runs import Runs

_SPACE = re.compile(r"[ \t\r\n]*")
_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*(?=[ \t\r\n]*:)")
_QUOTED = {
    '"': re.compile(r'"([^"\\\x00-\x1f\x7f-\xa0\u2028\u2029]*)'),
    "'": re.compile(r"'([^'\\\x00-\x1f\x7f-\xa0\u2028\u2029]*)"),
}
_ESCAPES = {
    quote: re.compile(f"(?:\\\\.{found.pattern[1:]}){{1,1000}}", re.DOTALL)
    for quote, found in _QUOTED.items()
}
_END = r"(?=[ \t\r\n,\]}])"
_NUMBER = re.compile(rf"-?(?:0|[1-9][0-9]{{0,99}})(\.[0-9]+)?([eE][+-]?[0-9]+)?{_END}")
_WORD = re.compile(rf"(?:true|false|null){_END}")
_WORDS = {"true": True, "false": False, "null": None}
_ODD = r"[\\\x7f-\xa0\u2028\u2029]|[0-9]{100}"  # what isn't read below
_DEEPEST = 20  # json5 takes a dozen frames for each level


class Span:
    """As much of a match of ``{.*}`` as is read."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def group(self, number: int = 0) -> str:
        return self._text


def span(text: str) -> Span | None:
    """What the greedy ``({.*})`` finds: from the first brace to the last one, if that is behind."""
    first = text.find("{")
    last = text.rfind("}")
    return Span(text[first : last + 1]) if 0 <= first < last else None


def json5_object(text: str) -> dict[str, Any]:
    """What ``json5.loads`` makes of an object. Raises ValueError where it does.

    Raises Declined for what is not an object, and for all that is rare: comments, escapes,
    odd numbers, characters beyond ASCII outside of strings.
    """
    position = _SPACE.match(text).end()  # type: ignore[union-attr]
    if text[position : position + 1] != "{":
        raise Declined("not an object")
    return _Json5(text).read(position)


class _Json5:
    """An object or array at a time; the position behind each part is kept."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._runs = Runs(text, _ODD)

    def read(self, position: int) -> dict[str, Any]:
        self._at = position
        value = self._value(0)
        if self._next():
            raise Declined("something behind the object")
        return value  # type: ignore[no-any-return]

    def _next(self) -> str:
        """The next character that isn't a space; "" at the end."""
        self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
        return self._text[self._at : self._at + 1]

    def _needed(self) -> str:
        character = self._next()
        if not character:
            raise ValueError("ends too early")
        return character

    def _value(self, depth: int) -> Any:
        character = self._needed()
        if character in _QUOTED:
            return self._string(character)
        if character in "{[":
            if depth >= _DEEPEST:
                raise Declined("too deep")
            self._at += 1
            return self._object(depth + 1) if character == "{" else self._array(depth + 1)
        found = _NUMBER.match(self._text, self._at)
        if found:
            self._at = found.end()
            return float(found[0]) if found[1] or found[2] else int(found[0])
        found = _WORD.match(self._text, self._at)
        if not found:
            raise Declined("another kind of value")
        self._at = found.end()
        return _WORDS[found[0]]

    def _string(self, quote: str) -> str:
        text, start = self._text, self._at + 1
        found = _QUOTED[quote].match(text, self._at)
        while found is not None:
            end = found.end()
            found = _ESCAPES[quote].match(text, end)
        # Whatever its escapes mean: no quote behind the last of them.
        if end == len(text) or (text[end] == "\\" and end + 1 == len(text)):
            raise ValueError("a string without an end")
        if text[end] != quote:
            raise Declined("an unusual character in a string")
        self._at = end + 1
        inside = text[start:end]
        return _unescaped(quote, inside) if "\\" in inside else inside

    def _object(self, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while True:
            character = self._needed()
            if character == "}":
                self._at += 1
                return made
            if character in _QUOTED:
                key = self._string(character)
            else:
                found = _KEY.match(self._text, self._at)
                if not found:
                    raise Declined("another kind of key")
                self._at = found.end()
                key = found[0]
            if self._needed() != ":":
                raise Declined("no colon")
            self._at += 1
            made[key] = self._value(depth)
            self._separator("}")

    def _array(self, depth: int) -> list[Any]:
        made: list[Any] = []
        while True:
            if self._needed() == "]":
                self._at += 1
                return made
            known = len(made)
            for found, end in self._runs.chunks(self._at, _DEEPEST - depth):
                made += found
                self._at = end + 1
            if len(made) > known:
                continue
            made.append(self._value(depth))
            self._separator("]")

    def _separator(self, end: str) -> None:
        character = self._needed()
        if character == ",":
            self._at += 1
        elif character != end:
            raise Declined("no comma")


def _unescaped(quote: str, inside: str) -> str:
    """What JSON reads as JSON5 does. Raises Declined for the rest."""
    known = set(re.findall(r"\\(.)", inside, re.DOTALL)) <= set('nrtbf"\\/')
    if quote != '"' or not known:
        raise Declined("an unusual escape")
    return json.loads(f'"{inside}"')  # type: ignore[no-any-return]
