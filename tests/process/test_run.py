"""``python -m fast_crewai run …`` is ``python …``: exit code, stdout and stderr, byte by byte."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from helpers import (
    PACKAGE,
    PYTHON,
    RUN,
    STAND_IN_MODULE,
    STAND_IN_ROUTE,
    Result,
    code,
    environment,
    site_packages,
    stand_in,
    start,
    virtual_environment,
    without_crewai,
    write,
)

# Everything that a program can see of how it was started. Our own modules and built-in ones are
# left out of sys.modules: nothing in a user's folder can have their names.
PROBE = """
    import sys
    MODULES = sorted(
        name for name, module in sys.modules.items()
        if name.partition(".")[0] not in ("fast_crewai", "sitecustomize")
        and getattr(module, "__file__", None)
    )
    def probe():
        import os, signal, threading, warnings
        spec = globals()["__spec__"]
        main = sys.modules["__main__"]
        yield "argv", sys.argv
        yield "orig_argv", sys.orig_argv
        yield "names", __name__, main.__name__, sorted(vars(main))
        yield "file", globals().get("__file__"), getattr(main, "__file__", None)
        yield "package", __package__, type(__loader__).__name__
        yield "spec", spec and (spec.name, spec.origin, spec.parent, type(spec.loader).__name__)
        yield "path", sys.path, len(sys.path_hooks)
        yield "prefix", sys.executable, sys.prefix, sys.exec_prefix
        yield "flags", sys.flags, sys.warnoptions, sorted(sys._xoptions.items(), key=str)
        yield "filters", warnings.filters
        yield "modules", MODULES
        yield "cwd", os.getcwd(), os.umask(0o22), os.getppid() == int(os.environ["PPID"])
        ours = {"PYTHONPATH"}
        yield "environ", sorted(i for i in os.environ.items() if i[0] not in ours)
        yield "streams", [(f.name, f.encoding, f.errors, f.line_buffering, f.mode)
                          for f in (sys.stdin, sys.stdout, sys.stderr)]
        yield "files", sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self") else 0
        yield "signals", [signal.getsignal(s) for s in (2, 13, 15)], signal.pthread_sigmask(0, [])
        yield "threads", threading.active_count()
        yield "recursion", sys.getrecursionlimit(), sys.gettrace(), sys.getprofile()
        yield "hooks", sys.excepthook is sys.__excepthook__, sys.stdout is sys.__stdout__
    for line in probe():
        print(*line)
