"""The environment becomes one Settings object; odd values warn and change nothing."""

import os

import pytest

from fast_crewai import config


@pytest.mark.parametrize("value", ["0", "false", "OFF", " no "])
def test_fast_crewai_off(value: str) -> None:
    assert not config.load({"FAST_CREWAI": value}).enabled


@pytest.mark.parametrize("value", ["", "1", "true", "auto"])
def test_fast_crewai_on(value: str) -> None:
    assert config.load({"FAST_CREWAI": value}).enabled


def test_zero_wins_over_upstreams_variable() -> None:
    assert not config.load({"FAST_CREWAI": "0", "FAST_CREWAI_ACCELERATION": "true"}).enabled
    assert not config.load({"FAST_CREWAI_ACCELERATION": "false"}).enabled


def test_disable_names_components_and_routes() -> None:
    settings = config.load({"FAST_CREWAI_DISABLE": " Memory, tools.sanitize-tool-name ,"})
    assert settings.disabled == {"memory", "tools.sanitize-tool-name"}
    assert settings.why_disabled("memory", "memory.x") == "disabled by the user (memory)"
    assert settings.why_disabled("tools", "tools.sanitize-tool-name")
    assert settings.why_disabled("tools", "tools.other") is None


def test_fixes_are_only_those_asked_for() -> None:
    assert config.load({}).fixes == frozenset()
    assert config.load({"FAST_CREWAI_FIX": "lancedb-delete, Other"}).fixes == {
        "lancedb-delete",
        "other",
    }


def test_all_disables_everything() -> None:
    assert config.load({"FAST_CREWAI_DISABLE": "all"}).why_disabled("flow", "flow.x")


@pytest.mark.parametrize("name", ["MEMORY", "TOOLS", "TASKS", "SERIALIZATION", "DATABASE"])
def test_upstream_component_switches(name: str) -> None:
    assert config.load({f"FAST_CREWAI_{name}": "false"}).disabled == {name.lower()}
    assert not config.load({f"FAST_CREWAI_{name}": "auto"}).disabled


def test_odd_value_warns_and_is_ignored() -> None:
    settings = config.load({"FAST_CREWAI": "perhaps"})
    assert settings.enabled
    assert "perhaps" in settings.warnings[0]


def test_report_is_for_one_process_only() -> None:
    environment = config.run_environment(
        "/b", os.getpid(), disable=frozenset(), report="/r.json", verbose=True, environ={}
    )
    own = config.load(environment)
    assert (own.report, own.verbose) == ("/r.json", True)
    child = config.run_environment(
        "/b", os.getpid() + 1, disable=frozenset(), report="/r.json", verbose=True, environ={}
    )
    other = config.load(child)
    assert (other.report, other.verbose) == (None, False)


def test_run_environment_keeps_pythonpath_and_earlier_disables() -> None:
    environ = {"PYTHONPATH": f"/user{os.pathsep}", "FAST_CREWAI_DISABLE": "tools"}
    environment = config.run_environment(
        "/b", 1, disable=frozenset({"flow"}), report=None, verbose=False, environ=environ
    )
    assert environment["PYTHONPATH"] == f"/b{os.pathsep}/user{os.pathsep}"
    assert environment["FAST_CREWAI_DISABLE"] == "flow,tools"
    again = config.run_environment(
        "/b", 1, disable=frozenset(), report=None, verbose=False, environ=environment
    )
    assert again["PYTHONPATH"] == environment["PYTHONPATH"]
