"""The dispatcher: fast or original, and indistinguishable from the original otherwise."""

import contextlib
import inspect
import logging
import pickle
import textwrap
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from fast_crewai._core import Declined
from fast_crewai.hooks.dispatch import Dispatcher, FallbackError, Tally, is_ours, original_of
from fast_crewai.hooks.route import Route, TargetError, locate

NAME = "stand_in_crewai"


def dispatcher_for(target: str, fast: Callable[..., Any], **options: Any) -> Dispatcher:
    route = Route("tools.test", f"{NAME}:{target}", "test", lambda site: fast, **options)
    dispatcher = Dispatcher(route, locate(route.target), Tally(route.name))
    dispatcher.put()
    dispatcher.watch()
    dispatcher.switch(True)
    return dispatcher


def tally_of(dispatcher: Dispatcher) -> Tally:
    tally: Tally = dispatcher._cells["_fc_tally"].cell_contents
    return tally


def test_fast_function_gets_every_parameter_in_order(stand_in: ModuleType) -> None:
    seen = []
    dispatcher = dispatcher_for("shout", lambda *a: seen.append(a) or "fast")
    assert stand_in.shout("a", times=2) == "fast"
    assert seen == [("a", "!", 2)]
    assert tally_of(dispatcher).calls == 1


def test_looks_like_the_original(stand_in: ModuleType) -> None:
    original = stand_in.shout
    dispatcher_for("shout", lambda *a: "fast")
    ours = stand_in.shout
    assert ours is not original and is_ours(ours) and original_of(ours) is original
    assert inspect.isfunction(ours)
    assert inspect.signature(ours) == inspect.signature(original)
    assert inspect.signature(ours, follow_wrapped=False) == inspect.signature(original)
    assert inspect.getsource(ours) == inspect.getsource(original)
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__defaults__"):
        assert getattr(ours, name) == getattr(original, name)
    assert pickle.loads(pickle.dumps(ours)) is ours
    with pytest.raises(TypeError, match=r"shout\(\) missing 1 required positional argument"):
        ours()


def test_declined_runs_the_original_and_is_counted(stand_in: ModuleType) -> None:
    def fast(*_: object) -> None:
        raise Declined("not mine")

    dispatcher = dispatcher_for("shout", fast)
    assert stand_in.shout(" a ", times=2) == "A!!"
    tally = tally_of(dispatcher)
    assert (tally.calls, tally.fallbacks, tally.reasons) == (1, 1, {"not mine": 1})