"""

PROGRAMS = {
    "exit_number": "import sys; sys.exit(3)",
    "exit_text": "import sys; sys.exit('text and äöü')",
    "exit_none": "import sys; sys.exit(None)",
    "exit_big": "import sys; sys.exit(2**40 + 7)",
    "exit_object": "raise SystemExit(['a', 'list'])",
    "exit_in_atexit": "import atexit, sys; atexit.register(print, 'bye'); sys.exit(4)",
    "os_exit": "import os; print('lost' * 3, end=''); os._exit(5)",
    "uncaught": """
        def outer():
            try:
                inner()
            except ValueError as error:
                raise KeyError("outer") from error

        def inner():
            raise ValueError("inner")

        outer()
        """,
    "not_printable": "class E(Exception):\n    def __str__(self): 1 / 0\nraise E",
    "group": "try:\n    raise ValueError('x')\nfinally:\n    missing",
    "interrupt": "raise KeyboardInterrupt",
    "interrupt_text": "print('before')\nraise KeyboardInterrupt('text')",
    "recursion": """
        def again(n):
            return again(n + 1) + 1
        again(0)
        """,
    "atexit_fails": "import atexit; atexit.register(lambda: 1 / 0); print('end')",
    "atexit_order": """
        import atexit
        for n in range(3):
            atexit.register(print, n)
        """,
    "del_fails": "class D:\n    def __del__(self): 1 / 0\nd = D(); del d; print('end')",
    "thread_fails": """
        import threading
        thread = threading.Thread(target=lambda: 1 / 0, name="worker")
        thread.start(); thread.join(); print("end")
        """,
    "hook": "import sys; sys.excepthook = lambda *a: print('hook', a[1]); raise ValueError(1)",
    "bad_import": "import no_such_module_anywhere",
    "bad_sibling": "import bad_syntax_module",
    "crewai_missing_part": "import crewai.no_such_part_at_all",
    "warns": "import warnings; warnings.warn('mine'); warnings.warn('old', DeprecationWarning)",
    "asserts": "assert False, 'only without -O'",
    "docstring": "def f():\n    'doc'\nprint(__debug__, f.__doc__)",
    "closes": "import sys; sys.stdout.close(); sys.stderr.close()",
    "leaks": "import sys; f = open(__file__); del f; print('end')",
    "syntax": "print(1)\ndef broken(:\n    pass\n",
    "indent": "if 1:\nprint(1)\n",
    "input": "print(input('? ')); print(input()); import sys; print(repr(sys.stdin.read()))",
    "bytes": "import sys; sys.stdout.buffer.write(bytes(range(256)) * 4)",
    "surrogate": "import sys; print(ascii(sys.argv[1:])); print('\\udc80')",
    "many": "for n in range(30000): print(n, 'x' * 50)",
    "asynchronous": "import asyncio\nasync def main(): raise OSError(1)\nasyncio.run(main())",
    "main_again": "import __main__; print(__main__ is __import__('sys').modules['__main__'])",
    "own_names": "print(sorted(n for n in globals() if not n.startswith('__')), dir())",
    "empty": "",
    "handles_term": """
        import os, signal
        signal.signal(signal.SIGTERM, lambda *_: print("handled"))
        os.kill(os.getpid(), signal.SIGTERM)
        """,
    "kills_itself": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "aborts": "import os; os.abort()",
    "pickles": """
        import pickle
        class Mine:
            pass
        print(pickle.loads(pickle.dumps(Mine())).__class__, pickle.dumps(Mine)[:0])
        """,
    "warns_in_child": """
        import subprocess, sys
        done = subprocess.run([sys.executable, "-c", "import warnings; warnings.warn('x')"])
        print(done.returncode)
        """,
    "ünï cödé": "print('ä', __file__)",
}

# Modules of a user's that have names of the standard library's, or of what we need.
SHADOWS = (
    *("ast", "atexit", "copy", "dataclasses", "dis", "inspect", "json", "logging"),
    *("numbers", "opcode", "pathlib", "platform", "queue", "random", "shutil"),
    *("signal", "string", "subprocess", "tempfile", "textwrap", "token", "tokenize", "tomllib"),
    *("click", "rich", "wrapt", "typing_extensions", "colorama", "cli", "config", "dispatch"),
    *("engine", "errors", "finder", "fingerprint", "report", "route", "session", "tables"),
)
# `python -m` itself imports these, of the working directory's if they are there.
LOADED_BY_RUNPY = (
    *("collections", "contextlib", "enum", "functools", "importlib", "keyword", "operator"),
    *("re", "reprlib", "threading", "types", "typing", "warnings", "weakref"),
)


@dataclass(frozen=True)
class Case:
    """``python *flags *program``; ``env`` is added to the environment."""

    name: str
    program: tuple[str, ...]
    flags: tuple[str, ...] = ()
    stdin: str = ""
    env: dict[str, str] = field(default_factory=dict)
    cwd: str = "."


def both(
    project: Path,
    *program: str | Path,
    flags: tuple[str, ...] = (),
    stdin: str = "",
    env: dict[str, str] | None = None,
    cwd: str | Path = ".",
    python: str | Path = PYTHON,
    own: tuple[str, ...] = (),
) -> tuple[Result, Result]:
    """The same program with plain Python and with ours."""
    surroundings = environment(PPID=str(os.getpid())) | (env or {})
    plain, ours = (
        start(
            *flags, *run, *program, python=python, cwd=project / cwd, stdin=stdin, env=surroundings
        )
        for run in ((), (*RUN, *own))
    )
    return plain, ours


def assert_same(plain: Result, ours: Result) -> None:
    assert without_addresses(ours.stderr) == without_addresses(plain.stderr)
    assert without_addresses(ours.stdout) == without_addresses(plain.stdout)
    assert ours.returncode == plain.returncode


def without_addresses(text: str) -> str:
    return re.sub(r" at 0x[0-9a-f]+", "", text)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder with many programs."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in PROGRAMS.items():
        write(folder / f"{name}.py", text)
    write(folder / "bad_syntax_module.py", "x = = 1\n")
    for place in ("probe.py", "sub/probe.py", "pkg/__main__.py", "pkg/mod.py", "app/__main__.py"):
        write(folder / place, PROBE)
    write(folder / "pkg" / "__init__.py")
    write(folder / "bare" / "__init__.py")
    write(folder / "broken" / "__init__.py", "1 / 0")
    (folder / "nothing").mkdir()
    with zipfile.ZipFile(folder / "app.zip", "w") as archive:
        archive.writestr("__main__.py", code(PROBE))
        archive.writestr("inside.py", "")
    with zipfile.ZipFile(folder / "nothing.zip", "w") as archive:
        archive.writestr("inside.py", "")
    (folder / "not_utf8.py").write_bytes(b"print('\xff')\n")
    (folder / "latin.py").write_bytes(b"# coding: latin-1\nprint(ascii('\xff'))\n")
    (folder / "null.py").write_bytes(b"print(1)\0\n")
    (folder / "first_line.py").write_text("this is not Python\nprint('second')\n")
    (folder / "link.py").symlink_to(folder / "sub" / "probe.py")
    write(folder / "user_site" / "own_module.py")
    return folder


def cases() -> Iterator[Case]:
    probe = code(PROBE)
    yield Case("script", ("probe.py",))
    yield Case("script-arguments", ("probe.py", "a", "", "-v", "--report", "x", "--", "-m", "--"))
    yield Case("script-like-ours", ("probe.py", "run", "--disable", "no", "-h", "--version"))
    yield Case("script-unicode", ("probe.py", "ä ö", "日本", "a\nb", "*", "'\"", "\udcff"))
    yield Case("script-elsewhere", ("sub/probe.py",))
    yield Case("script-from-elsewhere", ("../probe.py",), cwd="sub")
    yield Case("script-dotted", ("./sub/../probe.py",))
    yield Case("script-link", ("link.py",))
    yield Case("script-blanks", ("ünï cödé.py", "x"))
    yield Case("module-package", ("-m", "pkg", "a", "-v"))
    yield Case("module", ("-m", "pkg.mod", "--report", "x"))
    yield Case("module-joined", ("-mpkg.mod", "a"))
    yield Case("module-top", ("-m", "probe"))
    yield Case("module-of-library", ("-m", "json.tool"), stdin='{"a":1}')
    yield Case("module-missing", ("-m", "no_such_module"))
    yield Case("module-missing-part", ("-m", "pkg.no_such"))
    yield Case("module-without-main", ("-m", "bare"))
    yield Case("module-broken", ("-m", "broken"))
    yield Case("module-no-name", ("-m",))
    yield Case("code", ("-c", probe, "a", "-c", "b"))
    yield Case("code-joined", ("-cprint(1)",))
    yield Case("code-lines", ("-c", "import sys\nif 1:\n  print(sys.argv)\n  1/0", "x"))
    yield Case("code-syntax", ("-c", "x = = 1"))
    yield Case("code-no-code", ("-c",))
    yield Case("dash", ("-", "a", "-v"), stdin=probe)
    yield Case("dash-fails", ("-",), stdin="import sys\nprint(sys.argv)\n1/0\n")
    yield Case("nothing", (), stdin=probe)
    yield Case("nothing-empty", (), stdin="")
    yield Case("folder", ("app", "a"))
    yield Case("folder-slash", ("app/",))
    yield Case("folder-current", (".",), cwd="app")
    yield Case("folder-without-main", ("nothing",))
    yield Case("zip", ("app.zip", "a"))
    yield Case("zip-without-main", ("nothing.zip",))
    yield Case("not-found", ("no_such.py", "a"))
    yield Case("not-found-folder", ("no/such/thing.py",))
    yield Case("not-utf8", ("not_utf8.py",))
    yield Case("latin", ("latin.py",))
    yield Case("null-byte", ("null.py",))
    yield Case("dev-stdin", ("/dev/stdin", "a"), stdin="import sys; print(sys.argv, __file__)")
    for name in PROGRAMS:
        yield Case(f"program-{name}", (f"{name}.py",), stdin="one\ntwo\nthree\n\udcff")
    for flags in (
        ("-W", "error"),
        ("-Werror",),
        ("-W", "ignore", "-W", "error::DeprecationWarning"),
        ("-bb",),
    ):
        name = "".join(flags)
        yield Case(f"{name}-warns", ("warns.py",), flags)
        yield Case(f"{name}-warns-after-run", (*flags, "warns.py"))
    for flags in (
        ("-X", "dev"),
        ("-Xdev",),
        ("-X", "utf8"),
        ("-X", "utf8=0"),
        ("-X", "tracemalloc=2", "-X", "own=value"),
        ("-X", "pycache_prefix=/nonexistent/place"),
        ("-O",),
        ("-OO",),
        ("-u",),
        ("-B",),
        ("-s",),
        ("-d",),
        ("-uB",),
        ("-uWerror",),
        ("-OBW", "error"),
        ("-BXdev",),
        ("-qX", "utf8"),
        ("--check-hash-based-pycs", "always"),
        *([("-P",)] if sys.version_info >= (3, 11) else []),
    ):
        yield Case(f"{'_'.join(flags)}-script", ("probe.py", "a"), flags)
        yield Case(f"{'_'.join(flags)}-after-run", (*flags, "probe.py", "a"))
    yield Case("-O-asserts", ("asserts.py",), ("-O",))
    yield Case("-OO-docstring", ("docstring.py",), ("-OO",))
    yield Case("-Xdev-leaks", ("leaks.py",), ("-X", "dev"))
    yield Case("-x-script", ("first_line.py",), ("-x",))
    yield Case("-i-script", ("uncaught.py",), ("-q", "-i"), stdin="print('then')\nexit(6)\n")
    yield Case("-i-after-run", ("-q", "-i", "exit_number.py"), stdin="print('then')\n")
    yield Case("-i-nothing", ("-q", "-i"), stdin="x = 5\nprint(x)\n1/0\n")
    yield Case("-i-code", ("-qic", "x = 5"), stdin="x + 1\n")
    yield Case("version", ("-V",))
    yield Case("unknown-option", ("-Y", "probe.py"))
    variables = (
        ("PYTHONPATH", "user_site"),
        ("PYTHONPATH", f"user_site{os.pathsep}/no/such"),
        ("PYTHONPATH", os.pathsep),
        ("PYTHONPATH", f"{os.pathsep}user_site"),
        ("PYTHONPATH", ""),
        ("PYTHONSAFEPATH", "1"),
        ("PYTHONWARNINGS", "error"),
        ("PYTHONDEVMODE", "1"),
        ("PYTHONUTF8", "1"),
        ("PYTHONIOENCODING", "latin-1:replace"),
        ("PYTHONOPTIMIZE", "2"),
        ("PYTHONUNBUFFERED", "1"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONNOUSERSITE", "1"),
        ("PYTHONHASHSEED", "0"),
        ("PYTHONFAULTHANDLER", "1"),
        ("LC_ALL", "C"),
        ("LC_ALL", "C.UTF-8"),
        ("LC_ALL", "no_SUCH"),
        ("FAST_CREWAI", "0"),
        ("FAST_CREWAI_DISABLE", "all"),
    )
    for variable, value in variables:
        yield Case(f"{variable}={value}", ("probe.py",), env={variable: value})
    yield Case("LANG=C", ("probe.py",), env={"LC_ALL": "", "LC_CTYPE": "", "LANG": "C"})
    yield Case("PYTHONINSPECT", ("exit_number.py",), env={"PYTHONINSPECT": "1"}, stdin="1+1\n")
    yield Case("PYTHONWARNINGS-warns", ("warns.py",), env={"PYTHONWARNINGS": "error"})


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.name)
def test_is_what_python_does(project: Path, case: Case) -> None:
    plain, ours = both(
        project, *case.program, flags=case.flags, stdin=case.stdin, env=case.env, cwd=case.cwd
    )
    assert_same(plain, ours)


def test_script_is_not_readable(project: Path, tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.py", "print(1)")
    secret.chmod(0)
    if os.access(secret, os.R_OK):
        pytest.skip("this user may read everything")
    plain, ours = both(project, secret)
    assert_same(plain, ours)
    assert ours.returncode == 2


def test_script_on_an_inherited_pipe(project: Path) -> None:
    results = []
    for run in ((), RUN):
        reading, writing = os.pipe()
        os.write(writing, b"import sys; print(sys.argv, __file__)\n")
        os.close(writing)
        script = f"/dev/fd/{reading}"
        done = start(*run, script, "a", cwd=project, pass_fds=[reading])
        os.close(reading)
        results.append(
            subprocess.CompletedProcess(
                (), done.returncode, done.stdout.replace(script, "FD"), done.stderr
            )
        )
    assert_same(*results)
    assert results[1].stdout == "['FD', 'a'] FD\n"


def test_working_directory_is_gone(tmp_path: Path) -> None:
    script = write(tmp_path / "script.py", "import sys; print(sys.argv, sys.path[0])")
    results = []
    for run in ((), RUN):
        place = tmp_path / "place"
        place.mkdir()
        command = 'cd "$0" && rmdir "$0" && exec "$@"'
        done = subprocess.run(
            ["sh", "-c", command, str(place), PYTHON, *run, str(script)],
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
        )
        results.append(done)
    assert_same(*results)
    assert results[1].returncode == 0


# ------------------------------------------------------------------------------- signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("ignored", [False, True])
def test_signals_reach_the_program(tmp_path: Path, number: signal.Signals, ignored: bool) -> None:
    script = write(
        tmp_path / "waits.py",
        """
        import os, signal, sys
        number = int(sys.argv[1])
        signal.pthread_sigmask(signal.SIG_BLOCK, [number])
        print(os.getpid(), flush=True)
        sys.stdin.readline()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])  # here it arrives, always
        print("went on")
        """,
    )
    handler = signal.SIG_IGN if ignored else signal.SIG_DFL
    results = []
    for run in ((), RUN):
        process = subprocess.Popen(
            [PYTHON, *run, str(script), str(int(number))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            cwd=tmp_path,
            preexec_fn=lambda: signal.signal(number, handler),
        )
        assert process.stdout is not None
        assert int(process.stdout.readline()) == process.pid  # no process of ours in between
        process.send_signal(number)
        out, err = process.communicate("go\n", timeout=60)
        results.append(subprocess.CompletedProcess((), process.returncode, out, err))
    assert_same(*results)
    assert results[1].returncode == (0 if ignored else -number)


# --------------------------------------------------- sitecustomize, usercustomize, user's names

CUSTOMIZE = {
    "prints": "print('customized', __name__, __spec__.name, __file__)",
    "changes_path": "import sys; sys.path.append('/from/customize'); sys.flag = 1",
    "fails": "raise ValueError('of the user')",
    "fails_deep": "def f(): 1 / 0\nf()",
    "import_error": "import no_such_module_anywhere",
    "own_import_error": "raise ImportError('x', name='sitecustomize')",
    "exits": "import sys; sys.exit(7)",
    "interrupt": "raise KeyboardInterrupt",
    "syntax": "x = = 1",
    "warns": "import warnings; warnings.warn('of the user')",
    "looks": "import sys; print(sys.path, sys.argv, sys.modules['sitecustomize'].__file__)",
    "chains": """
        import sys, os
        here = os.path.dirname(__file__)
        rest = [p for p in sys.path if p != here]
        import importlib.machinery
        print("next:", getattr(importlib.machinery.PathFinder.find_spec("sitecustomize", rest),
              "submodule_search_locations", None))
        """,
}


@pytest.mark.parametrize("how", ["module", "package", "-W error"])
@pytest.mark.parametrize("name", CUSTOMIZE)
def test_the_users_sitecustomize_runs_as_without_us(
    project: Path, tmp_path: Path, name: str, how: str
) -> None:
    flags = tuple(how.split()) if how.startswith("-") else ()
    file = "sitecustomize/__init__.py" if how == "package" else "sitecustomize.py"
    customize(tmp_path / file, CUSTOMIZE[name])
    plain, ours = both(project, "probe.py", flags=flags, env={"PYTHONPATH": str(tmp_path)})
    if plain.stderr.startswith("Fatal Python error"):  # all frames are shown: one of them is ours
        plain.stderr = ours.stderr = ""
    assert_same(plain, ours)


def customize(path: Path, text: str) -> None:
    """A start-up file of the user's that says nothing in our command line's own process."""
    part = path.with_name(f"part_of_{path.name}")
    write(part, text)
    write(
        path,
        f"""
        import sys
        if "fast_crewai" not in sys.orig_argv:
            with open({str(part)!r}) as file:
                text = file.read()
            exec(compile(text, __file__, "exec"))
        """,
    )


def test_the_users_sitecustomize_runs_once_in_a_process(tmp_path: Path) -> None:
    write(tmp_path / "sitecustomize.py", "import os; print(os.getpid(), flush=True)")
    result = start(
        *RUN, "-c", "import os; print(os.getpid())", env=environment(PYTHONPATH=tmp_path)
    )
    # The same process: first our command line, then the program.
    assert len(result.stdout.split()) == 3
    assert len(set(result.stdout.split())) == 1


@pytest.fixture(scope="module")
def user_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that reads usercustomize (only those with the system's packages do)."""
    folder = tmp_path_factory.mktemp("user_python")
    assert start("-m", "venv", "--without-pip", "--system-site-packages", folder / "v").stderr == ""
    python = folder / "v" / "bin" / "python"
    seen = without_crewai(folder / "packages")
    (site_packages(python) / "zz_sees.pth").write_text(f"{seen}\n")
    return python


