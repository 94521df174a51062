"""A portion of CrewAI's import that is left out until somebody asks for it: see ``portions``."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import logging
import threading
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fast_crewai import config
from fast_crewai.imports import asking, environ, journal, leaving, others, standing, watch
from fast_crewai.imports.portions import PORTIONS, Portion

PATIENCE = 30.0  # seconds


@dataclass
class Part:
    """A module that has been executed without its left-out names."""

    name: str
    namespace: dict[str, Any]
    left: leaving.Left
    done: int = 0  # how many had been executed before

    def execute(self) -> None:
        """Import and make what was left out."""
        names: dict[str, Any] = {}
        for statement in self.left.rest:
            exec(statement, self.namespace, names)
            for name, made in names.items():  # what follows may need it
                self.namespace.setdefault(name, made)


def value(part: Part, name: str, force: Callable[[], None]) -> Any:
    """What CrewAI's function means by the name."""
    if name not in part.namespace:
        force()
    try:
        return part.namespace[name]
    except KeyError:
        raise NameError(f"name {name!r} is not defined") from None


@dataclass(eq=False)
class LeftOut:
    """One portion in this process; a ``watch.Watcher``."""

    feature: str
    name: str
    what: Portion
    planned: dict[str, Any]  # module → file and code
    loggers: tuple[str, ...]
    tell: Callable[[], None]  # the feature's reason is another now
    parts: list[Part] = field(default_factory=list)
    pending: bool = False
    ended: bool = False  # nothing more is left out
    lock: Any = field(default_factory=threading.RLock)
    forcing: int = 0  # the thread that imports it
    count: int = 0
    filtering: standing.Filters | None = None

    def __post_init__(self) -> None:
        parents = (name.rpartition(".")[0] for name in self.what.deferred)
        self.lacking = frozenset({*self.what.left, *parents})
        self.watched = self.lacking | self.what.watched | self.what.libraries | {watch.CLOCK}

    # --------------------------------------------------------------------------- during the import

    def code_for(self, module: types.ModuleType, name: str, path: str) -> types.CodeType | None:
        file, *planned = self.planned.get(name, (None,))
        if not planned or path != file or self.ended:
            return None
        namespace = vars(module)
        part = Part(name, namespace, leaving.Left(*planned))
        namespace[leaving.HELPER] = lambda asked: value(part, asked, self.force)
        if self.what.stands:
            namespace[leaving.STAND] = lambda asked: standing.stand(asked, namespace, self._ask)
        self.parts.append(part)
        self.filter()
        if not self.pending:
            self.pending = True
            environ.add(self._reads, self.force_quietly)
            for logger in self.loggers:
                logging.getLogger(logger)
        code: types.CodeType = planned[0]
        return code

    def filter(self) -> None:
        """Here it would be imported: the warnings that it has ignored are from now on."""
        if self.what.filters and self.filtering is None:
            self.filtering = standing.Filters(self.what.filters)

    def begin(self, name: str) -> None:
        """A module is about to be executed, CrewAI's or another."""
        if self.filtering is not None:
            self.filtering.begin(name)

    def executed(self, name: str) -> None:
        """A module has been executed, CrewAI's or another."""
        if self.filtering is not None:
            self.filtering.end(name)
        if not self.pending:
            return
        for part in self.parts:
            if part.name == name and not part.done:
                self.count += 1
                part.done = self.count
                if not self.what.stands:  # CrewAI's own models look there
                    asking.answer(part.namespace, part.left.annotations, self.force)
        self.watch(name)

    def watch(self, name: str) -> None:
        if name in self.watched:
            watch.add(self, name, name in self.lacking)

    def watch_all(self) -> None:
        """CrewAI is imported: from now on somebody could notice."""
        if self.pending:
            for part in self.parts if self.what.stands else ():
                asking.answer(part.namespace, part.left.annotations, self.force)
                standing.guard(part.namespace, part.left.annotations, self.force)
            for name in self.watched:
                self.watch(name)

    def _ask(self) -> None:
        if self.ended:  # else CrewAI itself does, while it is imported
            self.force()

    # --------------------------------------------------------------------------------- afterwards

    def force(self, wait: float = -1) -> None:
        """Import it, if it hasn't been asked for yet. Raises what that raises."""
        thread = threading.get_ident()
        if not self.pending or self.forcing == thread or not self.lock.acquire(timeout=wait):
            return
        try:
            if self.pending:
                self.forcing = thread
                journal.note(f"{self.feature}: {self.name}")
                with others.set_aside(self.what.imported):
                    self._import()
        finally:
            self.forcing = 0
            self.lock.release()

    def _import(self) -> None:
        for name in self.what.packages:  # before any module of theirs, in whatever thread
            importlib.import_module(name)
        for part in sorted(self.parts, key=lambda part: part.done or len(self.parts) + 1):
            part.execute()
        for name in (*self.what.deferred, *self.what.measured):
            importlib.import_module(name)
        self.pending, self.ended = False, True
        environ.remove(self._reads)
        watch.remove(self)
        self.tell()
        for part in self.parts:
            asking.answer(part.namespace, part.left.annotations, None)
            if self.what.stands:
                standing.end(part.namespace, part.left.annotations)

    def force_quietly(self) -> None:
        """The same, but whoever asks is told what is wrong; an import is never waited for long."""
        with contextlib.suppress(Exception):
            self.force(wait=PATIENCE)

    def lacks(self, module: str, name: str) -> bool:
        if not self.pending:
            return False
        if f"{module}.{name}" in self.what.deferred or name == "__all__":
            return True
        return any(part.name == module and name in part.left.names for part in self.parts)

    def forget_lock(self) -> None:
        self.lock, self.forcing = threading.RLock(), 0

    def _reads(self, key: object) -> bool:
        if not self.pending or type(key) is not str:
            return False
        return self.what.reads(key)


def of(
    stored: Mapping[str, Mapping[str, Any]], feature: str, tell: Callable[[], None]
) -> tuple[list[LeftOut], dict[str, str]]:
    """Those that a first run has found to be as assumed; and why the others are not left out."""
    found, at_once = [], {}
    for name, kept in stored.items():
        what = PORTIONS[name]
        problem = kept["problem"] or others.importer(what.imported) or standing.present(what)
        if problem is None and kept["variables"] != environment(what):
            problem = "variables that it reads are others than in the first run"
        if problem is None:
            loggers = tuple(kept["loggers"])
            found.append(LeftOut(feature, name, what, kept["modules"], loggers, tell))
        else:
            at_once[name] = problem
    return found, at_once


def environment(what: Portion) -> str:
    """Digest of what the import of a portion reads; it tells nobody what that is."""
    found = sorted(item for item in config.environment().items() if what.reads(item[0]))
    return hashlib.sha256(repr(found).encode("utf-8", "surrogatepass")).hexdigest()
