"""A pydantic model whose core schema, validator and serializer are built when they are asked for.

In the class's ``__dict__`` descriptors stand for them: whoever reads such an attribute, of the
class, a subclass or an instance, gets the real one, which stands there from then on. The fields
that they are built from are guarded in the same way, so that whoever may be going to change them
finds the class built before.

No lock is held that another thread could wait for without end: two threads may build the same
class, and the first result is everybody's.
"""

from __future__ import annotations

import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fast_crewai.imports import typed_dicts

_SCHEMA = "__pydantic_core_schema__"
_COMPLETE = "__pydantic_complete__"
VALIDATOR = "__pydantic_validator__"
_BUILT = (_SCHEMA, VALIDATOR, "__pydantic_serializer__")
_FIELDS = "__pydantic_fields__"
_CONFIG = "model_config"
_READ = ("__pydantic_decorators__", "__pydantic_custom_init__", "__pydantic_post_init__")
# A user may give the class one of these; pydantic would have built it without.
_ABSENT = ("__get_pydantic_core_schema__", "__get_pydantic_json_schema__")

_PATIENCE = 0.5  # seconds for another thread to build the class, before this one does it, too

_turn = threading.RLock()
_thread = threading.local()
_importing = 0  # the thread that imports CrewAI: what it reads, CrewAI's own statements read
# Those that wait, by ``id``: threads look at all of them while others are done.
_all: dict[int, weakref.ref[Pending]] = {}
_without: dict[weakref.ref[type], tuple[str, ...]] = {}  # class → those of _ABSENT
_places = itertools.count()
when_none: list[Callable[[], None]] = []  # called when the last one is built
_absent = object()
_guards: weakref.WeakKeyDictionary[type, Callable[[], None]] = weakref.WeakKeyDictionary()


def guard(cls: type, ask: Callable[[], None]) -> None:
    """``ask`` is called before anybody sees the fields, even when the class is built."""
    _guards[cls] = ask
    fields = vars(cls).get(_FIELDS)
    if type(fields) is dict:
        type.__setattr__(cls, _FIELDS, Guarded(fields, ask))


def unguard(cls: type) -> dict[str, Any]:
    """The fields, which from now on everybody sees."""
    _guards.pop(cls, None)
    held = vars(cls).get(_FIELDS, {})
    if isinstance(held, Guarded):
        type.__setattr__(cls, _FIELDS, held.fields)
        return held.fields
    found: dict[str, Any] = held.pending.fields if isinstance(held, _Fields) else held
    return found


def forget_lock() -> None:
    """In a fork: a thread that held the lock doesn't exist here."""
    global _turn
    _turn = threading.RLock()


def import_begins() -> None:
    global _importing
    _importing = threading.get_ident()


def import_ends() -> None:
    global _importing
    _importing = 0


def of(cls: type) -> Pending | None:
    """What stands for something of the class's, if it isn't built."""
    names = vars(cls)
    for held in (names.get(_SCHEMA), names.get(_FIELDS)):
        if _is_standing(held):
            pending: Pending = held.pending  # type: ignore[union-attr]
            return pending
    return None


def build_all() -> None:
    """Build all that there are. Never raises: whoever uses a class is told what is wrong."""
    for pending in _waiting():
        with suppress(Exception):
            pending.complete()


def number() -> int:
    return sum(not pending.is_done() for pending in _waiting())


def _waiting() -> list[Pending]:
    found = (reference() for reference in list(_all.values()))
    return [pending for pending in found if pending is not None]


