"""Pydantic's schemas of CrewAI's models are built when they are asked for.

``import crewai`` defines 350 models, and a program uses some thirty of them. Pydantic completes a
class at the end of its definition; here that last step is put off (``pending``) for CrewAI's own
classes, and for nobody else's. Everything that pydantic takes from where the class is defined
(names, annotations, fields, the signature) is taken there as before.

Which classes is known from a first run in the same environment, in which pydantic does it all:
see ``schema_proof``.
"""

from __future__ import annotations

import functools
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fast_crewai.imports import (
    adapters,
    fields,
    flow_methods,
    journal,
    pending,
    schema_manifest,
    schema_proof,
    schema_steps,
    typed_dicts,
    watch,
)
from fast_crewai.imports.feature import ACTIVE, WAITING, Feature

SCHEMAS = Feature(
    "imports.schemas",
    "pydantic._internal._model_construction:complete_model_class",
    "schemas of models that a program doesn't use are a quarter of what remains of the import",
)

_CONSTRUCTION = "pydantic._internal._model_construction"
_ADAPTERS = "pydantic.type_adapter"
_AGAIN = " again"
_FRAMES = 5  # of metaclasses, or model_rebuild, between pydantic's step and CrewAI's statement


class _Import:
    """One import of CrewAI: what is put off, or in a first run, what was seen."""

    def __init__(self, found: schema_proof.Found) -> None:
        self.found = found
        self.thread = threading.get_ident()
        self.seen: dict[str, bool] = {}  # class and occasion → whether pydantic completed it
        self.construction: Any = None
        self.ours: dict[str, tuple[Any, Callable[..., Any], Callable[..., Any]]] = {}  # pydantic's

    def install(self) -> None:
        """From now on two steps of pydantic's are ours. Raises what a strange pydantic makes it."""
        construction: Any = sys.modules[_CONSTRUCTION]
        problem = schema_proof.strange(construction)
        if problem is not None:
            raise schema_proof.StrangeError(problem)
        self.construction = construction
        self._replace("complete_model_class", self._complete)
        if not self.found.first:
            self._replace("collect_model_fields", lambda f: fields.collector(f, self._is_crewais))

    def install_for_adapters(self) -> None:
        """The same, when type adapters are known."""
        adapter = getattr(sys.modules.get(_ADAPTERS), "TypeAdapter", None)
        name = "_init_core_attrs"
        if adapter is None or self.found.first or name in self.ours:
            return
        self._replace(name, functools.partial(adapters.put_off, adapter), adapter)

    def _replace(
        self, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]], owner: Any = None
    ) -> None:
        owner = owner or self.construction
        original = getattr(owner, name)
        ours = functools.wraps(original)(make(original))
        self.ours[name] = owner, ours, original
        setattr(owner, name, ours)

    def _complete(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def complete_model_class(
            cls: Any, config_wrapper: Any, ns_resolver: Any, **options: Any
        ) -> Any:
            waiting = pending.of(cls)
            if waiting is not None:
                waiting.retire()
            occasion = self._occasion(cls, options)
            if occasion is not None and self._put_off(occasion, cls, config_wrapper, ns_resolver):
                return True
            done = original(cls, config_wrapper, ns_resolver, **options)
            if occasion is not None:
                self.seen[occasion] = self.seen.get(occasion, True) and done
            return done

        return complete_model_class

    def remove(self) -> None:
        for name, (owner, ours, original) in self.ours.items():
            if getattr(owner, name) is ours:
                setattr(owner, name, original)
        self.ours.clear()

    def _occasion(self, cls: Any, options: dict[str, Any]) -> str | None:
        """The class and why it is completed, if a statement of CrewAI's modules makes it be."""
        if options.get("create_model_module") or not self._is_crewais(cls):
            return None
        how = " new" if options.get("raise_errors") is False else _AGAIN
        return f"{cls.__module__}:{cls.__qualname__}{how}"

    def _is_crewais(self, cls: Any) -> bool:
        """Whether a statement of CrewAI's modules defines or rebuilds the class."""
        if threading.get_ident() != self.thread:
            return False
        if "<locals>" in cls.__qualname__ and cls.__qualname__ not in schema_manifest.LOCAL:
            return False
        frame: types.FrameType | None = sys._getframe(3)
        for _ in range(_FRAMES):
            if frame is None:
                return False
            if frame.f_code.co_name == "<module>":
                return frame.f_code.co_filename in self.found.files
            frame = frame.f_back
        return False

    def _put_off(self, occasion: str, cls: Any, config: Any, resolver: Any) -> bool:
        if occasion not in self.found.allowed or SCHEMAS.state not in (WAITING, ACTIVE):
            return False
        construction = self.construction
        if not schema_proof.can_wait(cls, config, construction):
            return False
        if not cls.__pydantic_fields_complete__:
            try:
                cls.__pydantic_fields__ = construction.rebuild_model_fields(
                    cls,
                    config_wrapper=config,
                    ns_resolver=resolver,
                    typevars_map=construction.get_model_typevars_map(cls),
                )
            except NameError:
                return False  # pydantic says what is missing
            if not cls.__pydantic_fields_complete__:
                return False
        cls.__pydantic_computed_fields__ = {}
        construction.set_deprecated_descriptors(cls)
        mocks = sys.modules[schema_proof.MOCKS]
        build = _builder(construction, cls, config, resolver)
        waiting = pending.Pending(cls, build, mocks, occasion.endswith(_AGAIN))
        waiting.simple = flow_methods.validator(cls, waiting)
        waiting.stand()
        cls.__signature__ = construction.LazyClassAttribute(
            "__signature__",
            functools.partial(
                construction.generate_pydantic_signature,
                init=cls.__init__,
                fields=cls.__pydantic_fields__,
                validate_by_name=config.validate_by_name,
                extra=config.extra,
            ),
        )
        waiting.guard()
        SCHEMAS.used()
        _readers.install()
        return True


def _builder(
    construction: Any, cls: Any, config: Any, resolver: Any
) -> Callable[[], tuple[Any, Any, Any]]:
    """What pydantic would do now, with the names and the configuration that it has now."""
    parent = resolver._parent_ns
    config = type(config)(dict(config.config_dict), check=False)

    def build() -> tuple[Any, Any, Any]:
        generator = construction.GenerateSchema(
            config,
            construction.NsResolver(parent_namespace=parent),
            construction.get_model_typevars_map(cls),
        )
        with typed_dicts.of_crewai(generator):
            schema = generator.generate_schema(cls)
        core_config = config.core_config(title=cls.__name__)
        schema = generator.clean_schema(schema)
        validator = construction.create_schema_validator(
            schema,
            cls,
            cls.__module__,
            cls.__qualname__,
            "BaseModel",
            core_config,
            config.plugin_settings,
        )
        return schema, validator, construction.SchemaSerializer(schema, core_config)

    return build


class _Readers:
    """Pydantic's functions that look into a class's ``__dict__``, and two slow ones."""

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any, Any]] = []

    def install(self) -> None:
        if self._replaced:
            return
        generate = sys.modules[_CONSTRUCTION].GenerateSchema
        of_model = generate._model_schema

        @functools.wraps(of_model)
        def _model_schema(self: Any, cls: Any) -> Any:
            waiting = pending.of(cls)
            if waiting is not None and waiting.is_before():
                waiting.complete()
            return of_model(self, cls)

        self._replace(generate, "_model_schema", _model_schema)
        remembering = typed_dicts.remembering(generate._typed_dict_schema)
        self._replace(generate, "_typed_dict_schema", remembering)
        module = sys.modules[generate.__module__]
        for step in schema_steps.STEPS:
            self._replace(module, step.__name__, step(vars(module)[step.__name__]))

    def install_for_adapters(self) -> None:
        """``TypeAdapter`` takes a model's own schema, validator and serializer."""
        module = sys.modules.get(_ADAPTERS)
        if not self._replaced or any(owner is module for owner, *_ in self._replaced):
            return
        read = getattr(module, "_getattr_no_parents", None)
        if module is None or read is None:
            return

        @functools.wraps(read)
        def _getattr_no_parents(obj: Any, attribute: str) -> Any:
            return pending.raw(read(obj, attribute))

        self._replace(module, "_getattr_no_parents", _getattr_no_parents)

    def _replace(self, owner: Any, name: str, function: Any) -> None:
        self._replaced.append((owner, name, getattr(owner, name), function))
        setattr(owner, name, function)

    def remove(self) -> None:
        for owner, name, original, function in self._replaced:
            if vars(owner).get(name) is function:
                setattr(owner, name, original)
        self._replaced.clear()


