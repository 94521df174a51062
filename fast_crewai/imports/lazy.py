"""CrewAI's OpenAI provider, and with it ``openai``, is imported at its first use.

``crewai.task`` imports the provider's class for one ``isinstance``. 804 modules come with it: a
quarter of the import. Here ``crewai.task`` is compiled without that import; whoever asks for the
name gets it, and what was left out is imported then.

Whatever could make a difference between then and now imports it before: see ``_WATCHED`` and
``FRAMEWORKS``. What is left out was imported in this very environment before: see ``proof``.
"""

from __future__ import annotations

import importlib
import logging
import sys
import types
from collections.abc import Callable, Mapping
from importlib.machinery import ModuleSpec, SourceFileLoader
from typing import Any

from fast_crewai.hooks import store
from fast_crewai.imports import environ, forks, journal, others, proof, rewriting, watch
from fast_crewai.imports.feature import NOTHING, WAITING, Feature

LAZY = Feature(
    "imports.lazy",
    "crewai.task:OpenAICompletion",
    "the openai package and CrewAI's provider are a quarter of the import",
)

SOURCE = "crewai.llms.providers.openai.completion"
_NAME = "OpenAICompletion"
_USER = "crewai.task"
_EXCEPTIONS = "crewai.events.types.task_events"

_GET = "__fast_crewai_openai__"
_LOADED = "__fast_crewai_loaded__"
_REPLACED = {"sys.modules.get(module_name)": f"{_LOADED}(module_name)"}

# Attributes that packages have when the provider has been imported.
_CHILDREN = {
    ("crewai.llms", "hooks"),
    ("crewai.llms", "providers"),
    ("crewai.llms.hooks", "base"),
    ("crewai.llms.hooks", "transport"),
    ("crewai.llms.providers", "openai"),
    ("crewai.llms.providers", "utils"),
    ("crewai.llms.providers.openai", "completion"),
    ("crewai.llms.providers.utils", "common"),
}
_LACKING = frozenset({_USER, *(parent for parent, _ in _CHILDREN)})

# The provider and openai take names from these when they are imported. Whoever replaces one
# finds, as without us, that they have been taken before.
_WATCHED = frozenset(
    {
        "crewai.events.types.llm_events",
        "crewai.hooks.dispatch",
        "crewai.llms._finish_reason_utils",
        "crewai.llms.base_llm",
        "crewai.utilities.agent_utils",
        "crewai.utilities.exceptions.context_window_exceeding_exception",
        "crewai.utilities.pydantic_schema_utils",
        "crewai.utilities.string_utils",
        "crewai.utilities.types",
        "httpx",
        "pydantic",
        watch.CLOCK,
    }
)

# Whoever has these may replace anything, in any module, for a while; or knows modules by type.
FRAMEWORKS = frozenset({"cloudpickle", "dill", "mock", "pytest", "unittest.mock"})

_EMPTY = frozenset(  # what a module has before its first statement
    {"__builtins__", "__cached__", "__doc__", "__file__", "__loader__", "__name__"}
    | {"__package__", "__path__", "__spec__"}
)

# Takes ``warnings.warn`` for good, which ``crewai`` replaces by another at its end.
_AT_ONCE = ("anyio.to_thread",)

# Whoever configures logging finds the loggers that openai makes, and may disable them.
_LOGGERS = ("", "._base_client", "._legacy_response", "._response", ".lib.parsing")

# Variables that are read at each use; others with these words may be read by the import.
_READ_WHEN_USED = frozenset(
    {f"OPENAI_{name}" for name in ("ADMIN_KEY", "API_BASE", "API_KEY", "BASE_URL", "MODEL")}
    | {f"OPENAI_{name}" for name in ("CUSTOM_HEADERS", "MODEL_NAME", "ORG_ID", "PROJECT_ID")}
    | {"AZURE_OPENAI_API_KEY", "OPENAI_WEBHOOK_SECRET"}
)
_READ_BY_IMPORT = ("OPENAI", "PYDANTIC", "UNIXCONFDIR", "UNIXUSRLIBDIR")

