"""The contents of folders as JSON on stdout; run with the Python of the program that wrote them.

    python snapshot.py NAME=FOLDER …

A file becomes {"path", and one of "json", "lines", "tables" (SQLite), "pickle", "rows" (Lance),
"binary" (listed only)}; folders of their own are not listed.
"""

from __future__ import annotations

import hashlib
import json
import math
import pickle
import re
import sqlite3
import sys
from pathlib import Path
from typing import Any

# Random by nature, or the cache of something else than CrewAI.
_LISTED_ONLY = ("secret.key", ".bin", "-wal", "-shm", "-journal")
_IGNORED = ("__pycache__", ".cache", ".lock")
_INLINE = 200  # characters; longer binary values become a digest


def snapshot(folder: Path) -> list[dict[str, Any]]:
    """All files below a folder, in the order of their paths."""
    found: list[dict[str, Any]] = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if any(part.endswith(_IGNORED) for part in relative.parts):
            continue
        inside = next((p for p in relative.parents if p.name.endswith(".lance")), None)
        if path.is_dir() and path.name.endswith(".lance"):
            found.append({"path": str(relative), **_lance(path)})
        elif path.is_file() and inside is None:
            found.append({"path": str(relative), **_content(path)})
    return found


def _content(path: Path) -> dict[str, Any]:
    if path.name.endswith(_LISTED_ONLY):
        return {"binary": "not compared"}
    data = path.read_bytes()
    if data.startswith(b"SQLite format 3\x00"):
        if path.name == "chroma.sqlite3":  # Rust hash maps give its settings and rows their order
            tables = _tables(path, layouts=False)
            return {"unordered tables": json.loads(json.dumps(tables, sort_keys=True))}
        return {"tables": _tables(path)}
    if path.suffix == ".pkl":
        return {"pickle": _plain(pickle.loads(data))}
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"binary": "not compared"}
    if path.suffix == ".json":
        try:
            return {"json": json.loads(text), "layout": _layout(text)}
        except ValueError:
            pass
    return {"lines": text.split("\n")}


def _layout(text: str) -> dict[str, Any]:
    """How JSON is written down: its white space, and whether other letters are escaped."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*', "#", text)
    return {
        "bare": hashlib.sha256(bare.encode()).hexdigest(),
        "escapes": "\\u" in text,
        "ascii": text.isascii(),
    }


def _tables(path: Path, *, layouts: bool = True) -> dict[str, Any]:
    connection = sqlite3.connect(path)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    try:
        schema = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        ).fetchall()
        content: dict[str, Any] = {"<schema>": [list(row) for row in schema]}
        for (name,) in tables:
            quoted = '"' + name.replace('"', '""') + '"'
            try:
                cursor = connection.execute(f"SELECT * FROM {quoted} ORDER BY rowid")
            except sqlite3.OperationalError:
                cursor = connection.execute(f"SELECT * FROM {quoted}")
            columns = [column[0] for column in cursor.description]
            content[name] = [
                {
                    column: _cell(value, layout=layouts)
                    for column, value in zip(columns, row, strict=True)
                }
                for row in cursor
            ]
        return content
    finally:
        connection.close()


def _cell(value: Any, *, layout: bool = True) -> Any:
    """A value of a row; JSON in a text is taken apart."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            content = {"<json>": json.loads(value)}
        except ValueError:
            return value
        return content | {"<layout>": _layout(value)} if layout else content
    return _plain(value)


def _lance(path: Path) -> dict[str, Any]:
    import lancedb

    table = lancedb.connect(path.parent).open_table(path.stem)
    rows = table.to_arrow().to_pylist()
    versions = len(list((path / "_versions").glob("*")))
    rows = [{name: _cell(value) for name, value in row.items()} for row in rows]
    return {
        "rows": rows,
        "versions": versions,
        "indices": sorted(i.name for i in table.list_indices()),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, bytes):
        return value.hex() if len(value) <= _INLINE else hashlib.sha256(value).hexdigest()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def main() -> None:
    folders = dict(argument.split("=", 1) for argument in sys.argv[1:])
    json.dump({name: snapshot(Path(path)) for name, path in folders.items()}, sys.stdout)


if __name__ == "__main__":
    main()
