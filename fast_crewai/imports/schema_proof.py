"""Which of CrewAI's models may wait for their schemas: of a proven version, and seen complete here.

The first run in an environment lets pydantic complete every class, and notes those for which that
went well in the user's cache folder; any change of CrewAI's or pydantic's files makes it a first
run again.
"""

from __future__ import annotations

import hashlib
import sys
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import fast_crewai
from fast_crewai import config
from fast_crewai.imports import schema_manifest as manifest
from fast_crewai.imports import schema_steps, store

MOCKS = "pydantic._internal._mock_val_ser"
_CONSTRUCTION = "pydantic._internal._model_construction"


class StrangeError(Exception):
    """Pydantic isn't as it is known."""


@dataclass
class Found:
    """What is known: ``problem`` says why no class may wait; ``allowed``: who may, and when."""

    problem: str | None = None
    first: bool = False
    allowed: frozenset[str] = frozenset()
    files: dict[str, str] = field(default_factory=dict)  # file → module of CrewAI's
    others: tuple[str, ...] = ()  # files of pydantic's
    mark: Path = field(default_factory=Path)


def look(folder: Path) -> Found:
    """What is known about the CrewAI in that folder. Raises OSError."""
    found = Found()
    found.problem = _unsuitable() or _locate(folder, found)
    if found.problem is not None:
        return found
    try:
        state = _state((*found.files, *found.others))
    except FileNotFoundError:
        found.problem = "CrewAI's code differs from every version that it was proven on"
        return found
    stored = store.read(found.mark)
    if stored is not None and stored["state"] == state:
        found.problem = stored["problem"]
        found.allowed = frozenset(stored["allowed"]) - manifest.AT_ONCE
        return found
    found.first = True
    if _digest(found.files) not in manifest.VERSIONS:
        found.problem = "CrewAI's code differs from every version that it was proven on"
    elif _digest(_named(found.others)) not in manifest.PYDANTIC:
        found.problem = "pydantic differs from every version that it was proven on"
    return found


def note(found: Found, seen: dict[str, bool]) -> None:
    """What a first run has seen."""
    allowed = sorted(occasion for occasion, done in seen.items() if done is True)
    _write(found, allowed, None)


def distrust(reason: str) -> None:
    """No class waits in this environment, until it changes. CrewAI mustn't be imported yet."""
    spec = PathFinder.find_spec("crewai")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        found = look(Path(folder))
        if found.problem is None:
            _write(found, [], reason)


def _write(found: Found, allowed: list[str], problem: str | None) -> None:
    state = _state((*found.files, *found.others))
    store.write(found.mark, {"state": state, "allowed": allowed, "problem": problem})


def _unsuitable() -> str | None:
    if sys.version_info >= (3, 14):
        return "not proven on this version of Python"  # annotations are evaluated otherwise
    return None


def _locate(folder: Path, found: Found) -> str | None:
    for name in manifest.MODULES:
        path = folder.joinpath(*name.split(".")[1:])
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        found.files[str(path)] = name
    spec = PathFinder.find_spec("pydantic")
    if spec is None or spec.origin is None or not spec.has_location:
        return "pydantic is not installed as files"
    place = Path(spec.origin).parent
    found.others = tuple(str(place / name) for name in manifest.FILES)
    cache = config.cache_folder()
    if cache is None:
        return "there is no cache folder"
    key = repr([*_environment(folder, place)])
    found.mark = cache / "schemas" / hashlib.sha256(key.encode()).hexdigest()[:32]
    return None


def _environment(folder: Path, pydantic: Path) -> Iterator[Any]:
    yield from (sys.version, sys.prefix, sys.implementation.cache_tag, fast_crewai.__version__)
    for name in (
        "fields",
        "flow_methods",
        "pending",
        "schemas",
        "schema_proof",
        "schema_manifest",
        "typed_dicts",
    ):  # while developing
        stat = (Path(__file__).parent / f"{name}.py").stat()
        yield stat.st_mtime_ns, stat.st_size
    for place in (folder, pydantic):
        yield str(place), place.parent.stat().st_mtime_ns  # whatever is installed or removed


def _state(files: Iterable[str]) -> list[list[int]]:
    stats = (Path(file).stat() for file in files)
    return [[stat.st_mtime_ns, stat.st_size] for stat in stats]


def _named(files: Iterable[str]) -> dict[str, str]:
    return {file: Path(file).name for file in files}


def _digest(files: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for file, name in files.items():
        content = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()[:32]


# -------------------------------------------------------------------------- while it is imported


def is_loaded() -> bool:
    """Whether models can be defined."""
    modules = [sys.modules.get(name) for name in (_CONSTRUCTION, MOCKS, "pydantic.main")]
    return all(
        module is not None and not getattr(module.__spec__, "_initializing", False)
        for module in modules
    )


def strange(construction: Any) -> str | None:
    """Why this pydantic isn't the one whose files are known."""
    core = sys.modules["pydantic_core"]
    if core.__version__ not in manifest.CORES:
        return f"not proven with pydantic_core {core.__version__}"
    generator = construction.GenerateSchema
    steps = vars(sys.modules[generator.__module__])
    own = (
        (construction.complete_model_class, construction, "complete_model_class"),
        (construction.create_schema_validator, None, "create_schema_validator"),
        (construction.set_deprecated_descriptors, construction, "set_deprecated_descriptors"),
        (construction.collect_model_fields, None, "collect_model_fields"),
        (generator._model_schema, sys.modules[generator.__module__], "_model_schema"),
        (generator._typed_dict_schema, sys.modules[generator.__module__], "_typed_dict_schema"),
        (generator.generate_schema, sys.modules[generator.__module__], "generate_schema"),
        *((steps[step.__name__], None, step.__name__) for step in schema_steps.STEPS),
    )
    for function, module, name in own:
        if type(function) is not types.FunctionType or function.__name__ != name:
            return f"{name} of pydantic was replaced"
        module = module or sys.modules[function.__module__]
        if function.__globals__ is not vars(module) or hasattr(function, "__wrapped__"):
            return f"{name} of pydantic was replaced"
    if construction.SchemaSerializer is not core.SchemaSerializer:
        return "SchemaSerializer of pydantic was replaced"
    return None


def can_wait(cls: Any, config: Any, construction: Any) -> bool:
    """Whether completing the class does nothing but make three objects."""
    kind: Any = type(cls)
    base = sys.modules["pydantic.main"].BaseModel
    plugins = sys.modules.get("pydantic.plugin._loader")
    return (
        not config.defer_build
        and not cls.__pydantic_decorators__.computed_fields
        and cls.__pydantic_generic_metadata__["origin"] is None
        and cls.__pydantic_on_complete__.__func__ is base.__pydantic_on_complete__.__func__
        and kind.__setattr__ is type.__setattr__
        and kind.__delattr__ is type.__delattr__
        and plugins is not None
        and not list(plugins.get_plugins())
    )
