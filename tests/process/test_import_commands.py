"""``fast-crewai warm`` and ``fast-crewai profile-import`` on the real CrewAI."""

import importlib.util
import sys
from pathlib import Path

import pytest
from helpers import environment, start
from test_deferred import REASON
from test_lazy import ON, QUIET

pytestmark = pytest.mark.skipif(importlib.util.find_spec("crewai") is None, reason="needs CrewAI")


def test_warm_makes_the_first_run_and_compares(tmp_path: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path)
    answer = start("-m", "fast_crewai", "warm", env=env)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "and is the same" in answer.stdout
    assert start("-c", ON + REASON, env=env).stdout == "False active \n"
    assert "imports compared: CrewAI" in start("-m", "fast_crewai", "doctor", env=env).stdout
    # A difference switches it off here, until something changes.
    program = (
        "from fast_crewai.cli import warming\n"
        "warming.compare = lambda *_: ['names of crewai.x']\n"
        "warming.warm()\n"
    )
    answer = start("-c", program, env=env)
    assert answer.returncode == 0, answer.stderr
    reason = "`fast-crewai warm` has found a difference"
    assert start("-c", ON + REASON, env=env).stdout == f"True off {reason}\n"
    doctor = start("-m", "fast_crewai", "doctor", env=env)
    assert doctor.returncode == 1 and "but differs" in doctor.stdout


def test_what_differs_is_found(tmp_path: Path) -> None:
    """An accelerator that changes a name, an event handler and an answer."""
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path)
    program = """
from fast_crewai.cli import description, models, warming
import crewai
plain = description.describe(models, 1)
crewai.something = 3
del crewai.crew.Crew.__module__
description.kickoff = lambda: "another"
from crewai.events import crewai_event_bus as bus
bus._sync_handlers.clear()
print(*warming.compare(plain, description.describe(models, 1)), sep="\\n")
"""
    answer = start("-c", program, env=env)
    assert answer.stdout.splitlines()[0].startswith("answer: forty two plain, another")
    assert answer.stdout.splitlines()[1].startswith("handlers: ")
    assert "names of crewai\n" in answer.stdout, answer.stderr


def test_warm_says_why_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "crewai").mkdir()
    (tmp_path / "crewai" / "__init__.py").write_text("raise ImportError('broken')\n")
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path / "cache")
    env["PYTHONPATH"] = f"{tmp_path}:{env['PYTHONPATH']}"
    answer = start("-m", "fast_crewai", "warm", env=env)
    assert answer.returncode == 1
    assert "CrewAI can't be imported (off): ImportError: broken" in answer.stderr


def test_profile_import_says_who_asked(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import crewai\nprint(crewai.rag.config.types)\n")
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path / "cache")
    env["PYTHONPATH"] = f"{tmp_path}:{env['PYTHONPATH']}"
    first, second = (start("-m", "fast_crewai", "profile-import", "mine", env=env) for _ in "12")
    assert "imports.deferred   off: first run here" in first.stdout, first.stderr
    assert "imports.deferred   active: imported since" in second.stdout
    asked = [line for line in second.stdout.splitlines() if "asked for after" in line]
    assert "mine.py:2 in <module>" in asked[0], second.stdout
    numpy = [line.split()[1] for line in asked[1:]]  # chromadb is the first to need it
    assert numpy == (["numpy"] if sys.version_info < (3, 12) else []), second.stdout
    answer = start("-m", "fast_crewai", "profile-import", "no_such_module", env=env)
    assert answer.returncode == 1 and "no_such_module can't be imported" in answer.stderr


def test_the_command_line_of_crewai_loads_no_engine(tmp_path: Path) -> None:
    pytest.importorskip("crewai_cli")
    program = """
import sys, wrapt
heard = []
wrapt.register_post_import_hook(lambda module: heard.append(module.__name__), "crewai_core.paths")
from crewai_cli.cli import crewai as main
main(["version"], standalone_mode=False)
print("fast_crewai.engine" in sys.modules, "crewai" in sys.modules, heard)
import crewai
from fast_crewai import engine
print(engine.registry().states["database.store-lock"].state)
"""
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path)
    answer = start("-c", ON + program, env=env)
    assert "False False ['crewai_core.paths']\nactive\n" in answer.stdout, answer.stderr