@pytest.mark.parametrize("name", ["prints", "fails"])
def test_the_users_usercustomize_runs_as_without_us(
    project: Path, tmp_path: Path, user_python: Path, name: str
) -> None:
    customize(tmp_path / "usercustomize.py", CUSTOMIZE[name])
    customize(tmp_path / "sitecustomize.py", "import sys; sys.flag = 1")
    plain, ours = both(
        project, "exit_number.py", python=user_python, env={"PYTHONPATH": str(tmp_path)}
    )
    assert_same(plain, ours)
    assert ("customized usercustomize" in plain.stdout) or "of the user" in plain.stderr


@pytest.mark.parametrize("how", ["elsewhere", "script", "module", "code", "dash", "nothing"])
@pytest.mark.parametrize("own", ["", "-v", "--report"])
def test_modules_of_the_users_folder_stay_the_users(tmp_path: Path, how: str, own: str) -> None:
    folder, report = tmp_path / "folder", tmp_path / "r.json"
    names = [*SHADOWS, *(LOADED_BY_RUNPY if how == "elsewhere" else ())]
    for name in names:
        write(folder / f"{name}.py", f"print('mine', {name!r}); value = 1")
    program = code(
        f"""
        import sys
        for name in {names}:
            module = __import__(name)
            print(name, getattr(module, "value", "not mine"))
            del sys.modules[name]  # so that whoever comes later has to look for it
        """
    )
    write(folder / "program.py", program)
    arguments: dict[str, tuple[str, ...]] = {
        "elsewhere": ("folder/program.py",),
        "script": ("program.py",),
        "module": ("-m", "program"),
        "code": ("-c", program),
        "dash": ("-",),
        "nothing": (),
    }
    plain, ours = both(
        tmp_path,
        *arguments[how],
        cwd="." if how == "elsewhere" else folder,
        stdin=program if how in ("dash", "nothing") else "",
        own=("--report", str(report)) if own == "--report" else tuple(own.split()),
    )
    assert plain.returncode == 0, plain.stderr
    if own == "-v":
        assert "no route was called" in ours.stderr
        ours.stderr = ""
    assert_same(plain, ours)
    assert report.exists() == (own == "--report")


