"""Whether what the manifest says is true here: of CrewAI's files, and of this environment.

The first run in an environment imports everything. What that does is compared with what is
assumed, and the transformed code is kept for the next runs, under a digest of all it depends on.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

import fast_crewai
from fast_crewai import config
from fast_crewai.hooks.store import compiler
from fast_crewai.imports import (
    effects,
    lazy,
    leaving,
    manifest,
    others,
    portion,
    settings,
    shell,
    standing,
    store,
)
from fast_crewai.imports.feature import WAITING
from fast_crewai.imports.portions import PORTIONS, Portion

_MAKERS = ("leaving", "manifest", "portions", "effects", "proving", "settings", "standing")
ADOPT = "__fast_crewai_adopt__"


@dataclass
class Found:
    """What is known: ``problem`` says why nothing may be left out; ``stored`` is the code."""

    problem: str | None = None
    stored: Mapping[str, Any] | None = None
    mark: Path = Path()
    sources: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    specs: dict[str, ModuleSpec] = field(default_factory=dict)
    touched: list[int] = field(default_factory=list)  # when each file was, by the file system
    present: dict[str, str] = field(default_factory=dict)  # portion → its library, imported already
    earlier: Mapping[str, Any] = field(default_factory=dict)  # portions that a first run has seen


def look(folder: Path) -> Found:
    """What is known about the CrewAI in that folder. Raises OSError."""
    found = Found()
    found.problem = _unsuitable() or _locate(folder, found)
    if found.problem is None:
        for name, what in PORTIONS.items():
            for package in what.packages:
                if package in sys.modules:
                    found.present.setdefault(name, package)
        stored = store.read(found.mark)
        if stored is None or stored["touched"] != found.touched:
            found.problem = _read(found)
            stored = stored and _confirmed(found, stored)
        found.stored = stored
        if found.problem is None and stored is not None:
            found.problem = stored["problem"]
            _look_at_portions(found, stored)
    return found


def _look_at_portions(found: Found, stored: Mapping[str, Any]) -> None:
    """What no first run could measure, since somebody had imported it before, this one may."""
    portions = stored.get("portions", {})
    unmeasured = {name for name, kept in portions.items() if not kept["measured"]}
    writable = bool(unmeasured) and os.access(found.mark.parent, os.W_OK)
    if writable and unmeasured - found.present.keys():
        found.earlier, found.stored = portions, None
        if not found.sources:
            found.problem = _read(found)


def _confirmed(found: Found, stored: dict[str, Any]) -> dict[str, Any] | None:
    """What was stored, if files that were touched since (copied, linked) are the same ones."""
    if found.problem is not None or stored["content"] != _digest(found.sources):
        return None
    stored["touched"] = found.touched
    store.write(found.mark, stored)
    return stored


def _unsuitable() -> str | None:
    if lazy.LAZY.state != WAITING and not lazy.is_first_run():
        return "needs imports.lazy"  # it makes up for what CrewAI looks up in sys.modules
    if sys.version_info >= (3, 14):
        return "not proven on this version of Python"  # annotations are evaluated otherwise
    names = (*manifest.PACKAGES, *manifest.DEFERRED, *sorted(lazy.FRAMEWORKS))
    loaded = [name for name in names if name in sys.modules]
    if loaded:
        return f"{loaded[0]} is imported already"
    importer = others.importer(manifest.PACKAGES)
    if importer is not None:
        return importer
    for name in manifest.ABSENT:
        if name in sys.modules or PathFinder.find_spec(name) is not None:
            return f"{name} is installed"
    return None


def _read(found: Found) -> str | None:
    """CrewAI's files, which must be those of a proven version."""
    for name, path in found.files.items():
        missing = name not in manifest.MODULES and not path.is_file()  # of another version
        found.sources[name] = b"" if missing else path.read_bytes()
    if _digest({name: found.sources[name] for name in manifest.MODULES}) not in manifest.VERSIONS:
        return "CrewAI's code differs from every version that it was proven on"
    return None


