"""Component → routes, and the state of each in this process."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import threading
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fast_crewai.config import COMPONENTS, Settings
from fast_crewai.hooks import fingerprint
from fast_crewai.hooks.route import Route, TargetError, imported_as, locate
from fast_crewai.imports.collector import GC
from fast_crewai.imports.deferred import DEFERRED
from fast_crewai.imports.feature import ACTIVE as ACTIVE
from fast_crewai.imports.feature import OFF, WAITING, Feature
from fast_crewai.imports.lance import LANCE
from fast_crewai.imports.lazy import LAZY
from fast_crewai.imports.reexports import REEXPORTS
from fast_crewai.imports.schemas import SCHEMAS
from fast_crewai.imports.texts import TEXTS

if TYPE_CHECKING:
    from fast_crewai.hooks.areas.fixes import Bug
    from fast_crewai.hooks.dispatch import Dispatcher, Tally

logger = logging.getLogger("fast_crewai")

FEATURES = (GC, LAZY, DEFERRED, REEXPORTS, SCHEMAS, TEXTS, LANCE)
AREAS = (
    "flow",
    "events",
    "agents",
    "tools",
    "tasks",
    "memory",
    "serialization",
    "database",
)
FINGERPRINTS = Path(__file__).parent.parent / "fingerprints.json"

_BEHIND = "now behind a"


@dataclass
class RouteState:
    """One route in this process: ``waiting`` for its module, ``active`` or ``off``, and why."""

    route: Route
    state: str = WAITING
    reason: str = ""
    tally: Tally | None = None
    dispatcher: Dispatcher | None = None
    fix: str = ""

    def turn_off(self, reason: str) -> None:
        self.state, self.reason = OFF, reason


@dataclass
class Registry:
    """All routes of this process. Methods are safe to call from several threads.

    ``fixes`` are the routes that correct a bug of CrewAI's if the user says so.
    """

    version: str
    settings: Settings = field(default_factory=Settings)
    states: dict[str, RouteState] = field(default_factory=dict)
    fixes: dict[str, RouteState] = field(default_factory=dict)
    bugs: dict[str, Bug] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)  # area → why it could not be loaded
    paused: int = 0
    _places: dict[str, list[RouteState]] = field(default_factory=dict)  # by module
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def load(cls, version: str) -> Registry:
        """Import the areas (none of them imports CrewAI); ``configure`` applies them."""
        registry = cls(version)
        for area in AREAS:
            try:
                routes = importlib.import_module(f"fast_crewai.hooks.areas.{area}").ROUTES
            except Exception as error:  # a broken area leaves CrewAI's own code in place
                registry.broken[area] = f"{type(error).__name__}: {error}"
                logger.debug("area %s is not available", area, exc_info=True)
                continue
            for route in routes:
                registry.states[route.name] = RouteState(route)
        registry._load_fixes()
        return registry

    def _load_fixes(self) -> None:
        try:
            bugs = importlib.import_module("fast_crewai.hooks.areas.fixes").BUGS
        except Exception as error:
            self.broken["fixes"] = f"{type(error).__name__}: {error}"
            logger.debug("no fix is available", exc_info=True)
            return
        for bug in bugs:
            self.bugs[bug.name] = bug
            if not bug.always:
                for route in bug.routes:
                    self.fixes[route.name] = RouteState(route, fix=bug.name)

    def _all(self) -> Iterator[RouteState]:
        yield from self.states.values()
        yield from self.fixes.values()

    def forget_lock(self) -> None:
        """In a forked child, where the thread that may hold the lock doesn't exist."""
        self._lock = threading.RLock()

    def present(self, bug: Bug) -> bool:
        """Whether CrewAI, as loaded, has the bug in the form that we know."""
        if not bug.here():
            return False
        try:
            proven = proven_digests()
            return any(live_digest(r) in proven.get(r.target, {}) for r in bug.routes)
        except TargetError:
            return False

    # ------------------------------------------------------------------ switches

    def choose(self, settings: Settings) -> None:
        """Take new settings: routes they disable are taken away, the others wait."""
        with self._lock:
            self.settings = settings
            core = native_problem(self.version)
            wanted = [s.route.target for s in self.fixes.values() if s.fix in settings.fixes]
            for feature in FEATURES:
                reason = settings.why_disabled(feature.component, feature.name) or core
                feature.choose(reason, late="crewai" in sys.modules)
            for state in self._all():
                reason = settings.why_disabled(state.route.component, state.route.name) or core
                if state.fix and state.fix not in settings.fixes:
                    reason = f"not asked for (FAST_CREWAI_FIX={state.fix})"
                if not state.fix and state.route.target in wanted:
                    reason = "FAST_CREWAI_FIX corrects this function"
                if reason:
                    self._take_away(state)
                    state.turn_off(reason)
                elif state.state == OFF:
                    state.state, state.reason = WAITING, ""
                if state.tally:
                    state.tally.strict = settings.strict

    def configure(self, settings: Settings) -> None:
        """Take new settings and apply the routes of the modules that are loaded already."""
        with self._lock:
            self.choose(settings)
            for name in self.modules():
                module = sys.modules.get(name)
                if module is not None:
                    self.module_loaded(module, name, late=True)

    def pause(self, by: int) -> None:
        """While the sum of all ``by`` is positive, every call runs CrewAI's own code."""
        with self._lock:
            self.paused += by
            for state in self._all():
                if state.dispatcher and state.state == ACTIVE:
                    state.dispatcher.switch(not self.paused)

    def uninstall(self) -> None:
        """Put every original back, in its place and in the modules that imported ours."""
        with self._lock:
            for state in self._all():
                self._take_away(state)
                state.turn_off("uninstalled")
            for feature in FEATURES:
                feature.turn_off("uninstalled")

    def wants(self, feature: Feature) -> bool:
        """Whether the import may be made cheaper in this way now."""
        return feature.state != OFF and not self.paused

    # -------------------------------------------------------------------- modules

    def modules(self) -> list[str]:
        """The modules with routes that are not switched off, in a fixed order."""
        wanted = (s.route for s in self._all() if s.state != OFF)
        return list(dict.fromkeys(route.applied_with for route in wanted))

    def module_loaded(
        self, module: types.ModuleType, name: str | None = None, *, late: bool = False
    ) -> None:
        """Apply the routes of a module that has been executed: just now, or (``late``) before us.

        Never raises: a route that can't be applied is off, with its reason.
        """
        with self._lock:
            applied = []
            for state in self._of_module(name or module.__name__):
                try:
                    if self._apply(state):
                        applied.append(state)
                except TargetError as error:
                    state.turn_off(str(error))
                except Exception as error:
                    state.turn_off(f"could not be applied: {type(error).__name__}: {error}")
                    logger.debug("%s was not applied", state.route.name, exc_info=True)
            for state in applied:
                self._finish(state, late)

    def _of_module(self, name: str) -> Iterator[RouteState]:
        if sum(map(len, self._places.values())) != len(self.states) + len(self.fixes):
            self._places.clear()
            for state in self._all():
                self._places.setdefault(state.route.applied_with, []).append(state)
        return (s for s in self._places.get(name, ()) if s.state != OFF)

    def _apply(self, state: RouteState) -> bool:
        """Put the replacement at its target; False if it stands there already."""
        from fast_crewai.hooks.dispatch import Dispatcher, Tally, is_ours

        site = locate(state.route.target)
        if is_ours(site.original):
            return False
        self._check_fingerprint(state.route)
        if state.tally is None:
            state.tally = Tally(state.route.name)
        state.tally.strict = self.settings.strict
        self._take_away(state)  # a reload: whoever holds the old function holds CrewAI's again
        state.dispatcher = Dispatcher(state.route, site, state.tally)
        state.dispatcher.put()
        state.state, state.reason = ACTIVE, ""
        return True

    def _finish(self, state: RouteState, late: bool) -> None:
        """Second pass, when all routes of the module stand: collaborators, then on."""
        dispatcher = state.dispatcher
        if dispatcher is None:
            return
        try:
            dispatcher.watch()
        except Exception as error:
            self._take_away(state)
            state.turn_off(f"could not be applied: {type(error).__name__}: {error}")
            return
        dispatcher.switch(not self.paused)
        if late and not dispatcher.site.alone:
            moved = _rebind(dispatcher.site.original, dispatcher.attribute, "crewai")
            state.reason = f"applied after CrewAI's import ({moved} by-name imports replaced)"

    def _take_away(self, state: RouteState) -> None:
        dispatcher, state.dispatcher = state.dispatcher, None
        if dispatcher is None:
            return
        dispatcher.switch(False)
        dispatcher.take_away()
        if not dispatcher.site.inherited:
            _rebind(dispatcher.attribute, dispatcher.site.original, "")

    def _check_fingerprint(self, route: Route) -> None:
        proven = proven_digests()
        if route.target not in proven:
            raise TargetError("no fingerprint is recorded for it")
        if live_digest(route) not in proven[route.target]:
            raise TargetError("its code differs from every version that it was proven on")

    # --------------------------------------------------------------------- health

    def stale_holders(self) -> list[tuple[str, str]]:
        """(route, "module.name") of every CrewAI module that still holds a replaced original."""
        found = []
        for state in self._all():
            dispatcher = state.dispatcher
            if state.state != ACTIVE or dispatcher is None or dispatcher.site.alone:
                continue
            for module, name in _holders(dispatcher.site.original, "crewai"):
                found.append((state.route.name, f"{module}.{name}"))
        return found

    def recheck(self) -> None:
        """Correct the states of routes that somebody replaced or wrapped after we applied them."""
        with self._lock:
            for state in self._all():
                if state.state == ACTIVE and state.dispatcher and not self.paused:
                    now = state.dispatcher.stands_behind()
                    if now is not None:
                        state.reason = f"{_BEHIND} {now}"
                    elif state.reason.startswith(_BEHIND):  # a patch that has ended
                        state.reason = ""

    # --------------------------------------------------------------------- status

    def known_names(self) -> list[str]:
        """Everything that may be disabled: "all", components, routes."""
        features = (feature.name for feature in FEATURES)
        return ["all", *COMPONENTS, *features, *self.states, *self.fixes]

    def components(self) -> dict[str, Any]:
        """The ``components`` part of the status report."""
        self.recheck()
        report: dict[str, Any] = {}
        for component in COMPONENTS:
            fixes = [s for s in self.fixes.values() if s.fix in self.settings.fixes]
            states = [s for s in (*self.states.values(), *fixes) if s.route.component == component]
            features = [f for f in FEATURES if f.component == component]
            state, reason = self._component_state(component, [*features, *states])
            report[component] = {
                "state": state,
                "reason": reason,
                "routes": [*(f.report() for f in features), *map(_route_report, states)],
            }
        return report

    def _component_state(
        self, component: str, states: Sequence[Feature | RouteState]
    ) -> tuple[str, str]:
        disabled = self.settings.why_disabled(component, "")
        if disabled:
            return OFF, disabled
        if component in self.broken:
            return OFF, self.broken[component]
        if not states:
            return OFF, "this release has no routes for it"
        for wanted in (ACTIVE, WAITING):
            if any(s.state == wanted for s in states):
                return wanted, "" if wanted == ACTIVE else "CrewAI has not imported its modules"
        reasons = list(dict.fromkeys(s.reason for s in states))
        return OFF, "; ".join(reasons)