def test_modules_of_a_folder_on_the_path_are_the_users(tmp_path: Path) -> None:
    for name in ("session", "config", "report", "finder", "cli", "hooks"):
        write(tmp_path / "lib" / f"{name}.py", "value = 'mine'")
    text = "import session, config, report, finder, cli, hooks; print(finder.value)"
    plain, ours = both(tmp_path, "-c", text, env={"PYTHONPATH": "lib"}, own=("-v",))
    assert (ours.stdout, ours.returncode) == (plain.stdout, plain.returncode) == ("mine\n", 0)


# ---------------------------------------------------------------------------- our own options


@pytest.mark.parametrize("flag", ["-I", "-E", "-S", "-IS", "-uE"])
@pytest.mark.parametrize("after_run", [False, True], ids=["before", "after-run"])
def test_flags_that_switch_us_off_are_refused(project: Path, flag: str, after_run: bool) -> None:
    command = (*RUN, flag, "own_names.py") if after_run else (flag, *RUN, "own_names.py")
    seen = str(Path(next(p for p in sys.path if (Path(p) / "click").is_dir())))
    if "S" in flag and not after_run:  # without site, Python finds us on PYTHONPATH only
        env = environment(PYTHONPATH=f"{PACKAGE.parent}{os.pathsep}{seen}")
    else:
        env = environment()
    result = start(*command, cwd=project, env=env)
    if "IS" in flag and not after_run:
        assert "No module named fast_crewai" in result.stderr
        return
    assert result.returncode == 1
    assert "-E, -I and -S" in result.stderr
    assert "fast-crewai enable" in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("script", ["fast-crewai", "module"])
