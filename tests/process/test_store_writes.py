"""CrewAI's SQLite stores, written by plain and accelerated processes side by side, some killed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from kill_stores import begin, check, go, killing, told
from store_program import run

pytest.importorskip("crewai_core.lock_store")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="the routes are for POSIX")


def test_all_writes_of_plain_and_fast_processes(tmp_path: Path) -> None:
    writers = {me: begin(me[:5].strip("0123"), me, tmp_path, 25) for me in ("fast0", "plain1")}
    go(tmp_path, writers)
    for me, writer in writers.items():
        _, errors = writer.communicate(timeout=100)
        assert (writer.returncode, errors) == (0, ""), me
    routes = json.loads(dict(told(tmp_path, "fast0"))["routes"])
    assert {"tasks.output-log", "database.store-lock"} <= set(routes)
    names = [f"{me}-{number}" for me in writers for number in range(25)]
    check(tmp_path, [[kind, name] for kind in ("output", "state") for name in names])


def test_no_acknowledged_write_is_lost_when_processes_are_killed(tmp_path: Path) -> None:
    killing(tmp_path, number=4, seconds=6)


@pytest.mark.slow
def test_no_acknowledged_write_is_lost_in_a_minute_of_kills(tmp_path: Path) -> None:
    killing(tmp_path, number=8, seconds=60)


COPIED = """
def copied():
    "What is in a copy of the one file, made while this process lives."
    assert os.listdir("db") == ["log.db"], os.listdir("db")
    shutil.copy("db/log.db", "copy.db")
    with closing(sqlite3.connect("copy.db")) as connection:
        rows = connection.execute("SELECT task_id FROM latest_kickoff_task_outputs").fetchall()
    return {row[0] for row in rows}
"""


def one_process(folder: Path, text: str) -> None:
    run(folder, COPIED, text)


def test_a_copy_of_the_file_has_every_write(tmp_path: Path) -> None:
    text = """
        for number in range(5):
            add(str(number))
            assert copied() == {str(n) for n in range(number + 1)}
        store.delete_all()
        assert copied() == set()
    """
    one_process(tmp_path, text)


def test_others_are_not_kept_out(tmp_path: Path) -> None:
    text = """
        with closing(sqlite3.connect(store.db_path, timeout=0)) as other:
            count = "SELECT count(*) FROM latest_kickoff_task_outputs"
            other.execute(count).fetchall()
            add("1")
            assert other.execute(count).fetchall() == [(1,)]
            with other:
                other.execute("DELETE FROM latest_kickoff_task_outputs")
        add("2")
        assert copied() == {"2"}

        failures = []
        def read():
            try:
                for _ in range(150):
                    store.load()
            except Exception as error:
                failures.append(error)
        def write(name):
            try:
                for number in range(40):
                    add(f"{name}-{number}")
            except Exception as error:
                failures.append(error)
        threads = [threading.Thread(target=read) for _ in range(3)]
        threads += [threading.Thread(target=write, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert copied() == {"2", *(f"{n}-{i}" for n in range(3) for i in range(40))}
    """
    one_process(tmp_path, text)


def test_a_child_made_by_fork_writes_too(tmp_path: Path) -> None:
    text = """
        add("parent")
        for number in range(3):
            pid = os.fork()
            if pid == 0:
                add(f"child {number}")
                os._exit(0)
            add(f"meanwhile {number}")
            assert os.waitpid(pid, 0)[1] == 0
        assert len(copied()) == 7
    """
    one_process(tmp_path, text)
