"""What is missing, broken, unknown or patched: CrewAI's own code runs, and the reason is told."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import (
    PACKAGE,
    RUN,
    STAND_IN_MODULE,
    STAND_IN_ROUTE,
    Result,
    code,
    copy_of_us,
    environment,
    stand_in,
    start,
    virtual_environment,
    without_crewai,
)


def crewai_version() -> tuple[int, ...]:
    """Major and minor; (0,) where it is not installed."""
    try:
        return tuple(int(part) for part in importlib.metadata.version("crewai").split(".")[:2])
    except importlib.metadata.PackageNotFoundError:
        return (0,)


needs_crewai = pytest.mark.skipif(crewai_version() < (1, 15), reason="needs CrewAI 1.15")

# Imports a module that has routes, uses it, and tells what our accelerator says.
PROGRAM = f"""
import json, sys
import {STAND_IN_MODULE} as module
assert module.sanitize_tool_name("a") == "a"
import fast_crewai
status = fast_crewai.status()
json.dump({{"failure": status.failure, "enabled": fast_crewai.enabled(),
           "components": {{n: [p["state"], p["reason"]] for n, p in status.components.items()}},
           "routes": {{r["name"]: [r["state"], r["reason"]] for r in status.routes()}}}},
          sys.stdout)
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has nothing at all; what it needs comes by PYTHONPATH."""
    return virtual_environment(tmp_path_factory.mktemp("bare") / "v")


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """What we need, without CrewAI."""
    return without_crewai(tmp_path / "packages")


def path_of(*folders: Path) -> dict[str, str]:
    return environment(PYTHONPATH=os.pathsep.join(map(str, folders)))


def flat(result: Result) -> str:
    """Everything that was printed, on one line; rich and click fold theirs."""
    assert "Traceback" not in result.stdout + result.stderr
    return " ".join((result.stdout + result.stderr).split())


# -------------------------------------------------------------------------- CrewAI is missing


@pytest.mark.parametrize("command", ["status", "status --json", "doctor"])
def test_without_crewai_the_command_line_says_what_to_do(
    bare: Path, packages: Path, command: str
) -> None:
    result = start("-m", "fast_crewai", *command.split(), python=bare, env=path_of(packages))
    assert result.returncode == 1
    assert "not installed" in flat(result)
    assert "pip install 'fast-crewai[crewai]'" in flat(result)


def test_without_crewai_the_rest_works(bare: Path, packages: Path, tmp_path: Path) -> None:
    env = path_of(packages)
    result = start(
        "-W",
        "error",
        "-c",
        code(
            """
            import fast_crewai, sys
            assert not fast_crewai.enabled()
            status = fast_crewai.install()
            assert fast_crewai.enabled() and status.enabled
            assert status.crewai is None
            assert status.routes() and {r["state"] for r in status.routes()} == {"waiting"}
            with fast_crewai.disabled():
                assert not fast_crewai.enabled()
            try:
                import crewai
            except ModuleNotFoundError as error:
                assert error.name == "crewai" and str(error) == "No module named 'crewai'"
            else:
                raise AssertionError
            fast_crewai.install(disable=["flow", "tools"])
            fast_crewai.uninstall(); fast_crewai.uninstall()
            assert not fast_crewai.enabled() and not fast_crewai.status().enabled
            """
        ),
        python=bare,
        env=env,
    )
    assert (result.returncode, result.stderr) == (0, "")
    info = start("-m", "fast_crewai", "info", python=bare, env=env)
    assert info.returncode == 0
    assert "not installed" in info.stdout
    report = tmp_path / "r.json"
    ran = start(*RUN, "-v", "--report", report, "-c", "print(1)", python=bare, env=env)
    assert (ran.returncode, ran.stdout) == (0, "1\n")
    assert "CrewAI not installed" in ran.stderr
    assert json.loads(report.read_text())["crewai"] is None


# ---------------------------------------------------------------------- a part of us is broken


def state_of(result: Result) -> dict[str, dict[str, list[str]]]:
    assert result.stderr == ""
    assert result.returncode == 0
    answer: dict[str, dict[str, list[str]]] = json.loads(result.stdout)
    return answer


def run_both_ways(python: Path, env: dict[str, str]) -> dict[str, dict[str, list[str]]]:
    """PROGRAM under ``run``, after ``install()`` and from the start-up line, all the same."""
    answers = [
        state_of(start(*RUN, "-c", PROGRAM, python=python, env=env)),
        state_of(
            start(
                "-c",
                f"import fast_crewai.finder as f; f.start()\n{PROGRAM}",
                python=python,
                env=env,
            )
        ),
    ]
    assert answers[0] == answers[1]
    try_install = "import fast_crewai\ntry: fast_crewai.install()\nexcept Exception: pass\n"
    installed = start("-c", try_install + PROGRAM, python=python, env=env)
    assert state_of(installed)["routes"].keys() == answers[0]["routes"].keys()
    return answers[0]


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A copy of us that a test may break, with a stand-in CrewAI."""
    return stand_in(copy_of_us(tmp_path / "copy"))