def test_ways_to_call_us(project: Path, script: str) -> None:
    installed = Path(PYTHON).with_name("fast-crewai")
    python = PYTHON
    if script == "module":
        command = [PYTHON, "-m", "fast_crewai"]
    elif installed.exists():
        command = [str(installed)]
        shebang = installed.read_text().partition("\n")[0]
        python = shebang.removeprefix("#!")  # pip may name it python3: the program keeps that
    else:
        pytest.skip("the console script is not installed")
    env = environment(PPID=str(os.getpid()))
    plain = start("probe.py", "a", "-v", python=python, cwd=project, env=env)
    ours = subprocess.run(
        [*command, "run", "--", "probe.py", "a", "-v"],
        capture_output=True,
        text=True,
        check=False,
        cwd=project,
        stdin=subprocess.DEVNULL,
        env=environment(PPID=str(os.getpid())),
    )
    drop = ("files", "streams")  # there is no stdin here
    for result in (plain, ours):
        lines = result.stdout.splitlines()
        result.stdout = "\n".join(line for line in lines if not line.startswith(drop))
    assert_same(plain, ours)


def test_unknown_names_list_the_known_ones(project: Path) -> None:
    result = start(*RUN, "--disable", "flow,nothing-of-ours", "own_names.py", cwd=project)
    assert result.returncode == 2
    assert result.stdout == ""
    assert "'nothing-of-ours'" in result.stderr
    flat = " ".join(result.stderr.split())
    for name in ("all", "imports", "flow", "serialization", "database", STAND_IN_ROUTE):
        assert name in flat
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (("--report", "no/such/folder/r.json"), "there is no folder"),
        (("--report=no/such/r.json",), "there is no folder"),
        (("--report", "."), "is a directory"),
        (("--report",), "requires an argument"),
        (("--disable",), "requires an argument"),
        (("--nothing-of-ours",), "--nothing-of-ours"),
    ],
)
def test_bad_options_are_said_clearly(project: Path, own: tuple[str, ...], message: str) -> None:
    program = () if len(own) == 1 and "=" not in own[0] and "nothing" not in own[0] else ("x.py",)
    result = start(*RUN, *own, *program, cwd=project)
    assert result.returncode == 2
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


