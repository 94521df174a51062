"""Every route against the original it replaced, as captured when it was applied."""

import inspect
import pickle
import sys
import types

import pytest
from hypothesis import HealthCheck, given, settings
from strategies.routes import case_for

import fast_crewai
from fast_crewai import engine
from fast_crewai.hooks.dispatch import is_ours
from fast_crewai.hooks.registry import ACTIVE, Registry

ROUTES = list(Registry.load("test").states)
SETTINGS = settings(
    max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.fixture(scope="module")
def states():
    fast_crewai.install()
    yield engine.registry().states
    fast_crewai.uninstall()


@pytest.fixture(params=ROUTES)
def state(request, states):
    found = states[request.param]
    assert found.state == ACTIVE, found.reason
    return found


def test_same_results_exceptions_and_side_effects(state):
    site = state.dispatcher.site
    original = state.dispatcher.attribute.__wrapped__
    case = case_for(state.route.name, site.namespace)
    calls, fallbacks = state.tally.calls, state.tally.fallbacks
    before = dict(state.tally.reasons)  # of other tests in this process

    @SETTINGS
    @given(case.examples)
    def check(example):
        expected = case.observe(original, example)
        assert case.observe(state.dispatcher.attribute, example) == expected

    check()
    reasons = {why for why, count in state.tally.reasons.items() if count > before.get(why, 0)}
    faults = {reason for reason in reasons if reason.endswith("in the fast path")}
    # A user's exception (a failing __repr__) may end a fast path; an error of ours never does.
    assert faults <= {"ValueError in the fast path"}, state.tally.reasons
    calls, fallbacks = state.tally.calls - calls, state.tally.fallbacks - fallbacks
    assert calls and fallbacks < 0.7 * calls, state.tally.reasons


def test_looks_like_the_original(state):
    ours = state.dispatcher.function
    original = ours.__wrapped__
    assert type(ours) is types.FunctionType
    assert inspect.signature(ours) == inspect.signature(original)
    own = inspect.signature(original, follow_wrapped=False)
    assert inspect.signature(ours, follow_wrapped=False) == own
    assert inspect.getsource(ours) == inspect.getsource(original)
    assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(original)
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__kwdefaults__"):
        assert getattr(ours, name) == getattr(original, name), name
    site = state.dispatcher.site
    held = isinstance(site.namespace, (type, types.ModuleType))  # else by a decorated flow method
    if held and not site.alone:  # others are pickled as what they were taken from
        assert pickle.loads(pickle.dumps(ours)) is ours


def test_applied_once(state):
    namespace, name = state.dispatcher.site.namespace, state.dispatcher.site.name
    before = vars(namespace)[name]
    fast_crewai.install()
    assert vars(namespace)[name] is before
    assert not is_ours(state.dispatcher.function.__wrapped__)


def test_no_crewai_module_holds_a_replaced_function(states):
    assert engine.registry().stale_holders() == []


def test_uninstall_puts_every_original_back():
    fast_crewai.install()
    states = engine.registry().states
    sites = [state.dispatcher.site for state in states.values()]
    ours = [state.dispatcher.attribute for state in states.values()]
    fast_crewai.uninstall()
    for site, function in zip(sites, ours, strict=True):
        if site.inherited:
            assert site.name not in vars(site.namespace)
        else:
            assert vars(site.namespace)[site.name] is site.original
        holders = [
            (name, key)
            for name, module in list(sys.modules.items())
            for key, value in list(vars(module).items())
            if value is function
        ]
        assert holders == []
    fast_crewai.install()
    assert all(state.state == ACTIVE for state in states.values())
    fast_crewai.uninstall()
