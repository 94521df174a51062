"""``crewai checkpoint`` on a database whose checkpoints Python's SQLite can't read.

CrewAI's own code runs first, and stays the one that runs, unless SQLite says "malformed JSON" of
a checkpoint. Then the same code reads once more, with a ``json`` that knows what ``jsonb`` wrote.
If that fails too, the first error is the one that is seen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

from fast_crewai import _core
from fast_crewai.hooks.areas import jsonb
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Route, Site

_MODULE = "crewai_cli.checkpoint_cli"
_CONNECT = "sqlite3.connect(db_path)"
_connect = sqlite3.connect


def _read(value: Any) -> Any:
    """``json`` of SQLite itself, and of what is stored as bytes, in both ways."""
    with closing(sqlite3.connect(":memory:")) as own:
        try:
            return own.execute("SELECT json(?)", (value,)).fetchone()[0]
        except sqlite3.OperationalError:
            if type(value) is not bytes:
                raise
    return _core.text_of_jsonb(value)


def _equipped(connection: sqlite3.Connection) -> sqlite3.Connection:
    connection.create_function("json", 1, _read)
    return connection


def _reading(site: Site) -> Callable[..., Any]:
    original = site.original
    namespace = original.__globals__
    equipped = recompiled(
        original, {_CONNECT: f"_fc_equipped({_CONNECT})"}, {"_fc_equipped": _equipped}
    )

    def fast(*arguments: Any) -> Any:
        try:
            return original(*arguments)
        except sqlite3.OperationalError as error:
            if str(error) != "malformed JSON" or not jsonb.is_lacking():
                raise
            if namespace["sqlite3"] is not sqlite3 or sqlite3.connect is not _connect:
                raise
            first = error
        try:  # outside of the handler: what CrewAI's code raises now has no context of ours
            try:
                return equipped(*arguments)
            except sqlite3.Error:
                pass
            raise first
        finally:
            del first  # it holds this frame, and so the connection

    return fast


ROUTES = tuple(
    Route(
        name=f"database.jsonb-{what}",
        target=f"{_MODULE}:{function}",
        why="fails on its own checkpoints with any SQLite before 3.45, which has no jsonb",
        build=_reading,
    )
    for what, function in (
        ("list", "_list_sqlite"),
        ("latest", "_info_sqlite_latest"),
        ("one", "_info_sqlite_id"),
    )
)
