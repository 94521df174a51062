"""CrewAI's bugs: there without FAST_CREWAI_FIX, gone with it; always if CrewAI just fails."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from crewai.memory.storage.lancedb_storage import LanceDBStorage
from crewai.memory.types import MemoryRecord
from crewai.state.provider.sqlite_provider import SqliteProvider
from crewai.state.runtime import RuntimeState
from crewai.tools import BaseTool, tool
from crewai_cli import checkpoint_cli
from pydantic import BaseModel

import fast_crewai
from fast_crewai import engine
from fast_crewai.hooks.areas import jsonb
from fast_crewai.hooks.dispatch import is_ours, original_of

NOW = datetime(2026, 1, 1)
FIXES = (
    "lancedb-delete",
    "lancedb-scan-limit",
    "memory-files",
    "kept-connections",
    "checkpoint-functions",
)


@pytest.fixture(params=["plain", "fast", "fixed"])
def side(request, monkeypatch):
    if request.param == "fixed":
        monkeypatch.setenv("FAST_CREWAI_FIX", ",".join(FIXES))
    if request.param != "plain":
        fast_crewai.install()
    yield request.param
    fast_crewai.uninstall()


# ------------------------------------------------------------------------------- memory


def stored(folder, *places):
    storage = LanceDBStorage(path=folder, vector_dim=2, compact_every=0)
    records = [
        MemoryRecord(
            id=f"{scope} {age}",
            content="c",
            scope=scope,
            created_at=NOW - timedelta(days=age),
            embedding=[0.0, 1.0],
        )
        for scope, age in places
    ]
    storage.save(records)
    return storage


PLACES = [("/a", 0), ("/a", 9), ("/a/b", 0), ("/", 0), ("/", 9), ("/c", 9), ("/it's", 9)]


@pytest.mark.parametrize(
    ("options", "buggy", "right"),
    [
        (
            {"scope_prefix": "/a"},
            {"/a 0", "/a 9", "/a/b 0", "/ 0", "/ 9"},
            {"/a 0", "/a 9", "/a/b 0"},
        ),
        (
            {"scope_prefix": "/a", "older_than": NOW - timedelta(days=5)},
            {"/a 0", "/a 9", "/a/b 0", "/ 9"},
            {"/a 9"},
        ),
        ({"scope_prefix": "/it's"}, {"/it's 9", "/ 0", "/ 9"}, {"/it's 9"}),
        ({"older_than": NOW - timedelta(days=5)}, *[{"/a 9", "/ 9", "/c 9", "/it's 9"}] * 2),
        ({"record_ids": ["/a 0"]}, {"/a 0"}, {"/a 0"}),
        ({}, *[{f"{scope} {age}" for scope, age in PLACES}] * 2),
    ],
)
def test_what_a_deletion_deletes(side, tmp_path, options, buggy, right):
    storage = stored(tmp_path, *PLACES)
    count = storage.delete(**options)
    left = {record.id for record in storage.list_records()}
    deleted = {f"{scope} {age}" for scope, age in PLACES} - left
    assert deleted == (right if side == "fixed" else buggy)
    assert count == len(deleted)


def test_more_records_than_crewai_looks_at(side, tmp_path):
    storage = stored(tmp_path, ("/a", 0))
    row = storage._table.to_arrow()
    import pyarrow

    storage._table.add(pyarrow.concat_tables([row] * 50_000))
    storage._table.add(row.set_column(row.schema.get_field_index("scope"), "scope", [["/z"]]))
    whole = side == "fixed"
    assert storage.get_scope_info("/").record_count == (50_002 if whole else 50_000)
    assert storage.list_scopes("/") == (["/a", "/z"] if whole else ["/a"])
    assert len(storage._scan_rows(limit=3)) == 3
    assert len(storage._scan_rows(limit=50_001, columns=["scope"])) == 50_001


# --------------------------------------------------------------------------- checkpoints


@tool("adder")
def add(first: int, second: int) -> int:
    """Adds."""
    return first + second


class Holder(BaseModel):
    """Holds tools as CrewAI's agents do."""

    tools: list[BaseTool]


def test_a_tool_made_of_a_function(side, monkeypatch):
    if side != "fixed":
        with pytest.raises(Exception, match="Unable to serialize unknown type"):
            Holder(tools=[add]).model_dump_json()
        return
    text = Holder(tools=[add]).model_dump_json()
    dumped = json.loads(text)["tools"][0]
    assert dumped["func"] == f"{__name__}.add"
    assert list(dumped) == [*type(add).model_fields, "tool_type"]
    with pytest.raises(ValueError, match="CREWAI_DESERIALIZE_CALLBACKS=1"):
        Holder.model_validate_json(text)  # as CrewAI with the names of callbacks
    monkeypatch.setenv("CREWAI_DESERIALIZE_CALLBACKS", "1")
    restored = Holder.model_validate_json(text).tools[0]
    assert type(restored) is type(add)
    assert restored.func is add.func
    assert restored.run(first=1, second=2) == 3
    assert add.model_dump()["func"] is add.func
    assert "func" not in add.model_dump(mode="json", exclude={"func"})