def test_native_module_is_missing(bare: Path, packages: Path, tmp_path: Path) -> None:
    copy = stand_in(copy_of_us(tmp_path / "copy", native=False))
    env = path_of(copy, packages)
    answer = run_both_ways(bare, env)
    assert {state for state, _ in answer["components"].values()} == {"off"}
    for name in ("flow", "agents", "tools", "tasks", "serialization"):
        assert "_core" in answer["components"][name][1]
    doctor = start("-m", "fast_crewai", "doctor", python=bare, env=env)
    assert doctor.returncode == 1
    assert "native module is not available" in flat(doctor)
    assert "pip install --force-reinstall fast-crewai" in flat(doctor)
    info = start("-m", "fast_crewai", "info", python=bare, env=env)
    assert (info.returncode, "native module is not available" in info.stdout) == (0, True)
    # Names of routes that could not be loaded are still no mistake of the user's.
    again = environment(PYTHONPATH=env["PYTHONPATH"], FAST_CREWAI_DISABLE="tools")
    state_of(start(*RUN, "-c", PROGRAM, python=bare, env=again))


def test_native_module_of_another_version(bare: Path, packages: Path, tmp_path: Path) -> None:
    copy = stand_in(copy_of_us(tmp_path / "copy", native=False))
    (copy / "fast_crewai" / "_core.py").write_text(
        '__version__ = "0.0.0"\n'
        "class Declined(Exception): pass\nclass Guard: pass\n"
        "def __getattr__(name): return lambda *_: 1 / 0\n"
    )
    answer = run_both_ways(bare, path_of(copy, packages))
    assert answer["failure"] is None
    state, reason = answer["routes"][STAND_IN_ROUTE]
    assert state == "off"
    assert reason.startswith("the native module was built for 0.0.0")
    doctor = start("-m", "fast_crewai", "doctor", python=bare, env=path_of(copy, packages))
    assert doctor.returncode == 1
    assert "built for 0.0.0" in flat(doctor)
    assert "pip install --force-reinstall fast-crewai" in flat(doctor)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "fingerprints.json is not usable"),
        (b"{", "fingerprints.json is not usable"),
        (b"\xff\xfe\0", "fingerprints.json is not usable"),
        (b"[]", "fingerprints.json is not usable"),
        (b"null", "fingerprints.json is not usable"),
        (b'{"targets": []}', "fingerprints.json is not usable"),
        (b'{"targets": {"a": []}}', "fingerprints.json is not usable"),
        (b'{"other": {}}', "fingerprints.json is not usable"),
        (b"[" * 100_000, "recursion"),
        (b'{"targets": {}}', "no fingerprint is recorded"),
        (None, "fingerprints.json is not usable"),
    ],
)
def test_fingerprints_that_are_corrupt(
    bare: Path, packages: Path, broken: Path, content: bytes | None, reason: str
) -> None:
    file = broken / "fast_crewai" / "fingerprints.json"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    answer = state_of(start(*RUN, "-c", PROGRAM, python=bare, env=path_of(broken, packages)))
    assert answer["failure"] is None
    state, told = answer["routes"][STAND_IN_ROUTE]
    assert (state, reason in told) == ("off", True), told


def empty(path: Path) -> None:
    path.write_text("")


