"""AcceleratedSQLiteWrapper: the same rows from Rust and Python, and CrewAI's files unharmed."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fast_crewai.database import AcceleratedSQLiteWrapper
from fast_crewai.errors import DatabaseError, NativeError

SIDES = (True, False)


def outcome(call: Any, *arguments: Any) -> Any:
    try:
        return "returned", call(*arguments)
    except (DatabaseError, TypeError) as error:
        return type(error).__name__


def pair() -> tuple[AcceleratedSQLiteWrapper, AcceleratedSQLiteWrapper]:
    """One of each, on databases of their own."""
    rust, python = (AcceleratedSQLiteWrapper(":memory:", use_rust=side) for side in SIDES)
    return rust, python


words = st.sampled_from(
    ["the", "Report", "cats", "naïve", "日本", "NOT", "OR", '"', "*", "a:b", "-", "x^2"]
)
descriptions = st.lists(words, max_size=6).map(" ".join) | st.text(max_size=10)
queries = st.lists(words, max_size=4).map(" ".join) | st.text(
    st.characters(exclude_categories=()), max_size=10
)
scores = st.floats(allow_nan=False) | st.integers(-3, 3)
dates = st.sampled_from(["2025-01-01", "2025-01-02", "2024-12-31"])
metadata = st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=2)
memories = st.lists(st.tuples(descriptions, metadata, dates, scores), max_size=8)


@given(memories, st.lists(queries, min_size=1, max_size=4), st.integers(-1, 5))
def test_memories(saved: list[Any], asked: list[str], limit: int) -> None:
    rust, python = pair()
    for memory in saved:
        assert outcome(rust.save_memory, *memory) == outcome(python.save_memory, *memory)
    for query in asked:
        assert rust.search_fts(query, limit) == python.search_memories_fts(query, limit), query
        assert outcome(rust.load_memories, query, limit) == outcome(
            python.load_memories, query, limit
        )
    assert rust.get_all_memories(limit) == python.get_all_memories(limit)
    for side in (rust, python):
        table = "long_term_memories_fts"
        side.execute_update(f"INSERT INTO {table}({table}, rank) VALUES ('integrity-check', 1)")


sql_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=()), max_size=4),
    st.binary(max_size=4),
    st.just(object()),
    st.binary(max_size=2).map(bytearray),
)
parameters = st.one_of(
    st.none(),
    st.lists(sql_values, max_size=3),
    st.lists(sql_values, max_size=3).map(tuple),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), sql_values, max_size=3),
)
statements = st.sampled_from(
    [
        "SELECT ? AS x, ? AS y",
        "SELECT :a AS a, :b AS b",
        "SELECT 1 AS same, 2 AS same",
        "INSERT INTO t VALUES (?, ?)",
        "INSERT INTO t VALUES (:a, :b) RETURNING x",
        "UPDATE t SET y = 5 WHERE x = ?",
        "UPDATE t SET y = y",
        "DELETE FROM t",
        "SELECT x, y FROM t ORDER BY rowid",
        "CREATE TABLE IF NOT EXISTS u (v)",
        "WITH w(x) AS (SELECT ?) INSERT INTO t SELECT x, 1 FROM w",
        "SELECT 1; SELECT 2",
        "nonsense",
        "SELECT * FROM nothing",
        "BEGIN",
        "COMMIT",
        "",
        "-- nothing",
        "SELECT '\0'",
        "PRAGMA user_version",
        "SELECT CAST(x'ff' AS TEXT)",
    ]
)
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["execute_query", "execute_update"]), statements, parameters),
        st.tuples(
            st.just("execute_batch"), st.lists(st.tuples(statements, parameters), max_size=3)
        ),
    ),
    max_size=6,
)


@given(steps)
@example([("execute_query", "SELECT 1 AS same, 2 AS same", {"a": 2**63})])  # nobody asks for it
@example([("execute_query", "SELECT 1 AS same, 2 AS same", {"a": "\ud800"})])
def test_statements(run: list[Any]) -> None:
    rust, python = pair()
    for side in (rust, python):
        side.execute_update("CREATE TABLE t (x, y)")
    for method, *arguments in run:
        results = [outcome(getattr(side, method), *arguments) for side in (rust, python)]
        assert repr(results[0]) == repr(results[1]), (method, arguments)  # nan is nan


def test_common_words_alone_find_nothing_more() -> None:
    insert = "INSERT INTO long_term_memories (task_description) VALUES (?)"
    for database in pair():
        rows = [("the cat",), ("the dog",), ("dog",)] + [("the rest",)] * 2000
        database.execute_batch([(insert, row) for row in rows])
        assert [row["id"] for row in database.search_fts("the dog", 5)] == [2, 3]
        assert len(database.search_fts("the", 5)) == 5
        assert len(database.search_fts("the the", 5)) == 5


@pytest.fixture(params=SIDES, ids=["rust", "python"])
def database(request: Any, tmp_path: Path) -> Iterator[AcceleratedSQLiteWrapper]:
    yield AcceleratedSQLiteWrapper(tmp_path / "memories.db", 3, use_rust=request.param)


def test_what_a_search_returns(database: AcceleratedSQLiteWrapper) -> None:
    first = database.save_memory("Write a report on cats", {"agent": "Ada"}, "2025-01-01", 7)
    second = database.save_memory("Feed the cats", {}, "2025-01-02", 8.5)
    assert (first, second) == (1, 2)
    both = database.search_memories_fts("CATS report")
    assert [row["id"] for row in both] == [1, 2]
    assert both[0].pop("rank") < 0
    assert both[0] == {
        "id": 1,
        "task_description": "Write a report on cats",
        "metadata": {"agent": "Ada"},
        "datetime": "2025-01-01",
        "score": 7.0,
    }
    assert [row["id"] for row in database.get_all_memories()] == [2, 1]
    assert [row["score"] for row in database.load_memories("Feed the cats")] == [8.5]
    database.execute_update("UPDATE long_term_memories SET task_description = 'dogs' WHERE id = 2")
    assert [row["id"] for row in database.search_fts("cats")] == [1]
    assert [row["id"] for row in database.search_fts("dogs")] == [2]
    database.reset()
    assert database.search_fts("cats dogs") == database.get_all_memories() == []


def crewai_database(path: Path) -> list[Any]:
    """As CrewAI 1.9 makes it."""
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS long_term_memories (id INTEGER PRIMARY KEY AUTOINCREMENT,"
            " task_description TEXT, metadata TEXT, datetime TEXT, score REAL)"
        )
        for number in range(20):
            connection.execute(
                "INSERT INTO long_term_memories (task_description, metadata, datetime, score)"
                " VALUES (?, ?, ?, ?)",
                (f"task number{number}", '{"quality": 1}', f"2025-01-{number + 1:02}", number),
            )
        rows = connection.execute("SELECT * FROM long_term_memories").fetchall()
    connection.close()
    return rows


PLAIN = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("INSERT INTO long_term_memories (task_description, metadata, datetime, score)"
                   " VALUES ('written by plain CrewAI', '{}', '2025-02-01', 1)")
connection.execute("DELETE FROM long_term_memories WHERE task_description = 'task number3'")
connection.commit()
assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
"""


