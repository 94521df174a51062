"""Our finder with a stand-in CrewAI: hooks, threads, reloads, other finders."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

THREADS = """
    import faulthandler, os, sys, threading, time
    faulthandler.dump_traceback_later(20, exit=True)
    sys.path.insert(0, {folder!r})
    import wrapt
    fired = []
    if {other_first}:  # somebody's hooks put wrapt's own finder in place before us
        wrapt.register_post_import_hook(lambda m: fired.append(m.__name__), "crewai.sub")
    import fast_crewai
    fast_crewai.install()
    wrapt.register_post_import_hook(lambda m: fired.append(m.__name__), "crewai.sub")
    def package():
        import crewai
    def submodule():
        time.sleep(0.1)
        import crewai.sub
    threads = [threading.Thread(target=f, daemon=True) for f in (package, submodule)]
    for t in threads: t.start()
    for t in threads: t.join(10)
    print(sum(t.is_alive() for t in threads), fired)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stand_in")
    package = folder / "crewai"
    package.mkdir()
    (package / "__init__.py").write_text("import time\ntime.sleep(0.3)\nimport plain_module\n")
    (package / "sub.py").write_text("import plain_module\n")
    (package / "broken.py").write_text("1 / 0\n")
    (package / "missing.py").write_text("import no_such_module\n")
    (folder / "plain_module.py").write_text("")
    return folder


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("other_first", [False, True])
@pytest.mark.parametrize("_attempt", range(5))
def test_two_importing_threads_never_hang(stand_in: Path, other_first: bool, _attempt: int) -> None:
    result = run(THREADS.format(folder=str(stand_in), other_first=other_first))
    expected = ["crewai.sub"] * (2 if other_first else 1)
    assert result.stdout.strip() == f"0 {expected}", result.stderr


def test_wrapts_own_finder_never_serves_a_crewai_name(stand_in: Path) -> None:
    result = run(f"""
        import sys; sys.path.insert(0, {str(stand_in)!r})
        import wrapt, wrapt.importer as wi
        served = []
        original = wi.ImportHookFinder.find_spec
        def spy(self, name, *rest):
            spec = original(self, name, *rest)
            served.append(name) if spec is not None else None
            return spec
        wi.ImportHookFinder.find_spec = spy
        wrapt.register_post_import_hook(lambda m: None, "plain_module")
        import fast_crewai; fast_crewai.install()
        wrapt.register_post_import_hook(lambda m: print("fired", m.__name__), "crewai.sub")
        import crewai.sub
        print(served)
    """)
    assert result.stdout.split("\n")[:2] == ["fired crewai.sub", "['plain_module']"], result.stderr


def test_modules_keep_their_own_loader_and_spec(stand_in: Path) -> None:
    code = """
        import sys; sys.path.insert(0, {folder!r})
        {install}
        import crewai.sub as m, importlib, inspect
        print(type(m.__loader__), m.__spec__.loader is m.__loader__, inspect.getsource(m))
        print(type(importlib.reload(m).__loader__))
        print(importlib.util.find_spec("crewai.broken").loader.get_filename("crewai.broken"))
    """
    folder = str(stand_in)
    plain = run(code.format(folder=folder, install="import importlib.util"))
    ours = run(
        code.format(
            folder=folder, install="import importlib.util, fast_crewai; fast_crewai.install()"
        )
    )
    assert ours.stdout == plain.stdout != "", ours.stderr


@pytest.mark.parametrize("name", ["broken", "missing", "not_there"])
def test_tracebacks_of_failed_imports_are_pythons(stand_in: Path, name: str) -> None:
    code = "import sys; sys.path.insert(0, {folder!r}); {install}\nimport crewai.{name}\n"
    plain = run(code.format(folder=str(stand_in), install="pass", name=name))
    ours = run(
        code.format(
            folder=str(stand_in), install="import fast_crewai; fast_crewai.install()", name=name
        )
    )
    assert ours.returncode == plain.returncode == 1
    assert ours.stderr == plain.stderr


@pytest.mark.parametrize("place", ["0", "len(sys.meta_path)"])
def test_a_finder_that_asks_everybody_does_not_recurse(stand_in: Path, place: str) -> None:
    result = run(f"""
        import sys; sys.path.insert(0, {str(stand_in)!r})
        class Asking:
            busy = False
            def find_spec(self, name, path=None, target=None):
                if self.busy: return None
                self.busy = True
                try:
                    for finder in sys.meta_path:
                        spec = finder.find_spec(name, path, target)
                        if spec: return spec
                finally:
                    self.busy = False
        import fast_crewai; fast_crewai.install()
        sys.meta_path.insert({place}, Asking())
        import crewai.sub
        print("done")
    """)
    assert result.stdout == "done\n", result.stderr


def test_an_exception_in_somebodys_hook_is_theirs(stand_in: Path) -> None:
    result = run(f"""
        import sys; sys.path.insert(0, {str(stand_in)!r})
        import fast_crewai, wrapt; fast_crewai.install()
        wrapt.register_post_import_hook(lambda m: 1 / 0, "crewai.sub")
        try:
            import crewai.sub
        except ZeroDivisionError:
            print("theirs")
    """)
    assert result.stdout == "theirs\n", result.stderr


def test_uninstall_leaves_no_finder() -> None:
    result = run("""
        import sys, fast_crewai
        before = list(sys.meta_path)
        fast_crewai.install(); fast_crewai.install()
        assert fast_crewai.enabled()
        fast_crewai.uninstall()
        ours = [f for f in sys.meta_path if type(f).__module__.startswith("fast_crewai")]
        print(fast_crewai.enabled(), ours)
    """)
    assert result.stdout == "False []\n", result.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_another_thread_holds_our_lock_can_still_import(stand_in: Path) -> None:
    result = run(f"""
        import faulthandler, os, sys, threading; sys.path.insert(0, {str(stand_in)!r})
        faulthandler.dump_traceback_later(20, exit=True)
        import fast_crewai; fast_crewai.install()
        from fast_crewai import engine
        held, done = threading.Event(), threading.Event()
        def hold():
            with engine._lock, engine.registry()._lock:
                held.set(); done.wait()
        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        child = os.fork()
        if not child:
            import crewai.sub
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os._exit(0)
    """)
    assert result.stdout == "7\n", result.stderr


COLLECTOR = """
    import gc, sys; sys.path.insert(0, {folder!r})
    import fast_crewai; fast_crewai.install()
    from fast_crewai.imports import set_aside
    thresholds = gc.get_threshold()
    {how}
    (route,) = fast_crewai.status().components["imports"]["routes"][:1]
    print(set_aside.count() > 0, gc.get_threshold() == thresholds, route["state"])
"""


@pytest.mark.parametrize(
    ("how", "aside"),
    [
        ("import crewai", True),
        ("import crewai.sub", True),
        ("import outer", True),
        ("exec('import crewai')", True),
        ("(lambda: __import__('crewai'))()", False),
        ("import threading; threading.Timer(9, print).start(); import crewai", False),
        ("import gc; gc.disable(); import crewai", False),
    ],
)
def test_only_the_import_of_a_program_that_has_just_begun_is_set_aside(
    stand_in: Path, how: str, aside: bool
) -> None:
    (stand_in / "outer.py").write_text("import crewai\n")
    program = (
        COLLECTOR.format(folder=str(stand_in), how=how) + "\n    import os; sys.stdout.flush()"
    )
    result = run(program + "; os._exit(0)")
    state = "waiting" if "disable" in how else "active"
    assert result.stdout == f"{aside} True {state}\n", result.stderr