def live_digest(route: Route) -> str:
    """The combined digest of a route's target and what it reads, as loaded in this process.

    Raises TargetError when one of them is missing or has no source.
    """
    from fast_crewai.hooks.dispatch import original_of

    def digest(target: str) -> str:
        site = locate(target)
        found = original_of(site.original)
        if site.imported:  # Python's own versions are not CrewAI's: such routes check what they use
            return fingerprint.digest_of_import(imported_as(found) or "")
        try:
            return fingerprint.digest_of(found)
        except fingerprint.UnreadableError as error:
            raise TargetError(f"{target.partition(':')[2]}: {error}") from error

    return fingerprint.combine(digest(route.target), [(name, digest(name)) for name in route.reads])


@lru_cache(maxsize=1)
def proven_digests() -> dict[str, dict[str, object]]:
    """target → combined digest → package → versions. Raises TargetError."""
    try:
        targets: dict[str, dict[str, object]]
        targets = json.loads(FINGERPRINTS.read_text("utf-8"))["targets"]
        if not all(isinstance(digests, dict) for digests in targets.values()):
            raise TypeError("not a mapping of mappings")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TargetError(f"fingerprints.json is not usable: {error}") from error
    return targets


@lru_cache(maxsize=1)
def native_problem(version: str) -> str | None:
    """Why the native core can't be used, or None."""
    try:
        from fast_crewai import _core
    except Exception as error:
        return f"the native module is not available: {error}"
    if _core.__version__ != version:
        return f"the native module was built for {_core.__version__}, this is {version}"
    return None


def _route_report(state: RouteState) -> dict[str, Any]:
    tally = state.tally
    report: dict[str, Any] = {
        "name": state.route.name,
        "target": state.route.target,
        "state": state.state,
        "reason": state.reason,
        "calls": tally.calls if tally else 0,
        "fallbacks": tally.fallbacks if tally else 0,
    }
    if tally and tally.reasons:
        report["fallback_reasons"] = dict(tally.reasons)
    return report


def _holders(value: object, package: str) -> Iterator[tuple[str, str]]:
    # copy() is one step; a list of items makes tuples, and a collection between them may import.
    for module_name, module in sys.modules.copy().items():
        namespace = getattr(module, "__dict__", None)
        if not module_name.startswith(package) or type(namespace) is not dict:
            continue
        for name, held in namespace.copy().items():
            if held is value:
                yield module_name, name


def _rebind(old: object, new: object, package: str) -> int:
    """Replace by-name imports of ``old``; returns how many modules held it."""
    holders = list(_holders(old, package))
    for module_name, name in holders:
        setattr(sys.modules[module_name], name, new)
    return len(holders)
