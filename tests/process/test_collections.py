"""What a program could see of the garbage collector, with the real CrewAI and as without us."""

import importlib.util
import os
from pathlib import Path

import pytest
from helpers import PACKAGE, code, environment, start

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
pytestmark = pytest.mark.skipif(importlib.util.find_spec("crewai") is None, reason="needs CrewAI")

QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
    "PYTHONPATH": str(PACKAGE.parent),
}
ON = "from fast_crewai import finder; finder.start()\n"
ASIDE = """
from fast_crewai.imports import set_aside
assert set_aside.count() > 100_000 and type(gc).__name__ == "_Gc", type(gc)
"""
ENDS = """
class Ends:
    __slots__ = {slots}
    def __del__(self): os.write(1, b"freed " + str(os and "whole").encode() + b"\\n")
"""

AFTERWARDS = [
    "print(len([o for o in gc.get_objects() if o is crewai.Agent]))",
    "print(len(gc.get_referrers(crewai.Agent)) > 2)",
    "print(gc.get_freeze_count())",
    "del early\ngc.collect()\nprint(freed())",
    "gc.freeze(); gc.unfreeze(); print(gc.get_freeze_count(), type(gc).__name__)",
    "print(sorted(dir(gc)), type(gc).__name__)",
    "from gc import *; print(collect, freeze)",
    "print(sorted(vars(gc)), type(gc).__name__)",
    "del gc.callbacks; print(hasattr(gc, 'callbacks'))",
    "import gc as again; print(again.collect, again is gc, gc.garbage)",
    "class Counts:\n    @classmethod\n    def collect(cls): pass\ngc.collect = Counts.collect\n"
    "gc.freeze; print(gc.collect is Counts.collect, gc.collect())",
]
AT_EXIT = [
    (ENDS.format(slots="('__dict__', '__weakref__')") + "one = Ends()", "freed whole\n"),
    (ENDS.format(slots="('__dict__',)") + "one = Ends(); one.me = one", "freed whole\n"),
    (ENDS.format(slots="()") + "one = Ends()", "freed whole\n"),
    (ENDS.format(slots="('__dict__',)") + "crewai.Agent.one = Ends()", ""),
    (
        ENDS.format(slots="('__dict__',)")
        + "one = Ends(); old = crewai.Task.execute_sync\n"
        + "def new(*a): return old(*a)\n"
        + "crewai.Task.execute_sync = new",
        "",
    ),
    ("def work():\n  try: yield\n  finally: os.write(1, b'ended')\nwork = work(); next(work)", ""),
    ("file = open('out', 'w'); file.write('text')", ""),
]
CLIENT = """
import http.server, openai, types
class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *a): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
if os.fork() == 0:
    server.handle_request()  # until the client's connection ends
    os._exit(0)
server.server_close()
client = openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{server.server_port}")
other = openai.AsyncOpenAI(api_key="none")
kept = client._client
assert kept.get(client.base_url).status_code == 200
[connection] = kept._transport._pool._connections
def says(*a, write=os.write): write(1, b"seen\\n")
# Without the program's names, which whoever has this function would keep.
says = types.FunctionType(says.__code__, {}, "says", None)
says.__kwdefaults__ = {"write": os.write}
"""
ENDED = """
import atexit, functools
def ended(end=int, write=os.write):
    write(1, b"ended\\n")
    end()
ended = types.FunctionType(ended.__code__, {}, "ended", ended.__defaults__)
if "set_aside" in globals():
    set_aside.end = functools.partial(ended, set_aside.end)
else:
    atexit.register(ended)
"""
# What somebody does to an openai client or a socket whose end is seen then.
SEEN = [
    "openai._base_client.SyncHttpxClientWrapper.close = says",
    "openai._base_client.SyncHttpxClientWrapper.is_closed = property(says)",
    "openai._base_client.AsyncHttpxClientWrapper.__del__ = says",
    "kept.close = says",
    "import httpx; httpx.HTTPTransport.close = says",
    "kept._transport._pool.close = says",
    "connection._connection.close = says",
    "import httpcore; httpcore._backends.sync.SyncStream.close = says",
    "import httpx\nkept._mounts[None] = type('', (httpx.BaseTransport,), {'close': says})()",
    "mine = type('', (openai._base_client.SyncHttpxClientWrapper,), {'close': says})()",
    "import httpx, wrapt\nold = httpx.Client.close\n"
    "def after(wrapped, item, a, k, says=says): says(wrapped(*a, **k))\n"
    "after = types.FunctionType(after.__code__, {}, 'after', (says,))\n"
    "httpx.Client.close = wrapt.FunctionWrapper(old, after)",
    "import logging\nclass Says(logging.Handler): emit = says\n"
    "logging.getLogger('httpcore').setLevel('DEBUG')\n"
    "logging.getLogger('httpcore').addHandler(Says())",
    "import socket\nsocket.socket.__del__ = says\none = socket.socket()",
    "import socket\nclass Mine(socket.socket): __del__ = says\none = Mine()",
]
EARLIER = """
import gc, os, sys, weakref
class Early: pass
early = Early(); early.me = early; freed = weakref.ref(early)
"""