@pytest.mark.parametrize("side", SIDES)
def test_an_existing_database(tmp_path: Path, side: bool) -> None:
    path = tmp_path / "ltm.db"
    rows = crewai_database(path)
    database = AcceleratedSQLiteWrapper(path, use_rust=side)
    assert [
        tuple(r.values()) for r in database.execute_query("SELECT * FROM long_term_memories")
    ] == rows
    assert [row["id"] for row in database.search_fts("number7")] == [8]
    subprocess.run([sys.executable, "-c", PLAIN, str(path)], check=True)
    assert [row["id"] for row in database.search_fts("plain crewai")] == [21]
    assert database.search_fts("number3") == []
    other = AcceleratedSQLiteWrapper(tmp_path / "copy.db", use_rust=side)
    assert other.get_all_memories() == []


def test_eight_threads(database: AcceleratedSQLiteWrapper) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for step in range(25):
                saved = database.save_memory(f"thread{number} step{step}", {}, "2025", step)
                (found,) = database.search_fts(f"thread{number} step{step}", 1)
                assert found["id"] == saved
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert not errors
    (count,) = database.execute_query(
        "SELECT count(*) AS n, count(DISTINCT id) AS d FROM long_term_memories"
    )
    assert count == {"n": 200, "d": 200}


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all, but text" * 50)
    for side in SIDES:
        for path in (tmp_path, tmp_path / "missing" / "x.db", tmp_path / "text.db"):
            with pytest.raises(DatabaseError):
                AcceleratedSQLiteWrapper(path, use_rust=side)
        with pytest.raises(ValueError, match="pool_size"):
            AcceleratedSQLiteWrapper(tmp_path / "x.db", 0, use_rust=side)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("side", SIDES)