def test_fault_of_a_pure_route_runs_the_original_and_is_logged_once(
    stand_in: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher = dispatcher_for("shout", lambda *_: 1 / 0, pure=True)
    with caplog.at_level(logging.DEBUG, "fast_crewai"):
        assert stand_in.shout("a") == stand_in.shout("a") == "A!"
    assert tally_of(dispatcher).reasons == {"ZeroDivisionError in the fast path": 2}
    assert len(caplog.records) == 1


def test_impure_route_never_starts_again(stand_in: ModuleType) -> None:
    def fast(box: Any, item: object, *more: object, **named: object) -> int:
        box.items.append("half done")
        raise ValueError("after a side effect")

    dispatcher_for("Box.put", fast)
    box = stand_in.Box()
    with pytest.raises(ValueError, match="after a side effect"):
        box.put(1)
    assert box.items == ["half done"]


def test_strict_mode_raises_instead(stand_in: ModuleType) -> None:
    dispatcher = dispatcher_for("shout", lambda *_: 1 / 0, pure=True)
    tally_of(dispatcher).strict = True
    with pytest.raises(FallbackError, match="ZeroDivisionError"):
        stand_in.shout("a")


def test_an_exception_of_the_original_has_no_context_and_no_foreign_file(
    stand_in: ModuleType,
) -> None:
    dispatcher_for("shout", lambda *_: 1 / 0, pure=True)
    with pytest.raises(LookupError) as caught:
        stand_in.shout("fail")
    assert caught.value.__context__ is None
    frames = traceback.extract_tb(caught.value.__traceback__)[1:]
    assert {frame.filename for frame in frames} == {stand_in.__file__}
    assert {frame.name for frame in frames} == {"shout"}


def test_parameters_of_every_kind(stand_in: ModuleType) -> None:
    def declined(*_: object, **__: object) -> None:
        raise Declined("no")

    dispatcher_for("Box.put", declined)
    box = stand_in.Box()
    assert box.put(1, 2, 3, item="x") == 1
    assert box.items == [(1, (2, 3), {"item": "x"})]


def test_static_and_class_methods(stand_in: ModuleType) -> None:
    dispatcher_for("Box.fixed", lambda x: ("fast", x))
    dispatcher_for("Box.name_of", lambda cls, suffix: ("fast", cls.__name__, suffix))
    assert stand_in.Small.fixed() == ("fast", 1)
    assert stand_in.Small.name_of("s") == ("fast", "Small", "s")


def test_override_in_a_subclass_stays(stand_in: ModuleType) -> None:
    class Mine(stand_in.Box):  # type: ignore[misc, name-defined]
        def put(self, item: object) -> str:
            return "mine"

    dispatcher_for("Box.put", lambda *a: "fast")
    assert Mine().put(1) == "mine"
    assert stand_in.Small().put(1) == "fast"


def test_replaced_collaborator_is_honoured(
    stand_in: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher = dispatcher_for("shout", lambda *_: "fast", reads=(f"{NAME}:helper",))
    assert stand_in.shout("a") == "fast"
    with monkeypatch.context() as patch:
        patch.setattr(stand_in, "helper", lambda text: "patched")
        assert stand_in.shout("a") == "PATCHED!"
    assert stand_in.shout("a") == "fast"
    assert tally_of(dispatcher).fallbacks == 1


def test_context_manager(stand_in: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    dispatcher_for("held", lambda *_: contextlib.nullcontext("fast"), reads=(f"{NAME}:helper",))
    with stand_in.held("a") as value:
        assert value == "fast"
    monkeypatch.setattr(stand_in, "helper", lambda text: "patched")
    with stand_in.held("a") as value:
        assert value == "patched"


def test_overridden_collaborator_is_honoured(stand_in: ModuleType) -> None:
    class Mine(stand_in.Box):  # type: ignore[misc, name-defined]
        def put(self, item: object, *more: object) -> str:
            return "mine"

    dispatcher = dispatcher_for("Box.__init__", lambda self: None, reads=(f"{NAME}:Box.put",))
    assert Mine().items == []
    assert tally_of(dispatcher).fallbacks == 1
    assert not hasattr(stand_in.Box(), "items")


def test_inherited_target_is_added_and_removed(stand_in: ModuleType) -> None:
    dispatcher = dispatcher_for("Small.put", lambda *a, **k: "fast")
    assert stand_in.Small().put(1) == "fast"
    assert stand_in.Box().put(1) == 1
    dispatcher.switch(False)
    assert stand_in.Small().put(1) == 1
    dispatcher.take_away()
    assert "put" not in vars(stand_in.Small)


def test_inherited_target_that_somebody_has_set_stays_theirs(stand_in: ModuleType) -> None:
    dispatcher = dispatcher_for("Small.put", lambda *a, **k: "fast")
    stand_in.Small.put = lambda self, item: "theirs"
    for active in (False, True):
        dispatcher.switch(active)
        assert stand_in.Small().put(1) == "theirs"


def test_taken_away_unless_wrapped_since(stand_in: ModuleType) -> None:
    original = stand_in.shout
    dispatcher = dispatcher_for("shout", lambda *_: "fast")
    dispatcher.take_away()
    assert stand_in.shout is original

    dispatcher = dispatcher_for("shout", lambda *_: "fast")
    ours = stand_in.shout
    stand_in.shout = wrapper = lambda *a, **k: ours(*a, **k)
    dispatcher.switch(False)
    dispatcher.take_away()
    assert stand_in.shout is wrapper
    assert stand_in.shout("a") == "A!"


def test_foreign_wrapper_is_left_alone(stand_in: ModuleType) -> None:
    import wrapt

    stand_in.shout = wrapt.FunctionWrapper(stand_in.shout, lambda f, _i, a, k: f(*a, **k))
    with pytest.raises(TargetError, match=r"already wrapped by a .*FunctionWrapper"):
        dispatcher_for("shout", lambda *_: "fast")


def test_function_of_the_standard_library_is_replaced_in_this_module_only(
    stand_in: ModuleType,
) -> None:
    original = textwrap.indent
    dispatcher = dispatcher_for("indent", lambda *a: "fast")
    assert dispatcher.site.imported and dispatcher.site.alone
    assert textwrap.indent is original and stand_in.indent("a", " ") == "fast"
    dispatcher.take_away()
    assert stand_in.indent is original
    assert not locate(f"{NAME}:shout").imported