def syntax(path: Path) -> None:
    path.write_text("x = = 1")


def raises(path: Path) -> None:
    path.write_text("1 / 0")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [empty, syntax, raises, truncated, gone])
def test_a_broken_area_costs_only_itself(
    bare: Path, packages: Path, broken: Path, damage: Callable[[Path], None]
) -> None:
    damage(broken / "fast_crewai" / "hooks" / "areas" / "tools.py")
    answer = run_both_ways(bare, path_of(broken, packages))
    assert answer["failure"] is None
    state, reason = answer["components"]["tools"]
    assert (state, bool(reason)) == ("off", True)
    assert "Error" in reason
    assert STAND_IN_ROUTE not in answer["routes"]
    assert answer["components"]["flow"] == ["waiting", "CrewAI has not imported its modules"]
    assert answer["routes"]["tasks.interpolate"][1].startswith(f"{STAND_IN_MODULE} has no")


@pytest.mark.parametrize("damage", [empty, syntax, raises, gone])
@pytest.mark.parametrize(
    "file", ["engine.py", "config.py", "hooks/registry.py", "hooks/dispatch.py", "hooks/route.py"]
)
def test_whatever_of_ours_is_broken_the_program_runs(
    bare: Path, packages: Path, broken: Path, file: str, damage: Callable[[Path], None]
) -> None:
    damage(broken / "fast_crewai" / file)
    text = f"import {STAND_IN_MODULE} as m; print(m.sanitize_tool_name('a'), m.__loader__.name)"
    sitecustomize = PACKAGE / "_sitecustomize"  # what `run` sets; its command line may be broken
    result = start("-c", text, python=bare, env=path_of(sitecustomize, broken, packages))
    assert (result.stderr, result.stdout) == ("", f"a {STAND_IN_MODULE}\n")


@pytest.mark.parametrize("damage", ["1 / 0", "x = 1"])
def test_a_broken_wrapt_is_no_reason_to_stop(
    bare: Path, packages: Path, broken: Path, damage: str
) -> None:
    (broken / "wrapt.py").write_text(damage)
    answer = state_of(start(*RUN, "-c", PROGRAM, python=bare, env=path_of(broken, packages)))
    assert answer["enabled"] is False
    assert answer["failure"]


# ---------------------------------------------------------------------------- what users say


@pytest.mark.parametrize(
    "how", ["-c", "-m fast_crewai run -c", "-W error -m fast_crewai run -c", "-W error -c"]
)
def test_an_unknown_name_is_one_warning(bare: Path, packages: Path, broken: Path, how: str) -> None:
    text = f"""
        import fast_crewai
        if {how.endswith("r -c") or how == "-c"}:
            try:
                fast_crewai.install()
            except RuntimeWarning as warning:  # -W error
                print("raised", warning)
        """
    env = path_of(broken, packages) | {"FAST_CREWAI_DISABLE": "flow,nothing-of-ours"}
    program = code(text) + PROGRAM.replace("json.dump", "print(); json.dump")
    result = start(*how.split(), program, python=bare, env=env)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout.splitlines()[-1])
    assert answer["routes"]["flow.trigger-search"] == ["off", "disabled by the user (flow)"]
    assert answer["routes"][STAND_IN_ROUTE][1].startswith(f"{STAND_IN_MODULE} has no")
    assert answer["enabled"] is True  # a wrong name switches nothing else off
    if "error" in how:
        assert result.stderr == ""
    else:
        assert result.stderr.count("RuntimeWarning: fast_crewai: ") == 1
        assert "'nothing-of-ours'" in result.stderr
        assert "serialization" in result.stderr  # the names that there are


@pytest.mark.parametrize("disable", ["nothing-of-ours", ["flow", "nothing-of-ours"]])
def test_an_unknown_name_for_install_is_an_error(
    bare: Path, packages: Path, disable: str | list[str]
) -> None:
    text = f"""
        import fast_crewai
        try:
            fast_crewai.install(disable={disable!r})
        except ValueError as error:
            print(type(error).__name__, error)
        assert not fast_crewai.enabled()
        assert fast_crewai.install(disable="Tools , flow").components["tools"]["state"] == "off"
        """
    result = start("-c", code(text), python=bare, env=path_of(packages))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("UnknownNameError unknown component or route 'nothing-of-ours'")
    assert "serialization" in result.stdout