# openai says of these classes that they are its own: seen where they are printed or pickled.
_RENAMED = ("httpx", ("BaseTransport", "Timeout"))

_BASE = ("crewai.llms.base_llm", "BaseLLM")  # the provider's class is one of its subclasses

# The search path may have changed since: what is left out comes from where it was.
_AWAITED: dict[str, ModuleSpec | None] = dict.fromkeys((*FRAMEWORKS, _RENAMED[0]))

_FORCING = frozenset({"openai", *FRAMEWORKS})

_pending = False  # left out, and not asked for yet
_without: list[dict[str, Any]] = []  # namespaces that lack the name
_planned: dict[str, types.CodeType] = {}  # the modules' code, until they are executed
_ending: Callable[[], None] | None = None  # notes that everything could be imported

asked_for_all: list[Callable[[], None]] = []  # what else is to be imported for an unknown name


def awaited() -> Mapping[str, ModuleSpec | None]:
    """Modules that aren't CrewAI's whose import must be seen → where they are, if that is fixed."""
    return _AWAITED if _pending or _planned else NOTHING


def plan(package: types.ModuleType) -> None:
    """Before ``crewai`` is executed: decide whether the provider is left out. Never raises."""
    global _ending
    try:
        loaded = sorted(name for name in ("openai", SOURCE, *FRAMEWORKS) if name in sys.modules)
        if loaded:
            return LAZY.turn_off(f"{loaded[0]} is imported already")
        importer = others.importer((*proof.LEFT_OUT, _RENAMED[0]))
        if importer is not None:
            return LAZY.turn_off(importer)
        found = proof.of(package)
        if found.problem is not None:
            return LAZY.turn_off(found.problem)
        if not found.proven:
            _ending = found.note
            return LAZY.turn_off("first run here: what is left out next time is imported once")
        _AWAITED.update(found.specs)
        user = found.sources[_USER], found.files[_USER]
        exceptions = found.sources[_EXCEPTIONS], found.files[_EXCEPTIONS]
        _planned[_USER] = store.remembered(
            "without_import",
            (*user, SOURCE, _NAME, _GET),
            lambda: rewriting.without_import(*user, (SOURCE, _NAME), _GET),
        )
        _planned[_EXCEPTIONS] = store.remembered(
            "with_expressions",
            (*exceptions, tuple(_REPLACED.items())),
            lambda: rewriting.with_expressions(*exceptions, _REPLACED),
        )
    except Exception as error:
        _planned.clear()
        LAZY.turn_off(f"{type(error).__name__}: {error}")


def is_first_run() -> bool:
    """Whether this run imports everything to see that it can be imported."""
    return _ending is not None


def code_for(module: types.ModuleType, name: str, loader: object) -> types.CodeType | None:
    """The code to execute a module with, instead of what the loader would take."""
    code = _planned.pop(name, None)
    if code is None or type(loader) is not SourceFileLoader or SOURCE in sys.modules:
        return None
    if code.co_filename != loader.path or vars(module).keys() - _EMPTY:
        return None  # another file, or a reload
    if name == _EXCEPTIONS:
        vars(module)[_LOADED] = _loaded
    elif _LOADED not in getattr(sys.modules.get(_EXCEPTIONS), "__dict__", ()):
        return None
    else:
        vars(module)[_GET] = lambda: _value(module)
        _without.append(vars(module))
        _leave_out()
    return code


def executed(name: str) -> None:
    """A module has been executed: the provider, one that it waits for, or ``crewai``."""
    global _ending
    if name == SOURCE:
        _settle()
    elif name == "crewai":
        ending, _ending = _ending, None
        _planned.clear()
        if LAZY.state == WAITING:
            LAZY.turn_off("crewai.task was not loaded from its file as usual")
        if ending is not None and SOURCE in sys.modules and _are_renamed():
            ending()
    elif name in awaited() and name in _FORCING and SOURCE not in sys.modules:
        force_quietly()
    elif _pending:
        _watch(name)
        _rename()


