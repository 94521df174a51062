"""Runs batches of the suite, each in interpreters of its own, whatever happens to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oracle.batches import Batch
from oracle.results import BatchRecord, Outcome
from oracle.workplace import PLUGINS

ACCELERATORS: dict[str, tuple[str, ...]] = {
    "off": (),
    "on": ("fast_crewai.pytest_plugin",),
    "wrong": ("fast_crewai.pytest_plugin", "oracle_wrong"),  # to show that the judge can fail
}
# What the tests see of the caller's environment. Above all: no switches of ours or CrewAI's.
KEPT = {"HOME", "LANG", "SYSTEMROOT", "USERPROFILE"}
KEPT_PREFIXES = ("LC_", "OPENBLAS_")

_ENDED = {0, 1, 5}  # all passed, some failed, none (left) to run

Rows = dict[str, Outcome]


@dataclass(frozen=True)
class Setting:
    """How one side is run. ``options``: what the suite's own pytest plugins are told."""

    python: Path
    root: Path
    accel: str
    deselect: tuple[str, ...] = ()
    options: tuple[str, ...] = ("--block-network",)
    test_limit: int = 60
    batch_limit: int = 1800
    stall_limit: int = 180
    max_crashes: int = 5

    def command(self, files: Iterable[str]) -> list[str]:
        plugins = [*ACCELERATORS[self.accel], "oracle_recorder", "no:cacheprovider"]
        plugins += ["no:randomly", "no:xdist"]
        return [
            str(self.python),
            "-m",
            "pytest",
            "-q",
            *(word for name in plugins for word in ("-p", name)),
            "--continue-on-collection-errors",
            "--timeout",
            str(self.test_limit),
            "-o",
            "faulthandler_timeout=0",
            *self.options,
            *files,
        ]

    def environment(self, orders: Path, temporary: Path) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in KEPT or name.startswith(KEPT_PREFIXES)
        }
        path = [str(self.python.parent), os.environ.get("PATH", os.defpath)]
        return {
            **kept,
            "COLUMNS": "120",  # messages that tests look for are wrapped there
            "ORACLE_ORDERS": str(orders),
            "PATH": os.pathsep.join(path),  # as in an activated environment
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join([str(self.root), str(PLUGINS)]),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(temporary),
        }


@dataclass
class Attempt:
    """What one interpreter's log says: ``running`` is the test it died in."""

    rows: Rows = field(default_factory=dict)
    running: str | None = None
    finish: dict[str, Any] | None = None


def read_log(path: Path) -> Attempt:
    """The log of an interpreter, which may have died at any point."""
    attempt = Attempt()
    for row in _rows(path):
        kind = row.pop("kind")
        if kind == "start":
            attempt.running = row["id"]
        elif kind == "finish":
            attempt.finish = row
        else:
            test = row.pop("id")
            attempt.rows[test] = Outcome(**row)
            if kind == "end":
                attempt.running = None
    return attempt


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for line in path.read_text("utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # cut off by a kill
            return


@dataclass
class Runner:
    """Runs batches, ``jobs`` at once, with logs and pytest's output in ``scratch``."""

    setting: Setting
    scratch: Path
    jobs: int = 2
    select: tuple[str, ...] | None = None
    _temporary: Path = field(default_factory=Path)
    _live: set[subprocess.Popen[bytes]] = field(default_factory=set)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(
        self,
        batches: list[Batch],
        done: Callable[[BatchRecord, Rows, Any], None],
    ) -> None:
        """Run all batches; ``done(record, outcomes, accelerator's status)`` as each one ends."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        # in the system's place: short, since sockets are made below it
        with (
            tempfile.TemporaryDirectory(prefix="oracle-", ignore_cleanup_errors=True) as temporary,
            ThreadPoolExecutor(self.jobs) as pool,
        ):
            self._temporary = Path(temporary)
            waiting = [pool.submit(self.run_batch, batch) for batch in batches]
            try:
                for ended in as_completed(waiting):
                    done(*ended.result())
            except BaseException:  # Ctrl-C above all: leave no interpreter behind
                self._stop()
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def run_batch(self, batch: Batch) -> tuple[BatchRecord, Rows, Any]:
        """A batch whose interpreter dies goes on in a new one, after the test that killed it."""
        record = BatchRecord(batch.number, list(batch.files))
        rows: Rows = {}
        status: Any = None
        begun = time.monotonic()
        while not self._stopped.is_set():
            code, attempt = self._interpreter(batch, list(rows))
            rows.update(attempt.rows)
            if attempt.finish is not None:
                record.cpu, status = attempt.finish["cpu"], attempt.finish["status"]
                record.loaded = status is not None
                if attempt.finish["exit"] not in _ENDED:
                    record.broken = f"pytest stopped with {attempt.finish['exit']}"
                if isinstance(status, str):
                    record.broken, status = f"no status of the accelerator: {status}", None
                break
            if attempt.running is None:
                output = self._file(batch, "out")
                record.broken = f"ended with {code} outside a test, see {output}"
                break
            rows[attempt.running] = Outcome("crashed", f"the interpreter ended with {code}")
            record.crashes += 1
            if record.crashes > self.setting.max_crashes:
                record.broken = f"{record.crashes} tests ended their interpreter"
                break
        record.wall = round(time.monotonic() - begun, 1)
        return record, rows, status

    def _interpreter(self, batch: Batch, finished: list[str]) -> tuple[object, Attempt]:
        log, orders = self._file(batch, "log"), self._file(batch, "json")
        log.unlink(missing_ok=True)
        content = {
            "log": str(log),
            "select": self._selected(batch),
            "skip": finished,
            "deselect": self.setting.deselect,
        }
        orders.write_text(json.dumps(content), encoding="utf-8")
        with self._file(batch, "out").open("ab") as output:
            process = subprocess.Popen(
                self.setting.command(batch.files),
                cwd=self.setting.root,
                env=self.setting.environment(orders, self._temporary),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._live.add(process)
            code = self._wait(process, log)
            self._live.discard(process)
        return code, read_log(log)

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> object:
        """The exit code, or which limit was passed.

        pytest's own limit is an exception in the test, which an agent's loop may swallow for ever.
        """
        begun = changed = time.monotonic()
        size = 0
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(0.5)
            now = time.monotonic()
            if log.exists() and log.stat().st_size != size:
                size, changed = log.stat().st_size, now
            for limit, since, what in (
                (self.setting.batch_limit, begun, "for a batch"),
                (self.setting.stall_limit, changed, "without a test's end"),
            ):
                if now - since > limit:
                    _kill(process)
                    return f"the limit of {limit} s {what}"

    def _selected(self, batch: Batch) -> list[str] | None:
        if self.select is None:
            return None
        files = set(batch.files)
        return [test for test in self.select if test.partition("::")[0] in files]

    def _file(self, batch: Batch, ending: str) -> Path:
        return self.scratch / f"batch{batch.number:03d}.{ending}"

    def _stop(self) -> None:
        self._stopped.set()
        for process in list(self._live):
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End an interpreter that we have started, with everything in its own session."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):  # all of them have ended
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
