"""`_core.PrivateAttributes` against pydantic's `__getattr__`, and `_core.Guard`."""

import gc
import itertools
import types
import weakref
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, PrivateAttr

from fast_crewai import _core

SETTINGS = settings(
    max_examples=800, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
BASE = BaseModel.__getattr__


class Descriptor:
    def __get__(self, instance, owner=None):
        return "from the descriptor"


class Owner(BaseModel):
    model_config = ConfigDict(extra="allow")

    field: int = 1
    _number: int = PrivateAttr(0)
    _made: list = PrivateAttr(default_factory=list)
    _unset: int = PrivateAttr()
    _text: str = "text"
    _descriptor: object = PrivateAttr(Descriptor())
    _function: object = PrivateAttr(len)
    _class: object = PrivateAttr(int)


class Mixin:
    """No model and no `__getattr__`: the search has to look past it."""


class Child(Mixin, Owner):
    _own: int = 5


class Middle(BaseModel):
    _middle: int = 1


class Both(Owner, Middle):
    pass


class Beside(Owner, Mixin, Middle):
    pass


class Other(BaseModel):
    def __getattr__(self, name):
        return "other"


class Intercepted(Owner, Other):
    pass


class Slotless(Owner):
    def __getattribute__(self, name):
        if name == "__pydantic_private__":
            return {"_number": "intercepted"}
        return super().__getattribute__(name)


MODELS = [Owner, Child, Both, Beside, Intercepted, Slotless, Middle, Other]
NAMES = ["_number", "_made", "_unset", "_text", "_descriptor", "_function", "_class", "_own"]
NAMES += ["_middle", "field", "extra", "_missing", "__class__", "__pydantic_private__", ""]


def build(model, how):
    obj = model.model_construct(extra=1) if how == "construct" else model(extra=1)
    if how == "bare":
        obj = model.__new__(model)
    elif how == "none":
        object.__setattr__(obj, "__pydantic_private__", None)
    elif how == "emptied" and obj.__pydantic_private__:
        obj.__pydantic_private__.clear()
    elif how == "shadowed":
        obj.__dict__["__private_attributes__"] = {}
    return obj


HOWS = ["plain", "construct", "bare", "none", "emptied", "shadowed"]


def read(obj, name, owner=Owner, base=BASE):
    return _core.PrivateAttributes(owner, base).read(obj, name)


def outcome(function, *args):
    try:
        return function(*args)
    except _core.Declined:
        raise
    except Exception as error:
        return type(error), str(error)


def compare(counts, obj, name):
    try:
        found = outcome(read, obj, name)
    except _core.Declined as reason:
        assert len(reason.args[0]) < 60
        counts["declined"] += 1
    else:
        counts["served"] += 1
        assert super(Owner, obj).__getattr__.__func__ is BASE
        expected = outcome(BASE, obj, name)
        assert found is expected or found == expected


def test_every_combination():
    counts = Counter()
    for model, how, name in itertools.product(MODELS, HOWS, NAMES):
        compare(counts, build(model, how), name)
    assert counts["served"] > 300 and counts["declined"] > 200, counts


def test_defaults_of_any_kind():
    counts = Counter()
    odd = st.sampled_from([Descriptor(), len, int, object(), Owner(), Mixin.__init__, Descriptor])
    plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()

    @settings(SETTINGS, max_examples=200)
    @given(
        odd | plain | st.lists(plain, max_size=2) | st.dictionaries(st.text(), plain, max_size=2)
    )
    def check(value):
        class Made(Owner):
            _value: object = PrivateAttr(value)

        compare(counts, Made(), "_value")

    check()
    assert counts["served"] >= 0.3 * counts.total(), counts


@pytest.mark.parametrize("model", [Owner, Child, Both, Beside])
@pytest.mark.parametrize("name", ["_number", "_made", "_text"])
def test_ordinary_attributes_never_reach_pydantic(model, name, monkeypatch):
    def must_not_run(self, item):
        raise AssertionError(item)

    obj = model()
    expected = getattr(obj, name)
    monkeypatch.setattr(BaseModel, "__getattr__", must_not_run)
    assert read(obj, name, Owner, must_not_run) is expected


def declined(*args):
    with pytest.raises(_core.Declined) as caught:
        read(*args)
    return caught.value.args[0]


def test_someone_elses_getattr_is_honoured(monkeypatch):
    assert declined(Intercepted(), "_number") == "another __getattr__"
    monkeypatch.setattr(BaseModel, "__getattr__", lambda self, name: "patched")
    assert declined(Owner(), "_number") == "another __getattr__"
    assert declined(Beside(), "_number") == "another __getattr__"


def test_a_getattr_added_later_is_seen(monkeypatch):
    obj = Beside()
    assert read(obj, "_number") == 0
    monkeypatch.setattr(Mixin, "__getattr__", lambda self, name: "mixed in", raising=False)
    assert declined(obj, "_number") == "another __getattr__"


def test_a_users_exception_passes_through():
    with pytest.raises(AttributeError, match="object has no attribute '_unset'") as caught:
        read(Owner(), "_unset")
    assert isinstance(caught.value.__cause__, KeyError)


def test_odd_objects_are_declined():
    for obj in (object(), Owner, None, types.SimpleNamespace(), Middle()):
        declined(obj, "_number")
    declined(Owner(), "_number", object())
    declined(Owner(), "_number", BaseModel)


class Worker:
    def work(self):
        return 1

    def rest(self):
        return 2


def reason(check, *args):
    with pytest.raises(_core.Declined) as caught:
        check(*args)
    return caught.value.args[0]


def test_guarded_methods():
    guard = _core.Guard([("work", Worker.work), ("rest", Worker.rest)])
    worker = Worker()
    assert guard.intact(worker) is None

    class Lazy(Worker):
        def work(self):
            return 0

    class Static(Worker):
        rest = staticmethod(Worker.rest)

    class Failing(Worker):
        @property
        def rest(self):
            raise ValueError("no")

    class Classy(Worker):
        rest = classmethod(Worker.rest)

    assert reason(guard.intact, Lazy()) == "overridden: work"
    for odd in (Static(), Failing(), Classy()):
        assert reason(guard.intact, odd) == "overridden: rest"
    assert reason(guard.intact, None) == "overridden: work"
    worker.work = Worker().work
    assert reason(guard.intact, worker) == "overridden: work"
    worker.work = types.MethodType(Worker.work, worker)
    assert guard.intact(worker) is None


def test_a_guard_in_a_cycle_is_collected():
    class Watched:
        pass

    watched = Watched()
    watched.guards = [_core.Guard([("m", watched)]), _core.PrivateAttributes(watched, watched)]
    alive = weakref.ref(watched)
    del watched
    gc.collect()
    assert alive() is None


def test_reasons_stay_short():
    assert len(reason(_core.Guard([("n" * 100, 1)]).intact, object())) < 60


@pytest.mark.parametrize("methods", [[(1, 2)], None, 1])
def test_wrong_entries(methods):
    with pytest.raises(TypeError):
        _core.Guard(methods)