class _Watcher:
    """Modules that annotations are looked up in when a schema is built."""

    def lacks(self, module: str, name: str) -> bool:
        return False

    def force(self) -> None:
        self.force_quietly()

    def force_quietly(self) -> None:
        build_all()


_readers = _Readers()
_watcher = _Watcher()
_current: _Import | None = None


def plan(package: types.ModuleType) -> None:
    """Before ``crewai`` is executed: decide whether anything is put off. Never raises."""
    global _current
    _current = None
    try:
        found = schema_proof.look(Path(package.__path__[0]))
        if found.problem is not None:
            SCHEMAS.turn_off(found.problem)
        else:
            _current = _Import(found)
            pending.import_begins()
    except Exception as error:
        _current = None
        SCHEMAS.turn_off(f"{type(error).__name__}: {error}")


def begin() -> None:
    """A module of CrewAI's is about to be executed. Never raises."""
    current = _current
    if current is None or threading.get_ident() != current.thread:
        return
    try:
        if not current.ours and schema_proof.is_loaded():
            current.install()
        _readers.install_for_adapters()
        current.install_for_adapters()
    except Exception as error:
        _give_up(f"{error}" if isinstance(error, schema_proof.StrangeError) else repr(error))


def _give_up(reason: str) -> None:
    global _current
    current, _current = _current, None
    if current is not None:
        current.remove()
    pending.import_ends()
    SCHEMAS.turn_off(reason)


def ended(done: bool) -> None:
    """``crewai`` has been executed, or has failed. Never raises."""
    global _current
    current, _current = _current, None
    pending.import_ends()
    if current is None:
        return
    current.remove()
    try:
        if done and current.found.first and current.seen:
            SCHEMAS.turn_off("first run here: which classes can wait is noted")
            schema_proof.note(current.found, current.seen)
        elif SCHEMAS.state == WAITING:
            SCHEMAS.turn_off("CrewAI's models were not defined as usual")
        _readers.install_for_adapters()
        _watch_all()
    except Exception as error:
        SCHEMAS.turn_off(f"{type(error).__name__}: {error}")


def _watch_all() -> None:
    """Whoever replaces a name that an annotation means finds all schemas built before."""
    if not pending.number():
        return
    for name in (*schema_manifest.EVALUATED, watch.CLOCK):
        if name in sys.modules:
            watch.add(_watcher, name)
            if not isinstance(sys.modules[name], watch.Watched):
                build_all()
                break


def build_all() -> None:
    """Everything that was put off is done: from now on all is as without us."""
    if SCHEMAS.calls:
        journal.note(SCHEMAS.name)
    pending.build_all()
    _forget()


def _forget() -> None:
    adapters.complete_all()
    watch.remove(_watcher)
    _readers.remove()


pending.when_none.append(_forget)
