"""Checkpoints in SQLite where Python's SQLite has no ``jsonb`` (before 3.45).

CrewAI's statements stay, on Python's own connection; only the function that they call and SQLite
lacks is given to it. What it stores is what a newer SQLite stores.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from typing import Any

from fast_crewai import _core
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Route, Site

_MODULE = "crewai.state.provider.sqlite_provider"
_PROVIDER = f"{_MODULE}:SqliteProvider"
_WHY = "fails with any SQLite before 3.45, which has no jsonb (Debian 12's Python: 3.40)"


@lru_cache(maxsize=1)
def is_lacking() -> bool:
    """Whether Python's SQLite has no ``jsonb``."""
    with closing(sqlite3.connect(":memory:")) as memory:
        try:
            memory.execute("SELECT jsonb('1')")
        except sqlite3.Error:
            return True
    return False


def _stored(value: Any) -> Any:
    return None if value is None else _core.jsonb_of(value)


def _read(value: Any) -> Any:
    if isinstance(value, bytes):
        return _core.text_of_jsonb(value)
    return None if value is None else _core.text_of_jsonb(_core.jsonb_of(value))


FUNCTIONS = (("jsonb", 1, _stored), ("json", 1, _read))


def _equipped(connection: Any) -> Any:
    if is_lacking() and type(connection) is sqlite3.Connection:
        for name, count, function in FUNCTIONS:
            connection.create_function(name, count, function)
    return connection


def _by_position(function: Any) -> Callable[..., Any]:
    """The same function for calls with all arguments by position, as dispatchers make them."""
    code = function.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    function.__code__ = code.replace(co_argcount=count, co_kwonlyargcount=0)
    function.__kwdefaults__ = None
    return function  # type: ignore[no-any-return]


def _plain(site: Site) -> Callable[..., Any]:
    path = "location" if site.name == "checkpoint" else "db_path"
    made = recompiled(
        site.original,
        {f"sqlite3.connect({path})": f"_fc_equipped(sqlite3.connect({path}))"},
        {"_fc_equipped": _equipped},
    )
    return _by_position(made)


def _asynchronous(site: Site) -> Callable[..., Any]:
    import aiosqlite

    async def equipped(connection: Any) -> Any:
        if is_lacking() and type(connection) is aiosqlite.Connection:
            for name, count, function in FUNCTIONS:
                await connection.create_function(name, count, function)
        return connection

    given = (
        "_INSERT, (checkpoint_id, ts, parent_id, branch, data)"
        if site.name == "acheckpoint"
        else "_SELECT, (checkpoint_id,)"
    )
    made = recompiled(
        site.original,
        {f"await db.execute({given})": f"await (await _fc_equipped(db)).execute({given})"},
        {"_fc_equipped": equipped},
    )
    return _by_position(made)


ROUTES = tuple(
    Route(name=f"database.jsonb-{what}", target=f"{_PROVIDER}.{method}", why=_WHY, build=build)
    for what, method, build in (
        ("write", "checkpoint", _plain),
        ("write-async", "acheckpoint", _asynchronous),
        ("read", "from_checkpoint", _plain),
        ("read-async", "afrom_checkpoint", _asynchronous),
    )
)