IN_FORKS = """
sys.stdout.flush()
for number, case in enumerate({cases!r}):
    if os.fork() == 0:
        break
    os.wait()
    os.write(1, b"end of case\\n")
else:
    os._exit(0)
exec(case)  # and ends as a program does
"""


def both(cases: list[str], tmp_path: Path) -> list[str]:
    """What programs tell, each without us and with; also what they write to a file."""
    answers = []
    for side, first, after in (("plain", "\n", ""), ("ours", ON, ASIDE)):
        folder = tmp_path / side
        folder.mkdir()
        script = folder / "script.py"
        forks = IN_FORKS.format(cases=[code(case) for case in cases])
        script.write_text(first + EARLIER + "import crewai\n" + after + forks)
        env = environment(**QUIET, XDG_CACHE_HOME=tmp_path, CREWAI_STORAGE_DIR="same")
        answer = start("script.py", cwd=folder, env=env)
        written = (folder / "out").read_text() if (folder / "out").exists() else ""
        said = [line for line in answer.stderr.splitlines() if "0x" not in line]
        answers.append(f"{answer.stdout}{written}{answer.returncode}{said}")
    plain, ours = answers
    assert ours == plain
    told = ours.split("end of case\n")[:-1]
    assert len(told) == len(cases)
    return told


@needs_fork
def test_whoever_looks_sees_everything(tmp_path: Path) -> None:
    assert all(both(AFTERWARDS, tmp_path))


@pytest.mark.parametrize("name", ["get_freeze_count", "collect", "get_objects"])
def test_who_has_taken_a_function_before_sees_everything(name: str, tmp_path: Path) -> None:
    program = f"""
        from gc import {name} as taken
        import crewai, sys
        from fast_crewai.imports import set_aside
        print(set_aside.count(), type(sys.modules["gc"]).__name__)
    """
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path)
    answer = start("-c", ON + code(program), env=env, cwd=tmp_path)
    assert answer.stdout == "0 module\n", answer.stderr


@needs_fork
def test_what_ends_at_exit_ends_as_before(tmp_path: Path) -> None:
    programs, expected = zip(*AT_EXIT, strict=True)
    for told, some in zip(
        both([*programs, code(KICKOFF) + code(KEPT)], tmp_path), (*expected, "kept"), strict=True
    ):
        assert some in told


@needs_fork
@pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="needs openai")
def test_connections_end_with_the_process_unless_that_is_seen(tmp_path: Path) -> None:
    kept = CLIENT + code(KEPT)
    *told, last = both([*(CLIENT + ENDED + case for case in SEEN), kept], tmp_path)
    for case, answer in zip(SEEN, told, strict=True):
        assert answer.startswith("ended\n") and "seen" in answer, case
    assert last == "kept\n"


KEPT = """
    if "set_aside" in globals():
        set_aside.end = lambda: os.write(1, b"not kept")
    print("kept")
"""
KICKOFF = """
    from crewai import Agent, BaseLLM, Crew, Task
    class Fake(BaseLLM):
        def call(self, *a, **k): return "Thought: done\\nFinal Answer: 42"
        def supports_function_calling(self): return False
    agent = Agent(role="r", goal="g", backstory="b", llm=Fake(model="fake"))
    task = Task(description="d", expected_output="e", agent=agent)
    print(Crew(agents=[agent], tasks=[task]).kickoff().raw)
"""
