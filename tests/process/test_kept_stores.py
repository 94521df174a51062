"""FAST_CREWAI_FIX=kept-connections in whole processes: exits, forks, threads, copies, kills."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from helpers import code
from kill_stores import begin, check, go, killing, told
from store_program import command, environ, run

from fast_crewai.hooks.areas import kept_connections

pytest.importorskip("crewai_core.lock_store")
pytestmark = pytest.mark.skipif(not kept_connections.is_possible(), reason="not this platform")

STORE = """
from crewai.utilities.task_output_storage_handler import TaskOutputStorageHandler
from fast_crewai.hooks.areas.kept_outputs import CONNECTIONS

THREE = ["log.db", "log.db-shm", "log.db-wal"]

def files():
    return sorted(os.listdir("db"))

def names():
    return sorted(row["task_id"] for row in store.load())

def outside(sql="SELECT task_id FROM latest_kickoff_task_outputs ORDER BY task_id", file=path):
    "What another process finds."
    program = f'''if 1:
        import json, sqlite3
        connection = sqlite3.connect({file!r}, timeout=5)
        with connection:
            rows = connection.execute({sql!r}).fetchall()
        connection.close()
        print(json.dumps([row[0] for row in rows]))
    '''
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return json.loads(done.stdout)
"""


KEPT = {"FAST_CREWAI_FIX": "kept-connections"}


def one_process(folder: Path, *parts: str, returncode: int = 0) -> list[str]:
    """Run it, and return the files that it leaves."""
    return run(folder, STORE, *parts, returncode=returncode, **KEPT)


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("threading.Thread(target=time.sleep, args=(9,), daemon=True).start()", 0),
    ],
)
def test_a_process_that_ends_leaves_the_one_file(tmp_path: Path, ends: str, status: int) -> None:
    text = f"""
        add("1")
        assert files() == THREE
        assert outside() == ["1"]
        add("2")
        assert files() == THREE
        {ends}
    """
    assert one_process(tmp_path, text, returncode=status) == ["log.db"]


def test_processes_that_end_together(tmp_path: Path) -> None:
    text = """
        add(sys.argv[0] + str(os.getpid()))
        print("ready", flush=True)
        sys.stdin.readline()
    """
    (tmp_path / "db").mkdir()
    for _ in range(3):
        running = [
            subprocess.Popen(
                command(STORE, text),
                env=environ(tmp_path, **KEPT),
                cwd=tmp_path,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
            )
            for _ in range(3)
        ]
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in running:
            assert process.communicate(timeout=60)[1] == ""
            assert process.returncode == 0
        assert [path.name for path in (tmp_path / "db").iterdir()] == ["log.db"]


def test_after_routes_are_taken_away(tmp_path: Path) -> None:
    text = """
        add("1")
        with fast_crewai.disabled():
            assert files() == ["log.db"]
            add("2")
            assert files() == ["log.db"]
        add("3")
        assert files() == THREE
        fast_crewai.uninstall()
        assert files() == ["log.db"]
        assert names() == ["1", "2", "3"]
        assert files() == ["log.db"]
    """
    assert one_process(tmp_path, text) == ["log.db"]


def test_a_fork_inherits_no_connection(tmp_path: Path) -> None:
    text = """
        add("parent")
        for number in range(4):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    if number == 3:  # what others do to the file meanwhile is seen
                        time.sleep(0.5)
                        assert "meanwhile 3" in names()
                    add(f"child {number}")
                    if number == 2:
                        CONNECTIONS.end()
                    code = 0
                finally:
                    os._exit(code)
            assert not CONNECTIONS._inherited and files() != [], files()
            add(f"meanwhile {number}")
            assert os.waitpid(pid, 0)[1] == 0
        expected = [f"{who} {n}" for n in range(4) for who in ("child", "meanwhile")]
        assert names() == sorted(["parent", *expected]) == outside()
    """
    assert one_process(tmp_path, text) == ["log.db"]


def test_a_fork_while_the_connection_is_used(tmp_path: Path) -> None:
    text = """
        class Forks(Task):
            @property
            def key(self):
                global child
                child = os.fork()
                return "child" if child == 0 else "parent"

        before = list(CONNECTIONS._idle.values())
        if True:
            try:
                store.add(Forks("both"), {}, 1)
            except BaseException:
                if child:
                    raise
            if child == 0:
                code = 1
                try:
                    assert len(CONNECTIONS._inherited) == 1
                    try:
                        CONNECTIONS.check(path)
                    except Exception as error:
                        assert "ends or forks" in str(error), error
                        code = 0
                finally:
                    os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        add("after")
        assert names() == ["after", "both"] == outside()
    """
    assert one_process(tmp_path, text) == ["log.db"]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_end_cleanly(tmp_path: Path, method: str) -> None:
    (tmp_path / "worker.py").write_text(
        code("""
            import os
            import fast_crewai
            fast_crewai.install()
            from crewai.memory.storage.kickoff_task_outputs_storage import (
                KickoffTaskOutputsSQLiteStorage as Storage,
            )
            class Task:
                id, key, expected_output = "child", "k", "e"
            def work(path):
                Storage(path).add(Task, {}, 1)
                assert len(os.listdir("db")) == 3, os.listdir("db")
        """)
    )
    text = f"""
        import multiprocessing
        sys.path.insert(0, "")
        import worker
        CONNECTIONS.let_go()
        process = multiprocessing.get_context({method!r}).Process(target=worker.work, args=(path,))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert files() == ["log.db"], files()
    """
    assert one_process(tmp_path, text) == ["log.db"]


def test_threads(tmp_path: Path) -> None:
    text = """
        failures, seen = [], []
        handler = TaskOutputStorageHandler.__new__(TaskOutputStorageHandler)
        handler.storage = store
        log = {"output": {"raw": "x"}, "inputs": {}, "was_replayed": False}

        def attempt(work):
            try:
                work()
            except BaseException as error:
                failures.append(repr(error))

        def read():
            last = 0
            for _ in range(80):
                rows = store.load()
                assert len(rows) >= last
                last = len(rows)
        def write(name):
            for number in range(40):
                add(f"{name}-{number}")
                handler.update(number, {**log, "task": Task(f"l{name}-{number}"), "task_index": 1})
                assert f"l{name}-{number}" in {row["task_id"] for row in store.load()}
        def copy():
            for number in range(20):
                for file in THREE:
                    try:
                        open(f"db/{file}").close()
                    except FileNotFoundError:
                        pass
                time.sleep(0.01)
        work = [read, read, copy, *[lambda n=n: write(n) for n in range(4)]]
        threads = [threading.Thread(target=attempt, args=(each,)) for each in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == [], failures
        assert len(names()) == 4 * 80 == len(outside())
        assert outside("PRAGMA integrity_check") == ["ok"]
        assert not CONNECTIONS._failed and not CONNECTIONS._busy
    """
    assert one_process(tmp_path, text) == ["log.db"]


def test_a_second_connection_leaves_the_locks_of_the_first(tmp_path: Path) -> None:
    text = """
        class Loads(Task):
            @property
            def key(self):
                return str(len(store.load()))  # by another connection, which is the one that stays

        add("1")
        store.add(Loads("2"), {}, 1)
        kept = CONNECTIONS._idle[path]
        for handle in kept._locked:
            told = Path(f"/proc/self/fdinfo/{handle}").read_text()
            assert "OFDLCK" in told, told
        assert len(names()) == 2
    """
    assert one_process(tmp_path, text) == ["log.db"]


def test_what_a_reader_sees_is_committed(tmp_path: Path) -> None:
    text = """
        class Waits(Task):
            @property
            def key(self):
                started.set()
                assert go_on.wait(20)
                return "key"

        started, go_on = threading.Event(), threading.Event()
        thread = threading.Thread(target=lambda: store.add(Waits("slow"), {}, 1))
        add("first")
        thread.start()
        assert started.wait(20)
        assert names() == ["first"] == outside()
        go_on.set()
        thread.join()
        assert names() == ["first", "slow"]
    """
    assert one_process(tmp_path, text) == ["log.db"]


def test_copies_in_this_process_do_not_take_the_locks_away(tmp_path: Path) -> None:
    text = """
        for number in range(5):
            add(f"a{number}")
            shutil.copytree("db", f"copy{number}")
            inodes = [os.stat(f"db/{file}").st_ino for file in THREE]
            assert outside(file=str(Path(f"copy{number}/log.db").absolute())) == names()
            # The other process would be the last one that has it open, and remove the -wal.
            outside("INSERT INTO latest_kickoff_task_outputs (task_id, output, inputs) "
                    f"VALUES ('b{number}', '{{}}', '{{}}')")
            assert [os.stat(f"db/{file}").st_ino for file in THREE] == inodes
        assert names() == sorted(f"{kind}{n}" for kind in "ab" for n in range(5)) == outside()
    """
    assert one_process(tmp_path, text) == ["log.db"]


def test_a_file_that_is_moved_away_has_all_rows(tmp_path: Path) -> None:
    text = """
        add("1")
        os.rename("db/log.db", "db/old.db")
        store = KickoffTaskOutputsSQLiteStorage(path)
        add("2")
        assert outside(file=str(Path("db/old.db").absolute())) == ["1"]
        assert names() == ["2"] == outside()
    """
    assert one_process(tmp_path, text) == ["log.db", "old.db"]


@pytest.mark.parametrize("first", [0, 1], ids=["all", "journal"])
def test_what_another_process_has_made_there_stays(tmp_path: Path, first: int) -> None:
    text = f"""
        add("1")
        for file in THREE[{first}:]:
            os.unlink("db/" + file)
        outside_and_killed = '''if 1:
            import os, sqlite3
            connection = sqlite3.connect("db/log.db")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE latest_kickoff_task_outputs (task_id, task_key, "
                "expected_output, output, task_index, inputs, was_replayed, timestamp)")
            connection.execute("INSERT INTO latest_kickoff_task_outputs (task_id, output, inputs) "
                "VALUES ('theirs', '[]', '[]')")
            connection.commit()
            os._exit(0)
        '''
        subprocess.run([sys.executable, "-c", outside_and_killed], check=True)
        assert files() == THREE
        assert names() == ["theirs"] == outside()
    """
    assert one_process(tmp_path, text) == ["log.db"]


def test_the_end_takes_the_lock_of_the_store(tmp_path: Path) -> None:
    text = """
        from contextlib import nullcontext
        from crewai_core.lock_store import lock
        from fast_crewai.hooks.areas import kept_outputs

        with kept_outputs._lock_of(path):
            try:
                with lock(store._lock_name, timeout=0.1):
                    raise AssertionError("not locked")
            except Exception as error:
                assert "Failed to acquire" in str(error), error
        locked = []
        CONNECTIONS._locked = lambda path: nullcontext(locked.append(path))
        add("1")
        CONNECTIONS.end()
        assert locked == [path] and files() == ["log.db"]
    """
    assert one_process(tmp_path, text) == ["log.db"]


ROOM = """
import struct

def journal():
    "How long the -wal is, and how much of it is used."
    pages = struct.unpack("=I", os.pread(CONNECTIONS._idle[path]._locked[1], 4, 16))[0]
    return os.path.getsize(path + "-wal"), 32 + pages * 4120
"""


def test_the_journal_grows_in_a_few_steps(tmp_path: Path) -> None:
    text = """
        lengths, rows = [], []
        for number in range(500):
            add(f"{number:03}" + "x" * 1000)
            rows.append(f"{number:03}" + "x" * 1000)
            length, used = journal()
            assert length >= used, (length, used)
            if not lengths or lengths[-1] != length:
                lengths.append(length)
        assert len(lengths) < 25, lengths
        assert lengths == sorted(lengths) and lengths[-1] in (1 << 22, 32 + 4120 * 1018), lengths
        assert names() == rows == outside()
        assert outside("PRAGMA integrity_check") == ["ok"]
        copied = shutil.copytree("db", "copied")
        assert outside(file=str(Path(copied, "log.db").absolute())) == rows
        os.kill(os.getpid(), 9)
    """
    one_process(tmp_path, ROOM, text, returncode=-9)
    assert (tmp_path / "db/log.db-wal").stat().st_size > 1 << 20
    with closing(sqlite3.connect(tmp_path / "db/log.db")) as plainly:
        assert plainly.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = plainly.execute("SELECT count(*) FROM latest_kickoff_task_outputs").fetchall()
        assert found == [(500,)]
    assert [path.name for path in (tmp_path / "db").iterdir()] == ["log.db"]


def test_the_journal_is_left_alone_while_another_process_writes(tmp_path: Path) -> None:
    text = """
        from fast_crewai.hooks.areas import kept_connections as module

        module._FEW_BYTES = 1
        for number in range(5):
            add(f"{number}")
        length, used = journal()
        assert length > used
        kept = CONNECTIONS._idle[path]
        program = '''if 1:
            import sqlite3, sys
            connection = sqlite3.connect(sys.argv[1])
            connection.execute("BEGIN IMMEDIATE")
            print(1, flush=True)
            sys.stdin.read()
        '''
        holder = subprocess.Popen(
            [sys.executable, "-c", program, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert holder.stdout.readline() == b"1\\n"
        begun = time.monotonic()
        assert kept._make_room(used)  # as if it were full
        assert time.monotonic() - begun < 10 and journal()[0] == length
        assert kept.sqlite.execute("PRAGMA busy_timeout").fetchall() == [(30000,)]
        holder.communicate()
        assert kept._make_room(used)
        assert journal()[0] > length
        assert not kept.sqlite.in_transaction
        assert kept.sqlite.execute("PRAGMA busy_timeout").fetchall() == [(30000,)]
        assert names() == ["0", "1", "2", "3", "4"] == outside()
    """
    assert one_process(tmp_path, ROOM, text) == ["log.db"]


def test_few_connections_are_kept(tmp_path: Path) -> None:
    text = """
        for number in range(12):
            name = str(Path("db", f"{number}.db").absolute())
            KickoffTaskOutputsSQLiteStorage(name).add(Task("1"), {}, 1)
        assert len(CONNECTIONS._idle) == 8
        assert len([name for name in files() if name.endswith("-wal")]) == 8
        assert len(os.listdir("/proc/self/fd")) < 40
        for number in range(50):
            shutil.rmtree("db")
            os.mkdir("db")
            KickoffTaskOutputsSQLiteStorage(path).add(Task("1"), {}, 1)
        assert len(os.listdir("/proc/self/fd")) < 40
        CONNECTIONS.let_go()
        assert len(os.listdir("/proc/self/fd")) < 12
        assert files() == ["log.db"]
    """
    assert one_process(tmp_path, text) == ["log.db"]


def test_a_database_that_somebody_holds_is_waited_for(tmp_path: Path) -> None:
    text = """
        add("1")
        holder = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        holder.execute("BEGIN IMMEDIATE")
        threading.Timer(0.4, lambda: holder.execute("ROLLBACK")).start()
        begun = time.monotonic()
        add("2")
        assert time.monotonic() - begun > 0.2
        holder.close()
        assert names() == ["1", "2"]
    """
    assert one_process(tmp_path, text) == ["log.db"]


def test_all_writes_of_plain_and_fast_processes(tmp_path: Path) -> None:
    kinds = ("plain", "fast", "kept")
    writers = {
        f"{kind}{n}": begin(kind, f"{kind}{n}", tmp_path, 25) for kind in kinds for n in (0, 1)
    }
    go(tmp_path, writers)
    for me, writer in writers.items():
        _, errors = writer.communicate(timeout=100)
        assert (writer.returncode, errors) == (0, ""), me
    assert "database.fix-kept-log" in dict(told(tmp_path, "kept0"))["routes"]
    assert "database.fix-kept-log" not in dict(told(tmp_path, "fast0"))["routes"]
    names = [f"{me}-{number}" for me in writers for number in range(25)]
    check(tmp_path, [[kind, name] for kind in ("output", "state") for name in names])


def test_no_acknowledged_write_is_lost_when_processes_are_killed(tmp_path: Path) -> None:
    kills, acknowledged = killing(tmp_path, number=6, seconds=8, kinds=("kept", "plain", "fast"))
    assert kills["kept"] > 0
    assert acknowledged["kept"]
