"""Digests of code that do not change with formatting, comments, docstrings or line numbers.

A route is proven against certain digests of the function it replaces and of the helpers whose
behaviour it inlines. ``tools/fingerprint.py`` computes the same digests from unpacked wheels.
"""

from __future__ import annotations

import ast
import hashlib
import io
import re
import tokenize
import types
from collections.abc import Iterable
from functools import lru_cache

from fast_crewai.hooks import store
from fast_crewai.hooks.route import undecorated

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IGNORED_FIELDS = frozenset({"ctx", "kind", "type_comment"})


class UnreadableError(Exception):
    """The object has no source that could be compared; the text says why."""


def digest_of(value: object) -> str:
    """Digest of a live function, property, class- or staticmethod, compiled regex or constant.

    Raises UnreadableError when its source can't be found.
    """
    if isinstance(value, (classmethod, staticmethod)):
        value = value.__func__
    if isinstance(value, property):
        value = value.fget
    if isinstance(value, types.FunctionType):
        function = undecorated(value)
        code = function.__code__
        known = _digests.get(id(code))
        if known is None or known[0] is not code:
            known = _digests[id(code)] = code, _digest_of_code(function)
        return known[1]
    return digest_of_constant(value)


# Many routes read the same functions. By identity: equal code may come from another text.
_digests: dict[int, tuple[types.CodeType, str]] = {}


def _digest_of_code(function: types.FunctionType) -> str:
    parts = source_digest(function), function.__code__.co_firstlineno
    return store.remembered("digest", parts, lambda: digest_of_node(definition_of(function)))


def source_digest(function: types.FunctionType) -> str:
    """Digest of the file that a function comes from. Raises UnreadableError."""
    return _file(function.__code__.co_filename)[1]


def digest_of_constant(value: object) -> str:
    """Digest of a compiled regex or of a plain constant."""
    if isinstance(value, re.Pattern):
        return _hash(f"regex {value.pattern!r} {value.flags}")
    if value is None or isinstance(value, (str, bytes, int, float)):
        return _hash(f"constant {value!r}")
    raise UnreadableError(f"a {type(value).__name__} has no fingerprint")


def digest_of_import(target: str) -> str:
    """Digest of a name that a module imports from the standard library."""
    return _hash(f"import {target}")


def digest_of_node(node: ast.AST) -> str:
    """Digest of a parsed function or class."""
    parts: list[str] = []
    _write(node, parts)
    return _hash("".join(parts))


def combine(target: str, reads: Iterable[tuple[str, str]]) -> str:
    """One digest for a function (its own digest) and the helpers it is replaced together with."""
    return _hash("\n".join([target, *(f"{name} {digest}" for name, digest in sorted(reads))]))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _write(node: object, parts: list[str]) -> None:
    # Empty fields are left out, so that fields which newer Pythons add change nothing.
    if isinstance(node, ast.AST):
        parts.append(f"({type(node).__name__}")
        for name, value in ast.iter_fields(node):
            if name in _IGNORED_FIELDS or value is None or value == []:
                continue
            if name == "body" and isinstance(node, _DEFINITIONS):
                value = _without_docstring(value)
            parts.append(f" {name}=")
            _write(value, parts)
        parts.append(")")
    elif isinstance(node, list):
        parts.append("[")
        for item in node:
            _write(item, parts)
        parts.append("]")
    else:
        parts.append(repr(node))


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return body[1:] if isinstance(first.value.value, str) else body
    return body


def definition_of(
    function: types.FunctionType,
) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef:
    """A live function's definition, parsed. Raises UnreadableError."""
    lines = _file_lines(function.__code__.co_filename)
    first = function.__code__.co_firstlineno - 1
    if first >= len(lines):
        raise UnreadableError("its source is shorter than its code says")
    segment = _block(lines, first)
    try:
        tree = ast.parse("if 1:\n" + segment if segment[:1].isspace() else segment)
    except SyntaxError:  # an unusual layout: look it up in the whole module
        tree = ast.parse("\n".join(lines))
        start = first + 1
    else:
        start = 2 if segment[:1].isspace() else 1
    for node in ast.walk(tree):
        if isinstance(node, _DEFINITIONS) and start_line(node) == start:
            return node
    raise UnreadableError(f"{function.__qualname__} is not where its code says")


def start_line(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    """The first line of a definition, decorators included."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


@lru_cache(maxsize=4)  # routes of one module are checked one after the other
def _file_lines(filename: str) -> list[str]:
    text = io.BytesIO(_file(filename)[0])
    try:
        encoding, _ = tokenize.detect_encoding(text.readline)
        text.seek(0)
        with io.TextIOWrapper(text, encoding) as file:
            return file.read().split("\n")
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UnreadableError(f"its source is not readable: {error}") from error


def _file(filename: str) -> tuple[bytes, str]:
    # Read by the code's own file name: CrewAI overwrites __file__ and __spec__ of six modules.
    try:
        return store.source(filename)
    except OSError as error:
        raise UnreadableError(f"its source is not readable: {error}") from error


def _block(lines: list[str], first: int) -> str:
    """The lines of the definition (decorators included) that starts at index ``first``."""
    indent = len(lines[first]) - len(lines[first].lstrip())
    last = first
    in_header = True
    for number in range(first, len(lines)):
        text = lines[number].strip()
        if not text or text.startswith("#"):
            continue
        level = len(lines[number]) - len(lines[number].lstrip())
        if in_header:
            in_header = not text.startswith(("def ", "async def ", "class "))
        elif level <= indent and not text.startswith((")", "]", "}")):
            break
        last = number
    return "\n".join(lines[first : last + 1]) + "\n"