def test_after_a_fork(tmp_path: Path, side: bool) -> None:
    program = f"""
import os, warnings
warnings.simplefilter("ignore")
from fast_crewai.database import AcceleratedSQLiteWrapper
database = AcceleratedSQLiteWrapper({str(tmp_path / "f.db")!r}, use_rust={side})
database.save_memory("parent", {{}}, "2025", 1)
child = os.fork()
if child == 0:
    assert database.search_fts("parent")[0]["id"] == 1
    assert database.save_memory("child", {{}}, "2025", 1) == 2
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert database.search_fts("child")[0]["id"] == 2
assert database.save_memory("again", {{}}, "2025", 1) == 3
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


class Failing:
    implementation = "rust"

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any) -> Any:
            raise NativeError("panic: injected")

        return fail


@pytest.mark.parametrize("method", ["save_memory", "search_fts", "execute_query", "execute_batch"])
def test_native_code_that_fails(tmp_path: Path, method: str) -> None:
    database = AcceleratedSQLiteWrapper(tmp_path / "x.db", use_rust=True)
    database.save_memory("kept", {}, "2025", 1)
    database._database = Failing()
    arguments: dict[str, Any] = {
        "save_memory": ("new", {}, "2025", 2),
        "search_fts": ("kept",),
        "execute_query": ("SELECT 1 AS one",),
        "execute_batch": ([("DELETE FROM long_term_memories WHERE score = 5", ())],),
    }
    getattr(database, method)(*arguments[method])
    assert database.implementation == "python"
    assert database.search_fts("kept")[0]["id"] == 1
    assert len(database.get_all_memories()) == 1 + (method == "save_memory")


@pytest.mark.parametrize("side", [True, False])
def test_what_no_database_takes(tmp_path: Path, side: bool) -> None:
    for size in (0, -1):
        with pytest.raises(ValueError, match="pool_size"):
            AcceleratedSQLiteWrapper(tmp_path / "x.db", size, use_rust=side)
    with pytest.raises(DatabaseError):
        AcceleratedSQLiteWrapper(str(tmp_path / "a\0b"), use_rust=side)
    database = AcceleratedSQLiteWrapper(tmp_path / "x.db", use_rust=side)
    for sql in ("SELECT 1\0", "SELECT 1; SELECT 2", "SELECT '\ud800'", "BEGIN"):
        with pytest.raises(DatabaseError):
            database.execute_query(sql)
    assert database.execute_query("SELECT ? AS x", ("a\0b",)) == [{"x": "a\0b"}]


FULL_DISK = """
import resource, signal, sys
from fast_crewai.database import AcceleratedSQLiteWrapper
from fast_crewai.errors import DatabaseError

database = AcceleratedSQLiteWrapper(sys.argv[1], 1, use_rust=sys.argv[2] == "True")
database.save_memory("small", {}, "2025", 1)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, unlimited[1]))
for size in (1_000_000, 3_000_000):
    for call in (
        lambda: database.save_memory("big " * size, {}, "2025", 1),
        lambda: database.execute_batch(
            [("INSERT INTO long_term_memories (metadata) VALUES (?)", ("x" * size,))]
        ),
    ):
        try:
            call()
        except DatabaseError:
            pass
        else:
            raise AssertionError("nothing was raised")
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
database.save_memory("small again", {}, "2026", 1)
print([row["task_description"] for row in database.get_all_memories()])
"""


@pytest.mark.parametrize("side", [True, False])
def test_a_full_disk(tmp_path: Path, side: bool) -> None:
    path = tmp_path / "x.db"
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(side)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout == "['small again', 'small']\n" and not ended.stderr
    assert len(AcceleratedSQLiteWrapper(path, use_rust=not side).search_fts("small")) == 2