# ------------------------------------------------------------------------------------ report

KEYS = {"fast_crewai", "crewai", "python", "enabled", "components", "failure"}
ROUTE_KEYS = {"name", "target", "state", "reason", "calls", "fallbacks"}


def reported(path: Path) -> dict[str, object]:
    """The report, its form checked."""
    report = json.loads(path.read_text("utf-8"))
    assert set(report) == KEYS
    assert report["failure"] is None
    for name, part in report["components"].items():
        assert set(part) == {"state", "reason", "routes"}, name
        assert part["state"] in ("active", "waiting", "off")
        for route in part["routes"]:
            assert set(route) - {"fallback_reasons"} == ROUTE_KEYS
            assert route["name"].startswith(f"{name}.")
    assert [p for p in path.parent.iterdir() if p.name.startswith(f".{path.name}")] == []
    return report


def reason_of(report: dict[str, object], name: str = STAND_IN_ROUTE) -> tuple[str, str]:
    components = report["components"]
    assert isinstance(components, dict)
    (route,) = (r for part in components.values() for r in part["routes"] if r["name"] == name)
    return route["state"], route["reason"]


@pytest.mark.parametrize(
    "program",
    [
        "empty",
        "uncaught",
        "exit_number",
        "exit_text",
        "interrupt",
        "atexit_fails",
        "closes",
        "hook",
        "thread_fails",
        "syntax",
    ],
)
def test_report_is_written_however_the_program_ends(
    project: Path, tmp_path: Path, program: str
) -> None:
    path = tmp_path / "r.json"
    plain, ours = both(project, f"{program}.py", own=("--report", str(path)))
    assert_same(plain, ours)
    report = reported(path)
    assert report["enabled"] is True
    assert reason_of(report)[0] == "waiting"