def test_a_tool_made_of_a_closure_is_saved_without_it(side):
    def inner(first: int) -> int:
        """Adds."""
        return first

    made = tool("inner")(inner)
    if side != "fixed":
        with pytest.raises(Exception, match="Unable to serialize unknown type"):
            made.model_dump(mode="json")
        return
    text = Holder(tools=[made]).model_dump_json()
    assert json.loads(text)["tools"][0]["func"] is None
    with pytest.raises(ValueError, match="func"):
        Holder.model_validate_json(text)


@pytest.mark.filterwarnings("ignore")
def test_a_state_with_such_a_tool_is_restored(side, monkeypatch):
    from crewai import Agent

    monkeypatch.setenv("CREWAI_DESERIALIZE_CALLBACKS", "1")
    agent = Agent(role="r", goal="g", backstory="b", tools=[add], llm="gpt-4o")
    state = RuntimeState(root=[agent])
    if side != "fixed":
        with pytest.raises(Exception, match="Unable to serialize unknown type"):
            state.model_dump(mode="json")
        return
    text = json.dumps(state.model_dump(mode="json"))
    restored = RuntimeState.model_validate_json(text, context={"from_checkpoint": True})
    assert restored.root[0].tools[0].func is add.func


TEXT = json.dumps({"ä": [1, 2.5, None, "\ud800"], "deep": {"x": [{}] * 100}})


def test_sqlite_without_jsonb(side, tmp_path):
    if side == "plain" and jsonb.is_lacking():
        with pytest.raises(sqlite3.OperationalError, match="no such function: jsonb"):
            SqliteProvider().checkpoint(TEXT, str(tmp_path / "c.db"))
        return
    provider, path = SqliteProvider(), tmp_path / "c.db"
    place = provider.checkpoint(TEXT, str(path), parent_id="p")
    assert json.loads(provider.from_checkpoint(place)) == json.loads(TEXT)
    assert [p.name for p in tmp_path.iterdir()] == ["c.db"]
    shutil.copy(path, tmp_path / "newer.db")  # read as a newer SQLite does
    newer = fast_crewai.AcceleratedSQLiteWrapper(str(tmp_path / "newer.db"), use_rust=True)
    rows = newer.execute_query("SELECT json(data) AS text, data, parent_id FROM checkpoints")
    assert json.loads(rows[0]["text"]) == json.loads(TEXT)
    again = newer.execute_query("SELECT jsonb(?) AS data", (TEXT,))
    assert (again[0]["data"], rows[0]["parent_id"]) == (rows[0]["data"], "p")


def test_the_command_reads_checkpoints_where_sqlite_has_no_jsonb(side, tmp_path):
    if side == "plain" and jsonb.is_lacking():
        return  # nothing can be written
    checkpoint = {"trigger": "ä", "entities": [{"entity_type": "crew", "name": "c", "tasks": [{}]}]}
    path = str(tmp_path / "c.db")
    for number in range(2):
        text = json.dumps({**checkpoint, "branch": str(number)})
        place = SqliteProvider().checkpoint(text, path)
    name = place.rpartition("#")[2]
    listed = checkpoint_cli._list_sqlite(path)
    assert [(found["branch"], found["trigger"]) for found in listed] == [("1", "ä"), ("0", "ä")]
    assert listed[0]["entities"][0]["tasks_total"] == 1
    assert checkpoint_cli._info_sqlite_latest(path) == listed[0]
    assert checkpoint_cli._info_sqlite_id(path, name) == listed[0]
    assert checkpoint_cli._info_sqlite_id(path, name[3:]) == listed[0]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE checkpoints SET data = '{' WHERE id = ?", (name,))
    with pytest.raises(sqlite3.OperationalError, match="malformed JSON"):
        checkpoint_cli._list_sqlite(path)


def test_only_connections_of_crewais_get_the_functions(side, tmp_path):
    if side == "plain" or not jsonb.is_lacking():
        return
    SqliteProvider().checkpoint("{}", str(tmp_path / "c.db"))
    with closing(sqlite3.connect(tmp_path / "c.db")) as own, pytest.raises(sqlite3.Error):
        own.execute("SELECT jsonb('1')")


# ------------------------------------------------------------------------------ switches


def test_what_is_asked_for_is_applied_and_shown(side):
    registry = engine.registry()
    found = {name: state.state for name, state in registry.fixes.items()}
    assert set(found.values()) <= ({"active"} if side == "fixed" else {"off", "waiting"})
    if side != "plain":
        shown = {route["name"] for route in fast_crewai.status().routes()}
        assert set(found) <= shown if side == "fixed" else not set(found) & shown
    deletion = {"plain": None, "fast": "memory.forget", "fixed": "memory.fix-delete"}[side]
    assert getattr(LanceDBStorage.delete, "__fast_crewai_route__", None) == deletion
    assert all(registry.present(bug) for bug in registry.bugs.values() if bug.here())
    fast_crewai.uninstall()
    assert not is_ours(vars(LanceDBStorage)["delete"])
    assert original_of(vars(LanceDBStorage)["delete"]) is vars(LanceDBStorage)["delete"]


def test_a_bug_in_another_form_is_no_bug_of_this_crewai(side, monkeypatch):
    registry = engine.registry()
    bug = registry.bugs["lancedb-delete"]
    assert registry.present(bug)
    fast_crewai.uninstall()
    monkeypatch.setattr(LanceDBStorage, "delete", Path.unlink)
    assert not registry.present(bug)