def _digest(sources: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, source in sources.items():
        digest.update(f"{name} {hashlib.sha256(source).hexdigest()}\n".encode())
    return digest.hexdigest()[:32]


def _locate(folder: Path, found: Found) -> str | None:
    """Where the files and the others' packages are, and the name of what is stored about them."""
    modules = {name for what in PORTIONS.values() for name in what.modules}
    for name in (*manifest.MODULES, *sorted(modules)):
        path = folder.parent.joinpath(*name.split("."))
        found.files[name] = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    portions = {name for what in PORTIONS.values() for name in what.packages}
    libraries = sorted({name.partition(".")[0] for name in manifest.LIBRARIES} | portions)
    for name in libraries:
        spec = PathFinder.find_spec(name)
        if spec is None or (name in manifest.PACKAGES and not spec.has_location):
            return f"{name} is not installed as files"
        found.specs[name] = spec
    package, *rest = manifest.SHELL[0].split(".")
    path = Path(str(found.specs[package].origin)).parent.joinpath(*rest).with_suffix(".py")
    found.files[manifest.SHELL[0]] = path
    cache = config.cache_folder()
    if cache is None:
        return "there is no cache folder"
    key = repr([*_environment(found)])
    name = hashlib.sha256(key.encode()).hexdigest()[:32]
    found.mark = cache / "deferred" / name
    return None


def _environment(found: Found) -> Iterator[Any]:
    """What the stored code depends on."""
    yield from (compiler(), sys.prefix, fast_crewai.__version__)
    for name in _MAKERS:  # while developing
        yield _state(Path(__file__).parent / f"{name}.py")[:2]
    for path in found.files.values():
        modified, size, touched = _state(path)
        found.touched.append(touched)
        yield str(path), modified, size
    folders = set()
    for name, spec in found.specs.items():
        places = [spec.origin] if spec.has_location else [*(spec.submodule_search_locations or ())]
        yield name, places
        for place in map(Path, filter(None, places)):
            folders.add(place.parents[1] if place.name == "__init__.py" else place.parent)
            yield place.stat().st_mtime_ns
    for folder in sorted(folders):  # changes with whatever is installed or removed
        yield str(folder), folder.stat().st_mtime_ns


def _state(file: Path) -> tuple[int, int, int]:
    """Changes when the file does. The last one does even if it gets back its size and its time.

    It is another in a copy, too: a container's image, a folder that is linked to a cache of files.
    """
    try:
        stat = file.stat()
    except FileNotFoundError:
        return 0, 0, 0
    return stat.st_mtime_ns, stat.st_size, stat.st_ctime_ns


# ------------------------------------------------------------------------------ on a first run


def note(
    found: Found,
    recorder: effects.Recorder,
    recorders: Mapping[str, effects.Recorder],
    inputs: settings.Inputs,
) -> None:
    """Everything has been imported: have the code for the next run. Raises LeavingError."""
    problem = _difference(recorder)
    stored = _stored(found, problem, _digest(found.sources))
    if problem is None:
        cls = getattr(sys.modules[manifest.SETTINGS[0]], manifest.SETTINGS[1])
        variables = frozenset(name.upper() for name in cls.model_fields)
        filtering, calls = leaving.without_calls(
            *_source(found, manifest.FILTERING), "warnings.filterwarnings"
        )
        modules: dict[str, tuple[Any, ...]] = {
            manifest.SHELL[0]: (
                leaving.with_adoption(*_source(found, manifest.SHELL[0]), manifest.SHELL[1], ADOPT),
            ),
            manifest.SHELL_USER: (
                leaving.given(*_source(found, manifest.SHELL_USER), manifest.SHELL),
            ),
            manifest.FILTERING: (filtering,),
        }
        for name, names in manifest.LEFT.items():
            left = leaving.leave_out(*_source(found, name), names, name == manifest.EARLY)
            modules[name] = (left.code, left.rest, left.names, left.annotations)
        stored |= {
            "modules": {name: (str(found.files[name]), *code) for name, code in modules.items()},
            "filtering": calls,
            "loggers": tuple(recorder.loggers),
            "variables": variables,
            "settings": settings.digest(inputs, variables),
            "portions": {name: _portion(found, name, recorders[name]) for name in PORTIONS},
        }
    store.write(found.mark, stored)


def _stored(found: Found, problem: str | None, content: str) -> dict[str, Any]:
    return {"problem": problem, "touched": found.touched, "content": content}


def _portion(found: Found, name: str, recorder: effects.Recorder) -> dict[str, Any]:
    what = PORTIONS[name]
    modules = {}
    present = found.present.get(name)
    if present is not None and name in found.earlier:
        earlier: dict[str, Any] = found.earlier[name]
        return earlier
    problem = _problem(found, what, recorder)
    if present is not None:  # what its import does isn't known
        problem = f"{present} was imported before CrewAI in the first run"
    if problem is None:
        for module, names in what.left.items():
            left = leaving.leave_out(*_source(found, module), names, stands=what.stands)
            code = left.code, left.rest, left.names, left.annotations
            modules[module] = (str(found.files[module]), *code)
    return {
        "problem": problem,
        "modules": modules,
        "loggers": tuple(recorder.loggers),
        "variables": portion.environment(what),
        "measured": present is None,
    }


def _problem(found: Found, what: Portion, recorder: effects.Recorder) -> str | None:
    """Why a portion is imported as without us."""
    if _digest({name: found.sources[name] for name in what.modules}) not in what.versions:
        return "CrewAI's code differs from every version that it was proven on"
    changed = sorted(recorder.changed - what.harmless)
    if recorder.is_open or changed or not standing.are(recorder.filters, what.filters):
        changed = changed or ["the filters of warnings"]
        return f"importing it changes {', '.join(changed)}"
    if any(effects.is_configured(name) for name in recorder.loggers):
        return "importing it configures a logger"
    for name in what.deferred:
        if name not in sys.modules:
            return f"{name} is not imported by CrewAI"
    for name, module in list(sys.modules.items()):
        ours = name in what.deferred or name.partition(".")[0] in what.packages
        if ours and "__warningregistry__" in vars(module):
            return f"importing {name} warns"
    return None


def measured(what: Portion) -> tuple[str, ...]:
    """The modules whose import may have effects."""
    return (*what.measured, *what.deferred)


def distrust(reason: str) -> None:
    """Leave nothing out in this environment, until it changes. CrewAI mustn't be imported yet."""
    spec = PathFinder.find_spec("crewai")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        found = look(Path(folder))
        if found.stored is not None:
            store.write(found.mark, _stored(found, reason, found.stored["content"]))
        elif found.earlier:
            store.write(found.mark, _stored(found, reason, _digest(found.sources)))


def _source(found: Found, name: str) -> tuple[bytes, str]:
    return found.sources[name], str(found.files[name])


def _difference(recorder: effects.Recorder) -> str | None:
    """What is not as the manifest assumes."""
    if recorder.changed:
        return f"importing chromadb changes {', '.join(sorted(recorder.changed))}"
    if len(recorder.filters) > 2:
        return "importing chromadb filters other warnings"
    if sys.modules["sqlite3"].sqlite_version_info < (3, 35):
        return "chromadb has another sqlite3"
    configured = [name for name in recorder.loggers if effects.is_configured(name)]
    if configured:
        return f"importing chromadb configures the logger {configured[0]}"
    for name in (*manifest.DEFERRED, *[n for n in sys.modules if n.startswith("chromadb")]):
        if "__warningregistry__" in vars(sys.modules.get(name, sys)):
            return f"importing {name} warns"
    if not settings.can_be_kept():
        return "pydantic reads .env in another way"
    missing = [name for name in manifest.DEFERRED if name not in sys.modules]
    if missing:
        return f"{missing[0]} is not imported by CrewAI"
    module = sys.modules.get(manifest.SHELL[0])
    if not shell.can_stand_for(getattr(module, manifest.SHELL[1], type)):
        return f"{'.'.join(manifest.SHELL)} is another kind of class"
    return None