def force() -> None:
    """Import what was left out, if it hasn't been asked for yet. Raises what that raises."""
    if _pending:
        journal.note(LAZY.name)
        with others.set_aside((*proof.LEFT_OUT, _RENAMED[0])):
            importlib.import_module(SOURCE)
        _settle()  # also when nobody watches imports any more


def force_quietly() -> None:
    """The same, but whoever asks for the name is told what is wrong."""
    try:  # noqa: SIM105
        force()
    except Exception:
        pass


def _leave_out() -> None:
    global _pending
    for name in _AT_ONCE:
        importlib.import_module(name)
    for name in _LOGGERS:
        logging.getLogger(f"openai{name}")
    _pending = True
    LAZY.used()
    forks.expect((SOURCE, *proof.LEFT_OUT))
    _rename()
    for name in (*_WATCHED, *_LACKING):
        _watch(name)
    environ.add(_reads, force_quietly)


def _renamed() -> list[Any]:
    names = getattr(sys.modules.get(_RENAMED[0]), "__dict__", {})
    return [names[name] for name in _RENAMED[1] if name in names]


def _rename() -> None:
    for cls in _renamed():
        cls.__module__ = "openai"


def _are_renamed() -> bool:
    """Whether openai does so: on a first run."""
    return all(cls.__module__ == "openai" for cls in _renamed())


def _settle() -> None:
    """The provider has been imported: from now on everything is as without us."""
    global _pending
    source = sys.modules.get(SOURCE)
    if not _pending or source is None or _NAME not in vars(source):
        return
    for names in _without:  # before anybody may think that they have it
        names.setdefault(_NAME, vars(source)[_NAME])
    _pending = False
    LAZY.reason = "imported since"
    _without.clear()
    environ.remove(_reads)
    base = getattr(sys.modules.get(_BASE[0]), _BASE[1], None)
    if isinstance(base, type) and type(vars(base).get("__subclasses__")) is watch.Subclasses:
        del base.__subclasses__
    watch.remove(_watcher)


def _value(module: types.ModuleType) -> Any:
    """What CrewAI's function means by the name."""
    names = vars(module)
    if _NAME not in names:
        force()
    try:
        return names[_NAME]
    except KeyError:
        raise NameError(f"name {_NAME!r} is not defined") from None


def _loaded(name: str) -> types.ModuleType | None:
    """``sys.modules.get(name)``, as if nothing had been left out."""
    if _pending and (name in proof.PROVIDER or name.partition(".")[0] in proof.PACKAGES):
        force_quietly()
    if name not in sys.modules:
        for import_it in asked_for_all:
            import_it()
    return sys.modules.get(name)


# ------------------------------------------------------------------------- modules that are watched


class _Watcher:
    """What modules that are watched are to know of the provider."""

    def lacks(self, module: str, name: str) -> bool:
        return _pending and (name in (_NAME, "__all__") or (module, name) in _CHILDREN)

    def force(self) -> None:
        force()

    def force_quietly(self) -> None:
        force_quietly()


_watcher = _Watcher()


def _watch(name: str) -> None:
    if name in _WATCHED or name in _LACKING:
        watch.add(_watcher, name, name in _LACKING)
    module = sys.modules.get(name)
    base = vars(module).get(_BASE[1]) if name == _BASE[0] and module is not None else None
    if isinstance(base, type) and "__subclasses__" not in vars(base):
        base.__subclasses__ = watch.Subclasses(_watcher)  # type: ignore[method-assign, assignment]


def _reads(key: object) -> bool:
    if not _pending or type(key) is not str:
        return False
    name = key.upper()
    return name not in _READ_WHEN_USED and any(word in name for word in _READ_BY_IMPORT)