class Pending:
    """One class that waits."""

    def __init__(
        self, cls: type, build: Callable[[], tuple[Any, Any, Any]], mocks: Any, again: bool
    ) -> None:
        names = vars(cls)
        self.cls = cls
        self.place = next(_places)  # in the order in which pydantic would have built them
        self.again = again  # by ``model_rebuild``: classes that mention each other
        self._build = build
        self.fields = names[_FIELDS]
        self._config = names[_CONFIG]
        self._settings = dict(self._config)  # as pydantic would have read them
        self._read = {name: names[name] for name in _READ}
        self._name = cls.__name__  # of errors
        _without[weakref.ref(cls)] = tuple(name for name in _ABSENT if name not in names)
        self._result: dict[str, dict[str, Any]] = {}
        self.simple: Any = None  # a validator that needs no schema, for ``BaseModel.__init__``
        schema, val_ser = _kinds(mocks)
        self._stands: dict[str, Any] = {
            _SCHEMA: schema(self, _SCHEMA),
            VALIDATOR: val_ser(self, VALIDATOR, "validator"),
            _BUILT[2]: val_ser(self, _BUILT[2], "serializer"),
        }

    def stand(self) -> None:
        """Stand for what pydantic would have set, in its order."""
        for name, standing in self._stands.items():
            type.__setattr__(self.cls, name, standing)
        _all[id(self)] = weakref.ref(self)

    def guard(self) -> None:
        """Pydantic's last step: the class looks complete."""
        self._stands[_COMPLETE] = _Complete(self)
        type.__setattr__(self.cls, _COMPLETE, self._stands[_COMPLETE])
        self._stands[_FIELDS] = _Fields(self)
        type.__setattr__(self.cls, _FIELDS, self._stands[_FIELDS])

    def retire(self) -> None:
        """The class is built anew: nobody needs this."""
        if vars(self.cls).get(_FIELDS) is self._stands[_FIELDS]:
            type.__setattr__(self.cls, _FIELDS, self.fields)
        _all.pop(id(self), None)

    def is_done(self) -> bool:
        return bool(self._result)

    def is_mine(self) -> bool:
        """Whether this very thread is building the class."""
        return self in _active()

    def complete(self) -> None:
        """Build the class, unless this thread is at it. Raises what that raises."""
        active = _active()
        if self in active:
            return
        with typed_dicts.together():
            self._complete(active)

    def _complete(self, active: set[Pending]) -> None:
        if self.again and not self._result:
            for other in sorted(_waiting(), key=lambda other: other.place):
                if other.again and other.place < self.place:
                    other.complete()
        if not self._result:
            overflow = False
            try:
                self._in_turn()
            except RecursionError:
                if active:
                    raise
                overflow = True
            if overflow:  # without us it was built with nearly all of the stack free
                self._in_thread()
        self._publish()

    def is_before(self) -> bool:
        """Whether pydantic would have built the class before what this thread is building."""
        active = _active()
        return not active or self.place < min(other.place for other in active)

    def value(self, name: str) -> Any:
        """What the attribute is, when the class is complete."""
        self.complete()
        return self._result["real"][name]

    def _in_turn(self) -> None:
        turn, waited, active = _turn, False, _active()
        try:
            waited = turn.acquire(timeout=_PATIENCE)
            active.add(self)
            if not self._result:
                with self._as_it_was():
                    built = self._build()
                real = dict(zip(_BUILT, built, strict=True))
                real |= {_FIELDS: self.fields, _COMPLETE: True}
                self._result.setdefault("real", real)  # the first one is everybody's
        finally:
            active.discard(self)
            if waited:
                turn.release()

    def _in_thread(self) -> None:
        failure: list[BaseException] = []

        def work() -> None:
            try:
                self._in_turn()
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]

    def _publish(self) -> None:
        names, real = vars(self.cls), self._result["real"]
        for name, standing in self._stands.items():
            if names.get(name) is standing:  # else somebody has set or deleted it
                type.__setattr__(self.cls, name, real[name])
        if self.cls in _guards:
            guard(self.cls, _guards[self.cls])
        if _all.pop(id(self), None) is not None and not _waiting() and not _importing:
            for call in when_none:
                call()

    @contextmanager
    def _as_it_was(self) -> Iterator[None]:
        """Without attributes that somebody has set since, which pydantic would not have seen."""
        names = vars(self.cls)
        was = {_FIELDS: self.fields, _CONFIG: self._settings, **self._read}
        stood = {**was, _FIELDS: self._stands[_FIELDS], _CONFIG: self._config}
        changed = {
            name: names.get(name, _absent)
            for name, value in stood.items()
            if names.get(name) is not value
        }
        if _CONFIG not in changed and not _is_same(self._config, self._settings):
            changed[_CONFIG] = self._config
        if self.cls.__name__ != self._name:
            changed["__name__"], was["__name__"] = self.cls.__name__, self._name
        added = [] if len(_active()) > 1 else _added()
        for name in changed:
            type.__setattr__(self.cls, name, was[name])
        for cls, name, _ in added:
            type.__delattr__(cls, name)
        try:
            yield
        finally:
            for name, value in changed.items():
                if value is _absent:
                    type.__delattr__(self.cls, name)
                else:
                    type.__setattr__(self.cls, name, value)
            for cls, name, value in added:
                type.__setattr__(cls, name, value)


def _added() -> list[tuple[type, str, Any]]:
    """Attributes of classes, which the outermost one that is being built may mention."""
    return [
        (cls, name, vars(cls)[name])
        for reference, without in _without.copy().items()
        if (cls := reference()) is not None
        for name in without
        if name in vars(cls)
    ]