@pytest.mark.parametrize(
    "text",
    [
        "import os; os.chdir('/')",
        "import os; os.environ.clear()",
        "import sys; sys.path.clear()",
        "import sys; sys.path = []",
        "import sys; sys.stderr = sys.stdout = None",
        "import builtins; builtins.print = None",
        "import threading; threading.Thread(target=lambda: None).start()",
        "import warnings; warnings.simplefilter('error')",
    ],
)
def test_report_survives_what_the_program_does(tmp_path: Path, text: str) -> None:
    plain, ours = both(tmp_path, "-c", text, own=("--report", "r.json"))
    assert_same(plain, ours)
    assert reported(tmp_path / "r.json")["enabled"] is True


@pytest.mark.parametrize(
    "text",
    [
        "import sys; sys.modules['json'] = sys.modules['platform'] = None",
        "import sys, types; sys.modules['json'] = types.ModuleType('json')",
        "import sys; sys.path_hooks.clear(); sys.path_importer_cache.clear()",
        "import os; os.mkdir('r.json')",
    ],
)
def test_a_report_that_is_impossible_is_one_line(tmp_path: Path, text: str) -> None:
    ours = start(*RUN, "--report", "r.json", "-c", f"{text}; print('end')", cwd=tmp_path)
    assert (ours.stdout, ours.returncode) == ("end\n", 0)
    assert ours.stderr.startswith("fast_crewai: the report could not be written: ")
    assert ours.stderr.count("\n") == 1