# ------------------------------------------------------------------------------ a real CrewAI

QUIET = {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true"}

TOOLS = """
    import importlib, json, os, sys, types, warnings
    from unittest import mock
    import fast_crewai
    from fast_crewai import engine

    STRINGS = "crewai.utilities.string_utils"

    def routes():  # the import's own are for test_lazy.py
        every = fast_crewai.status().routes()
        return {r["name"]: r for r in every if not r["name"].startswith("imports.")}

    def calls(name="tools.sanitize-tool-name"):
        return routes()[name]["calls"]

    def fallbacks(name="tools.sanitize-tool-name"):
        return routes()[name]["fallbacks"]

    def standing(sites):
        '''What is at each target now, whatever that is.'''
        return {name: vars(site.namespace).get(site.name) for name, site in sites.items()}

    def is_ours(value):
        value = getattr(value, "__func__", value)  # of a static method
        return isinstance(value, types.FunctionType) and "__fast_crewai_route__" in vars(value)

    def route_of(place):
        module, *names = place.rsplit(".", 1)
        while module not in sys.modules:
            module, _, name = module.rpartition(".")
            names.insert(0, name)
        value = sys.modules[module]
        for name in names:
            value = vars(value)[name]
        return vars(getattr(value, "__func__", value))["__fast_crewai_route__"]

    def all_of_ours():
        '''Every function of ours that CrewAI's modules and classes hold.'''
        found = []
        for module_name, module in list(sys.modules.items()):
            if module_name.partition(".")[0] != "crewai":
                continue
            for name, value in list(vars(module).items()):
                if is_ours(value):
                    found.append(f"{module_name}.{name}")
                if isinstance(value, type):
                    found += [f"{module_name}.{name}.{key}" for key, held in
                              list(vars(value).items()) if is_ours(held)]
        return sorted(set(found))
"""


def real(*parts: str, **extra: str) -> None:
    """Run a program with the real CrewAI; its assertions are the test's."""
    program = "".join(map(code, (TOOLS, *parts, "print('all passed')\n")))
    result = start("-c", program, env=environment(**QUIET, **extra))
    assert (result.returncode, result.stdout) == (0, "all passed\n"), result.stderr[-5000:]


FLOW = """
    from crewai.flow.flow import Flow, and_, listen, or_, start
    from crewai.flow import runtime

    def make(base):
        class Mine(base):
            @start()
            def begin(self):
                self.seen = ["begin"]

            @listen(begin)
            def second(self):
                self.seen.append("second")

            @listen(and_(begin, second))
            def third(self):
                self.seen.append("third")

        return Mine

    Mine = make(Flow)

    def run(kind=Mine):
        flow = kind(suppress_flow_events=True)
        flow.kickoff()
        return flow.seen
"""


@needs_crewai
def test_patches_overrides_forks_reloads_and_uninstall() -> None:
    real(
        """
        fast_crewai.install()
        import crewai
        import crewai.memory.recall_flow, crewai.memory.encoding_flow  # loaded when asked for
        import crewai.memory.storage.lancedb_storage
        import crewai.state.checkpoint_listener  # loaded when asked for
        import crewai_cli.checkpoint_cli  # the command
        import crewai.utilities.string_utils as strings
        from crewai.utilities.string_utils import sanitize_tool_name as by_name
        """,
        FLOW,
        """
        registry = engine.registry()

        # ---- all stands, nothing holds an original
        assert registry.stale_holders() == []
        for route in routes().values():
            assert route["state"] == "active", route
        sites = {name: state.dispatcher.site for name, state in registry.states.items()}
        ours = standing(sites)
        assert all(map(is_ours, ours.values()))
        assert f"{STRINGS}.sanitize_tool_name" in all_of_ours()
        assert len(all_of_ours()) > len(sites)

        # ---- a subclass's own method, and patches
        class Own(Flow):
            asked = []
            def _find_triggered_methods(self, *arguments, **options):
                self.asked.append(arguments[0])
                return super()._find_triggered_methods(*arguments, **options)

        def compare(look):
            '''The same with us and with CrewAI's own code.'''
            with_us = look()
            with fast_crewai.disabled():
                without = look()
            assert with_us == without, (with_us, without)
            return with_us

        before = calls("flow.trigger-search")
        assert compare(run) == ["begin", "second", "third"]
        assert calls("flow.trigger-search") > before

        def overridden():
            Own.asked = []
            return run(make(Own)), Own.asked
        assert compare(overridden)[1]

        def patched_function():
            with mock.patch(f"{STRINGS}.sanitize_tool_name", return_value="patched") as patch:
                return strings.sanitize_tool_name("A"), by_name("A b"), patch.call_count
        assert compare(patched_function) == ("patched", "a_b", 1)

        def patched_pattern():
            with mock.patch(f"{STRINGS}._DISALLOWED_CHARS_PATTERN", __import__("re").compile("b")):
                return strings.sanitize_tool_name("a b c")
        assert compare(patched_pattern) not in ("a_b_c", "patched")
        assert "patched: _DISALLOWED_CHARS_PATTERN" in routes()["tools.sanitize-tool-name"][
            "fallback_reasons"]

        def patched_method():
            with mock.patch.object(Flow, "_find_triggered_methods", return_value=[]) as patch:
                return run(), patch.call_count > 0
        assert compare(patched_method) == (["begin"], True)

        def patched_condition():
            asked = []
            def never(*arguments, **options):
                asked.append(len(arguments))
                return False
            with mock.patch("crewai.flow.runtime._condition_satisfied", never):
                return run(), asked
        assert compare(patched_condition)[0] == ["begin"]
        assert compare(patched_condition)[1]

        def patched_helper():
            with mock.patch.object(Flow, "_listener_methods", return_value={}):
                return run()
        compare(patched_helper)

        def patched_on_the_instance():
            flow = Mine(suppress_flow_events=True)
            object.__setattr__(flow, "_condition_met", lambda *a, **k: False)
            flow.kickoff()
            return flow.seen
        compare(patched_on_the_instance)

        # after all of them everything is as it was
        assert standing(sites) == ours and compare(run) == ["begin", "second", "third"]
        assert fast_crewai.status().routes()[0]["reason"] == ""

        # ---- somebody's wrapper around ours
        wrapped = strings.sanitize_tool_name
        strings.sanitize_tool_name = lambda *a, **k: wrapped(*a, **k)
        assert strings.sanitize_tool_name("A") == "a"
        assert routes()["tools.sanitize-tool-name"]["reason"].startswith("now behind a")
        strings.sanitize_tool_name = wrapped
        assert routes()["tools.sanitize-tool-name"]["reason"] == ""

        # ---- nested pauses, and an exception in one
        n = calls()
        with fast_crewai.disabled():
            assert not fast_crewai.enabled()
            try:
                with fast_crewai.disabled():
                    strings.sanitize_tool_name("A")
                    1 / 0
            except ZeroDivisionError:
                pass
            assert not fast_crewai.enabled()
            assert strings.sanitize_tool_name("A") == by_name("A") == "a"
        assert calls() == n and fast_crewai.enabled()
        by_name("A")
        assert calls() == n + 1 and standing(sites) == ours

        # ---- a fork
        pid = os.fork()
        if pid == 0:
            good = fast_crewai.enabled() and by_name("A") == "a" and calls() == n + 2
            # (no flow here: CrewAI's own event loop doesn't survive a fork, without us either)
            fast_crewai.uninstall()
            os._exit(0 if good and by_name is sites["tools.sanitize-tool-name"].original else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert calls() == n + 1

        # ---- uninstalled: the very originals, in place, inherited ones not even in the way
        holder = types.ModuleType("users_module")
        holder.f = by_name
        sys.modules["users_module"] = holder
        kept = {"f": by_name}  # nobody can find this one
        ours_then = all_of_ours()  # the flows have imported more
        fast_crewai.uninstall()
        for name, site in sites.items():
            if site.inherited:
                assert site.name not in vars(site.namespace), name
                assert getattr(site.namespace, site.name) is site.original, name
            else:
                assert vars(site.namespace)[site.name] is site.original, name
        assert all_of_ours() == []
        original = sites["tools.sanitize-tool-name"].original
        assert by_name is holder.f is strings.sanitize_tool_name is original
        n = calls()
        assert kept["f"]("A b") == "a_b" and calls() == n
        assert not fast_crewai.enabled() and {r["state"] for r in routes().values()} == {"off"}
        assert run() == ["begin", "second", "third"]
        fast_crewai.uninstall()

        # ---- and again
        status = fast_crewai.install()
        assert status.enabled
        assert {r["state"] for r in routes().values()} == {"active"}, routes()
        assert registry.stale_holders() == [] and all_of_ours() == ours_then
        assert run() == ["begin", "second", "third"]
        n = calls()
        strings.sanitize_tool_name("A")
        assert calls() == n + 1

        # ---- somebody's wrapper that looks like ours (functools.wraps copies all marks)
        import functools
        ours_now = strings.sanitize_tool_name
        @functools.wraps(ours_now)
        def wrapper(*arguments, **options):
            return ours_now(*arguments, **options) + "!"
        strings.sanitize_tool_name = wrapper
        assert "now behind" in routes()["tools.sanitize-tool-name"]["reason"]
        fast_crewai.uninstall()
        assert strings.sanitize_tool_name is wrapper and wrapper("A b") == "a_b!"
        fast_crewai.install()
        assert strings.sanitize_tool_name is wrapper and wrapper("A b") == "a_b!"
        assert routes()["tools.sanitize-tool-name"]["state"] == "off"
        strings.sanitize_tool_name = original
        fast_crewai.install()
        assert is_ours(strings.sanitize_tool_name) and strings.sanitize_tool_name("A b") == "a_b"

        # ---- only some
        status = fast_crewai.install(disable="tools, flow.trigger-search")
        now = {name: r["state"] for name, r in routes().items()}
        for name, state in now.items():
            off = name.startswith("tools.") or name == "flow.trigger-search"
            assert state == ("off" if off else "active"), (name, state)
            assert is_ours(vars(sites[name].namespace).get(sites[name].name)) is not off, name
        fast_crewai.install()

        # ---- reloaded
        held = crewai.tools.structured_tool.sanitize_tool_name if hasattr(
            crewai.tools.structured_tool, "sanitize_tool_name") else by_name
        assert is_ours(strings.sanitize_tool_name) and strings is importlib.reload(strings)
        again = strings.sanitize_tool_name
        assert is_ours(again) and again is not held and again("A b") == held("A b") == "a_b"
        assert routes()["tools.sanitize-tool-name"]["state"] == "active"
        n = calls()
        again("A")
        assert calls() == n + 1
        fast_crewai.uninstall()
        assert all_of_ours() == []
        n = calls()
        assert strings.sanitize_tool_name("A") == held("A") == again("A") == "a"
        assert calls() == n  # nobody runs our code any more
        """,
    )


@needs_crewai
def test_a_fault_of_ours_runs_the_original_or_raises_in_strict_mode() -> None:
    real(
        """
        import logging
        from fast_crewai import _core

        records = []
        class Keep(logging.Handler):
            def emit(self, record):
                records.append(record)
        logging.getLogger("fast_crewai").addHandler(Keep())
        logging.getLogger("fast_crewai").setLevel(logging.DEBUG)

        def broken(*arguments):
            raise RuntimeError("a fault of ours")
        for name in ("sanitize_tool_name", "interpolate", "to_serializable"):
            assert callable(getattr(_core, name))
            setattr(_core, name, broken)
        fast_crewai.install()
        import crewai
        import crewai.memory.recall_flow, crewai.memory.encoding_flow  # loaded when asked for
        import crewai.memory.storage.lancedb_storage
        import crewai.state.checkpoint_listener  # loaded when asked for
        import crewai_cli.checkpoint_cli  # the command
        import crewai.utilities.string_utils as strings
        from crewai.utilities.serialization import to_serializable

        names = ("tools.sanitize-tool-name", "tasks.interpolate", "serialization.to-serializable")
        n = {name: fallbacks(name) for name in names}
        records.clear()
        assert strings.sanitize_tool_name("Web Search!") == "web_search"
        assert strings.sanitize_tool_name("Web Search?") == "web_search"
        assert strings.interpolate_only("a {b} c", {"b": 1}) == "a 1 c"
        assert to_serializable({"a": (1, 2)}) == {"a": [1, 2]}
        for name in names:
            route = routes()[name]
            assert route["state"] == "active" and route["fallbacks"] > n[name], route
            assert route["fallbacks"] == route["calls"]
            assert route["fallback_reasons"] == {
                "RuntimeError in the fast path": route["fallbacks"]}
        # the original's own exceptions stay its own, without ours behind them
        try:
            strings.interpolate_only("a {missing} c", {"b": 1})
        except KeyError as error:
            assert error.__context__ is None and error.__cause__ is None, repr(error.__context__)
        else:
            raise AssertionError
        told = [r.getMessage() for r in records if "tools.sanitize" in r.getMessage()]
        assert len(told) <= 1, told  # logged once; at import already, if CrewAI called it there
        assert all(r.levelno == logging.DEBUG for r in records)

        # ---- strict
        os.environ["FAST_CREWAI_STRICT"] = "1"
        fast_crewai.uninstall()
        assert strings.sanitize_tool_name("Web Search!") == "web_search"
        fast_crewai.install()
        try:
            strings.sanitize_tool_name("Web Search!")
        except RuntimeError as error:
            assert type(error).__name__ == "FallbackError"
            assert "tools.sanitize-tool-name" in str(error)
            assert str(error.__cause__) == "a fault of ours"
        else:
            raise AssertionError("no fallback may pass in strict mode")
        with fast_crewai.disabled():
            assert strings.sanitize_tool_name("Web Search!") == "web_search"
        os.environ["FAST_CREWAI_STRICT"] = "0"
        fast_crewai.install()
        assert strings.sanitize_tool_name("Web Search!") == "web_search"
        """
    )


@needs_crewai
def test_late_installs_unknown_versions_and_all_switches_off() -> None:
    real(
        """
        # ---- FAST_CREWAI=0, with our finder in place as in an always-on environment
        from fast_crewai import finder
        finder.start()
        import crewai
        import crewai.memory.recall_flow, crewai.memory.encoding_flow  # loaded when asked for
        import crewai.memory.storage.lancedb_storage
        import crewai.state.checkpoint_listener  # loaded when asked for
        import crewai_cli.checkpoint_cli  # the command
        import crewai.utilities.string_utils as strings
        from crewai.utilities.string_utils import sanitize_tool_name as users_own
        """,
        FLOW,
        """
        assert all_of_ours() == [] and not fast_crewai.enabled()
        assert {r["reason"] for r in routes().values()} == {"switched off (FAST_CREWAI)"}
        status = fast_crewai.install()  # whoever installs us, the user's word counts
        assert all_of_ours() == [] and not fast_crewai.enabled() and not status.enabled
        expected = run()

        # ---- late: CrewAI was there before us
        os.environ["FAST_CREWAI"] = "1"
        before = {(m, n): v for m, module in list(sys.modules.items())
                  if m.partition(".")[0] == "crewai" for n, v in list(vars(module).items())
                  if isinstance(v, types.FunctionType)}
        status = fast_crewai.install()
        assert fast_crewai.enabled() and status.enabled
        registry = engine.registry()
        for route in status.routes():
            late = route["name"].startswith("imports.")
            assert route["state"] == ("off" if late else "active"), route
        assert "applied after CrewAI's import" in routes()["tools.sanitize-tool-name"]["reason"]
        assert registry.stale_holders() == []
        held = [place for place, value in before.items() if value is users_own]
        assert len(held) > 1
        for module, name in held:
            assert is_ours(vars(sys.modules[module])[name]), (module, name)
        assert not is_ours(users_own)  # a user's module keeps what it imported, as documented
        assert run() == expected and calls("flow.trigger-search") > 0
        first = all_of_ours()
        fast_crewai.install()
        assert all_of_ours() == first

        # ---- a CrewAI that nobody has proven
        fast_crewai.uninstall()
        assert all_of_ours() == []
        for place, value in before.items():
            assert vars(sys.modules[place[0]])[place[1]] is value, place
        from fast_crewai.hooks import registry as registries
        data = json.loads(registries.FINGERPRINTS.read_text())
        sanitize, interpolate = f"{STRINGS}:sanitize_tool_name", f"{STRINGS}:interpolate_only"
        del data["targets"][sanitize]
        data["targets"][interpolate] = {"0" * 32: {"crewai": ["0.0.0"]}}
        import pathlib, tempfile
        unknown = pathlib.Path(tempfile.mkdtemp()) / "fingerprints.json"
        unknown.write_text(json.dumps(data))
        with mock.patch.object(registries, "FINGERPRINTS", unknown):
            registries.proven_digests.cache_clear()
            fast_crewai.install()
        registries.proven_digests.cache_clear()
        now = routes()
        assert now["tools.sanitize-tool-name"]["state"] == "off"
        assert "no fingerprint" in now["tools.sanitize-tool-name"]["reason"]
        assert now["tasks.interpolate"]["state"] == "off"
        assert "differs from every version" in now["tasks.interpolate"]["reason"]
        assert now["flow.trigger-search"]["state"] == "active"
        assert strings.sanitize_tool_name is users_own and users_own("A b") == "a_b"
        assert run() == expected

        # ---- changed under our feet, or wrapped by somebody before us
        fast_crewai.uninstall()
        class Proxy:
            def __call__(self, *arguments):
                return users_own(*arguments)
        proxy = strings.sanitize_tool_name = Proxy()
        def interpolate_only(input_string, inputs):
            return "another"
        strings.interpolate_only, kept = interpolate_only, strings.interpolate_only
        fast_crewai.install()
        now = routes()
        assert now["tools.sanitize-tool-name"]["state"] == "off", now["tools.sanitize-tool-name"]
        assert strings.sanitize_tool_name is proxy
        assert now["tasks.interpolate"]["state"] == "off"
        assert strings.interpolate_only is interpolate_only
        strings.sanitize_tool_name, strings.interpolate_only = users_own, kept
        fast_crewai.install()
        assert {r["state"] for r in routes().values()} == {"active"}
        """,
        FAST_CREWAI="0",
    )


@needs_crewai
def test_the_environment_removes_just_what_it_names() -> None:
    program = """
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            import crewai
            import crewai.state.checkpoint_listener  # loaded when asked for
            import crewai_cli.checkpoint_cli  # the command
            import crewai.flow.runtime, crewai.utilities.serialization, crewai.tools
            import crewai.memory.recall_flow, crewai.memory.encoding_flow
            import crewai.memory.storage.lancedb_storage
            fast_crewai.install()
        ours = [w for w in told if "fast_crewai" in str(w.message)]
        assert [w.category for w in ours] == [RuntimeWarning], ours
        assert "'nothing-of-ours'" in str(ours[0].message)
        for name, part in fast_crewai.status().components.items():
            for route in part["routes"]:
                off = name in ("flow", "serialization")
                if name == "imports":  # depends on the cache
                    continue
                assert route["state"] == ("off" if off else "active"), route
                if off:
                    assert route["reason"] == f"disabled by the user ({name})"
        held = {name.partition(".")[0] for name in map(route_of, all_of_ours())}
        assert held == {"events", "agents", "tools", "tasks", "memory", "database"}, held
        """
    start_line = "from fast_crewai import finder; finder.start()\n"
    real(
        start_line,
        program,
        FAST_CREWAI_DISABLE="flow,serialization,nothing-of-ours",
    )


@needs_crewai
def test_doctor_and_status_of_a_healthy_installation(tmp_path: Path) -> None:
    doctor = start("-m", "fast_crewai", "doctor", cwd=tmp_path, env=environment(**QUIET))
    assert (doctor.returncode, "✗" in doctor.stdout) == (0, False), doctor.stdout
    env = environment(**QUIET, FAST_CREWAI_DISABLE="knowledge,nothing-of-ours")
    status = start("-W", "ignore", "-m", "fast_crewai", "status", "--json", cwd=tmp_path, env=env)
    assert status.returncode == 0
    answer = json.loads(status.stdout)
    parts = [part for name, part in answer["components"].items() if name != "imports"]
    assert {r["state"] for p in parts for r in p["routes"]} == {"active"}