def _active() -> set[Pending]:
    found: set[Pending] | None = getattr(_thread, "active", None)
    if found is None:
        found = _thread.active = set()
    return found


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(one[name] is other[name] for name in other)


def _next(pending: Pending, name: str, owner: type) -> Any:
    """The attribute as it is found while pydantic builds the class: that of a base."""
    mro = owner.__mro__
    for base in mro[mro.index(pending.cls) + 1 :]:
        if name in vars(base):
            held = vars(base)[name]
            get = getattr(type(held), "__get__", None)
            return held if get is None else get(held, None, owner)
    raise AttributeError(name)


class _Fields:
    """Guards what the class is built from."""

    __slots__ = ("pending",)

    def __init__(self, pending: Pending) -> None:
        self.pending = pending

    def __get__(self, instance: object, owner: type) -> Any:
        if _importing != threading.get_ident() and not _active():  # pydantic only reads them
            self.pending.complete()
        return self.pending.fields


class Guarded:
    """The fields of a class, complete or not, of which something is to be made up for first."""

    __slots__ = ("ask", "fields")

    def __init__(self, fields: dict[str, Any], ask: Callable[[], None]) -> None:
        self.fields = fields
        self.ask = ask

    def __get__(self, instance: object, owner: type) -> Any:
        if _importing != threading.get_ident() and not _active():  # pydantic builds another class
            self.ask()
        return self.fields


class _Complete:
    """Says that the class is complete, which it is for whoever asks."""

    __slots__ = ("pending",)

    def __init__(self, pending: Pending) -> None:
        self.pending = pending

    def __get__(self, instance: object, owner: type) -> Any:
        pending = self.pending
        if pending.is_mine() or not (pending.is_done() or pending.is_before()):
            return False
        if _importing != threading.get_ident():
            pending.complete()
        return True


def _kinds(mocks: Any) -> tuple[type, type]:
    """Pydantic's own stand-ins, which complete the class when they are read as attributes.

    ``mocks`` is pydantic's module of them: whoever takes one out of a class's ``__dict__`` finds
    what pydantic puts there, too.
    """
    kinds = _known.get(mocks)
    if kinds is None:
        kinds = _known[mocks] = _make_kinds(mocks)
    return kinds


_known: dict[Any, tuple[type, type]] = {}


def _make_kinds(mocks: Any) -> tuple[type, type]:
    making = sys.modules["pydantic.main"].BaseModel.__init__.__code__

    def get(self: Any, instance: object, owner: type) -> Any:
        pending: Pending = self.pending
        if pending.is_mine():
            return _next(pending, self.name, owner)
        if _importing == threading.get_ident() and _is_rebuild(mocks):
            return None  # whatever isn't pydantic's own stand-in is deleted
        simple = pending.simple if self.name == VALIDATOR else None
        if simple is not None and sys._getframe(1).f_code is making:
            return simple
        return pending.value(self.name)

    class PendingCoreSchema(mocks.MockCoreSchema):  # type: ignore[misc]
        __slots__ = ("name", "pending")

        def __init__(self, pending: Pending, name: str) -> None:
            self.pending = pending
            self.name = name
            super().__init__(
                f"`{pending.cls.__name__}` is not fully defined",
                code="class-not-fully-defined",
                attempt_rebuild=lambda: pending.value(name),
            )

        __get__ = get

    class PendingValSer(mocks.MockValSer):  # type: ignore[misc]
        __slots__ = ("name", "pending")

        def __init__(self, pending: Pending, name: str, kind: str) -> None:
            self.pending = pending
            self.name = name
            super().__init__(
                f"`{pending.cls.__name__}` is not fully defined",
                code="class-not-fully-defined",
                val_or_ser=kind,
                attempt_rebuild=lambda: pending.value(name),
            )

        __get__ = get

    return PendingCoreSchema, PendingValSer


def _is_rebuild(mocks: Any) -> bool:
    """Whether ``model_rebuild`` looks at what it is about to delete."""
    code = sys._getframe(2).f_code
    return code.co_name == "model_rebuild" and code.co_filename.startswith(
        mocks.__file__.rpartition("_internal")[0]
    )


def raw(value: Any) -> Any:
    """What somebody has read from a ``__dict__``, as the attribute would be."""
    if not _is_standing(value) or value.pending.is_mine():
        return value
    return value.pending.value(value.name)


def _is_standing(value: Any) -> bool:
    kind = type(value)
    return kind is _Fields or any(kind in kinds for kinds in _known.values())