def test_report_of_a_folder_that_the_program_removes(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    text = "import os; os.rmdir('out')"
    result = start(*RUN, "--report", "out/r.json", "-c", text, cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr.startswith("fast_crewai: the report could not be written: ")
    assert result.stderr.count("\n") == 1


def test_report_replaces_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("old")
    start(*RUN, "--report", "r.json", "-c", "pass", cwd=tmp_path)
    assert reported(tmp_path / "r.json")["enabled"] is True


def test_report_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "r.json").symlink_to(tmp_path / "there" / "real.json")
    start(*RUN, "--report", "r.json", "-c", "pass", cwd=tmp_path)
    assert (tmp_path / "r.json").is_symlink()
    assert reported(tmp_path / "there" / "real.json")["enabled"] is True


def test_report_to_a_pipe_goes_through_the_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    result = start(*RUN, "--report", pipe, "-c", "pass")
    assert (result.returncode, result.stderr) == (0, "")
    assert pipe.is_fifo()  # /dev/stdout and /dev/null are no files to be replaced either
    assert json.loads(os.read(reading, 1 << 16))["enabled"] is True
    os.close(reading)


def test_report_shows_what_was_disabled(tmp_path: Path) -> None:
    own = (*RUN, "--disable", "Tools, flow", "--report", "r.json")
    env = environment(FAST_CREWAI_DISABLE="serialization")
    start(*own, "-c", "pass", cwd=tmp_path, env=env)
    report = reported(tmp_path / "r.json")
    assert reason_of(report) == ("off", "disabled by the user (tools)")
    for name in ("serialization", "flow"):
        components = report["components"]
        assert isinstance(components, dict)
        assert components[name]["reason"] == f"disabled by the user ({name})"
    assert reason_of(report, "tasks.interpolate")[0] == "waiting"


def test_report_when_switched_off(tmp_path: Path) -> None:
    start(*RUN, "--report", "r.json", "-c", "pass", cwd=tmp_path, env=environment(FAST_CREWAI="0"))
    report = reported(tmp_path / "r.json")
    assert report["enabled"] is False
    assert reason_of(report) == ("off", "switched off (FAST_CREWAI)")


def test_verbose_prints_on_stderr_only(project: Path) -> None:
    plain, ours = both(project, "own_names.py", own=("-v",))
    assert ours.stdout == plain.stdout
    assert "no route was called" in ours.stderr


# ---------------------------------------------------------------------------------- children

CHILD = f"""
    import json, sys
    def look(where):
        import importlib, fast_crewai
        importlib.import_module({STAND_IN_MODULE!r})
        routes = {{r["name"]: r for r in fast_crewai.status().routes()}}
        route = routes[{STAND_IN_ROUTE!r}]
        print(json.dumps([where, fast_crewai.enabled(), route["state"], route["reason"][:16]]),
              flush=True)
"""
SEEN = [True, "off", "crewai.utilities"]


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """A folder with a stand-in CrewAI and the module that children run."""
    folder = stand_in(tmp_path / "family")
    write(folder / "child.py", code(CHILD) + "if __name__ == '__main__': look('main')\n")
    return folder


def seen_by(result: Result) -> list[list[object]]:
    assert result.stderr == ""
    assert result.returncode == 0
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    "program",
    [
        "subprocess.run([sys.executable, 'child.py'])",
        "subprocess.run([sys.executable, '-m', 'child'])",
        "subprocess.run([sys.executable, '-c', 'import child; child.look(\"main\")'])",
        "subprocess.run([sys.executable, '-W', 'error', '-X', 'dev', 'child.py'])",
        "subprocess.run('exec \"' + sys.executable + '\" child.py', shell=True)",
        "subprocess.run([sys.executable, '-m', 'fast_crewai', 'run', 'child.py'])",
        "subprocess.run([sys.executable, '-c', "
        "'import subprocess, sys; subprocess.run([sys.executable, \"child.py\"])'])",
        "os.spawnv(os.P_WAIT, sys.executable, [sys.executable, 'child.py'])",
    ],
)
def test_children_are_accelerated_and_dont_report(family: Path, program: str) -> None:
    write(family / "program.py", f"import os, subprocess, sys; {program}")
    result = start(*RUN, "--report", "r.json", "program.py", cwd=family)
    assert seen_by(result) == [["main", *SEEN]]
    assert reason_of(reported(family / "r.json"))[0] == "waiting"  # the parent's, not the child's


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_workers_are_accelerated_and_dont_report(family: Path, method: str) -> None:
    write(
        family / "program.py",
        f"""
        import concurrent.futures, multiprocessing
        import child
        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            process = context.Process(target=child.look, args=("process",))
            process.start(); process.join()
            with context.Pool(1) as pool:
                pool.map(child.look, ["pool"])
            with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
                list(executor.map(child.look, ["executor"]))
        """,
    )
    result = start(*RUN, "--report", "r.json", "program.py", cwd=family)
    assert seen_by(result) == [[where, *SEEN] for where in ("process", "pool", "executor")]
    assert reason_of(reported(family / "r.json"))[0] == "waiting"


def test_a_forked_child_that_ends_later_does_not_report(family: Path) -> None:
    write(
        family / "program.py",
        """
        import os, sys, time
        parent = os.getpid()
        if os.fork() == 0:
            while os.getppid() == parent:
                time.sleep(0.01)
            import child
            child.look("child")  # then ends as a program does, with its exit handlers
        """,
    )
    result = start(*RUN, "--report", "r.json", "program.py", cwd=family)
    assert seen_by(result) == [["child", *SEEN]]
    assert reason_of(reported(family / "r.json"))[0] == "waiting"


def test_a_program_that_becomes_another_reports_as_that(family: Path) -> None:
    write(
        family / "program.py",
        "import os, sys; os.execv(sys.executable, [sys.executable, 'child.py'])",
    )
    result = start(*RUN, "--report", "r.json", "program.py", cwd=family)
    assert seen_by(result) == [["main", *SEEN]]
    assert reason_of(reported(family / "r.json"))[0] == "off"


def test_disable_reaches_children(family: Path) -> None:
    write(
        family / "program.py", "import subprocess, sys; subprocess.run([sys.executable, '-mchild'])"
    )
    result = start(*RUN, "--disable", "tools", "program.py", cwd=family)
    assert seen_by(result) == [["main", True, "off", "disabled by the "]]


def test_another_python_inherits_nothing_harmful(tmp_path: Path, family: Path) -> None:
    other = virtual_environment(tmp_path / "other")
    assert start("-c", "import fast_crewai", python=other, cwd=tmp_path).returncode == 1
    text = "import crewai.utilities.string_utils, sys; print(sys.path[1:], len(sys.meta_path))"
    write(
        family / "program.py",
        f"import subprocess; subprocess.run([{str(other)!r}, '-W', 'error', '-c', {text!r}])",
    )
    expected = start("-c", text, python=other, cwd=family)
    result = start(*RUN, "program.py", cwd=family)
    assert (result.stderr, result.returncode) == ("", 0)
    assert result.stdout == expected.stdout != ""
