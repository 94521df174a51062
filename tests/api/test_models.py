"""Every name and signature that upstream's users know, three times: with Rust, with the native
module unimportable, and with CrewAI uninstalled."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEADER = """
import json, sys, threading
class Blocking:
    def find_spec(self, name, path=None, target=None):
        if name in GONE or name.startswith(BLOCKED + "."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
BLOCKED = sys.argv[1]
GONE = {BLOCKED}
if BLOCKED == "crewai" and sys.version_info >= (3, 11):  # older ones need it without CrewAI
    GONE |= {"typing_extensions", "pydantic"}
EXPECTED = sys.argv[2]
FOLDER = sys.argv[3]
if BLOCKED:
    sys.meta_path.insert(0, Blocking())
import fast_crewai
"""

NAMES = (
    HEADER
    + """
from fast_crewai import *
from fast_crewai import _LAZY
from fast_crewai.errors import NativeUnavailableError

assert HAS_ACCELERATION_IMPLEMENTATION is is_acceleration_available() is (EXPECTED == "rust")
assert all(hasattr(fast_crewai, name) for name in fast_crewai.__all__)

memory = AcceleratedMemoryStorage("short_term", True, None, None, FOLDER + "/memory.jsonl", None)
assert memory.implementation == EXPECTED
for number in range(50):
    memory.save(f"note {number} about topic{number % 7}", {"number": number})
assert memory.search("note 33 topic5", 1)[0]["metadata"] == {"number": 33}
assert len(memory.search("topic3", limit=3, score_threshold=0.2)) == 3
assert len(memory) == len(memory.get_all()) == 50
memory.reset()
assert len(memory) == 0

tools = AcceleratedToolExecutor(
    max_recursion_depth=10, timeout_seconds=30, cache_ttl_seconds=60, cache_max_size=5,
    use_rust=None,
)
assert tools.implementation == EXPECTED
schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
tools.register_tool("square", lambda n: n * n, schema)
assert tools.execute_tool("square", {"n": 5}) == tools.execute_tool("square", '{"n": 5}') == 25
assert tools.validate_args({"n": 5}, schema) and tools.validate_args("{}")
assert tools.batch_validate([{"n": 5}, {"n": "5"}, {}], schema) == [True, False, False]
assert tools.get_stats()["cache_hits"] == 1
tools.clear_cache()

tasks = AcceleratedTaskExecutor(max_concurrent_tasks=10, use_rust=None)
assert tasks.implementation == EXPECTED
tasks.register_task("a", [], lambda: 1)
tasks.register_task("b", dependencies=["a"], function=lambda: 2)
assert tasks.get_ready_tasks() == ["a"] and tasks.get_execution_order() == ["a", "b"]
assert tasks.execute_concurrent(["a", "b"]) == [1, 2] and tasks.get_result("b") == 2
tasks.register_task("c"); tasks.mark_started("c"); tasks.mark_completed("c", "result")
tasks.register_task("d"); tasks.mark_started("d"); tasks.mark_failed("d", "error")
assert tasks.get_result("c") == "result" and tasks.execute_task(lambda: 3) == 3
assert tasks.get_stats()["tasks_completed"] == 3
tasks.clear()

database = AcceleratedSQLiteWrapper(db_path=FOLDER + "/x.db", pool_size=2, use_rust=None)
assert database.implementation == EXPECTED
first = database.save_memory("write the yearly report", {"agent": "a"}, "2025-01-01", 5)
assert database.search_memories_fts("report", 5)[0]["id"] == first
assert database.get_all_memories(limit=100)[0]["metadata"] == {"agent": "a"}
assert database.load_memories("write the yearly report")[0]["score"] == 5.0
assert database.execute_update("UPDATE long_term_memories SET score = ?", (6,)) == 1
assert database.execute_batch([("DELETE FROM long_term_memories WHERE id = ?", (99,))]) == [0]
assert database.execute_query("SELECT score FROM long_term_memories") == [{"score": 6.0}]
database.reset()

message = AgentMessage("1", "a", "b", "text", 5, use_rust=None)
assert message.implementation == EXPECTED and AcceleratedMessage is AgentMessage
assert AgentMessage.from_json(message.to_json()) == message
assert json.loads(message.to_json())["timestamp"] == 5
serializer = RustSerializer()
batch = [{"id": "1", "sender": "a", "recipient": "b", "content": "c", "timestamp": 7}]
assert serializer.deserialize_batch(serializer.serialize_batch(batch)) == batch

for make in (
    lambda side: AcceleratedMemoryStorage(use_rust=side),
    lambda side: AcceleratedToolExecutor(use_rust=side),
    lambda side: AcceleratedTaskExecutor(use_rust=side),
    lambda side: AcceleratedSQLiteWrapper(FOLDER + "/y.db", use_rust=side),
    lambda side: AgentMessage("1", "a", "b", "c", 5, use_rust=side),
    lambda side: RustSerializer(use_rust=side),
):
    assert make(False).implementation == "python"
    try:
        assert make(True).implementation == "rust" == EXPECTED
    except NativeUnavailableError as error:
        assert EXPECTED == "python" and "use_rust=True" in str(error)

without_crewai = BLOCKED == "crewai"
for name in "BaseTool", "StructuredTool", "Task", "Crew":
    name = "Accelerated" + name
    assert (getattr(fast_crewai, name) is None) is without_crewai, name

status = get_acceleration_status()
assert status["available"] is (EXPECTED == "rust") and "flow" in status["components"]
assert get_environment_info()["fast_crewai"] == fast_crewai.__version__
assert isinstance(get_performance_improvements()["measured"], bool)
"""
)

SHIM = (
    HEADER
    + """
from fast_crewai import shim
assert fast_crewai.enabled()
import fast_crewai.bootstrap as bootstrap
assert bootstrap.enable_acceleration is shim.enable_acceleration
assert shim.enable_acceleration(verbose=True) is True
if BLOCKED != "crewai":
    import warnings
    warnings.simplefilter("ignore")
    import crewai
    states = {r["state"] for r in fast_crewai.status().routes() if r["name"].startswith("flow.")}
    assert ("active" in states) is (EXPECTED == "rust"), states
states = fast_crewai.configure_accelerated_components(flow=False, tools=True)
assert states["flow"] == "off"
try:
    fast_crewai.configure_accelerated_components(nothing=False)
except ValueError as error:
    assert "nothing" in str(error)
assert shim.disable_acceleration() is True and not fast_crewai.enabled()
assert shim.enable_acceleration() is True
"""
)

CORE = (
    HEADER
    + """
from fast_crewai import _core
memory = _core.RustMemoryStorage()
memory.save("a text about cats")
assert memory.search("cats", 3)[0][:2] == (0, "a text about cats")
assert memory.get_all() == ["a text about cats"]
tools = _core.RustToolExecutor()
tools.register_tool("t", {"type": "string"})
assert tools.validate_args("t", 5) == [([], ["type"])]
tasks = _core.RustTaskExecutor(3)
assert tasks.execute_concurrent_tasks([lambda: 1, lambda: 1 / 0])[0] == ("completed", 1)
database = _core.RustSQLiteWrapper(FOLDER + "/z.db", 2)
assert database.execute_query("SELECT 1 AS one") == [{"one": 1}]
message = _core.AgentMessage("1", "a", "b", "c", 5)
assert _core.AgentMessage.from_json(message.to_json()) == message
assert _core.CoreError is __import__("fast_crewai.errors").errors.NativeError
"""
)


@pytest.mark.parametrize(
    ("blocked", "implementation"),
    [("", "rust"), ("fast_crewai._core", "python"), ("crewai", "rust")],
)
@pytest.mark.parametrize("program", [NAMES, SHIM], ids=["names", "shim"])
def test_names(tmp_path: Path, program: str, blocked: str, implementation: str) -> None:
    run(tmp_path, program, blocked, implementation)


@pytest.mark.parametrize("blocked", ["", "crewai"])
def test_core(tmp_path: Path, blocked: str) -> None:
    run(tmp_path, CORE, blocked, "rust")


def run(tmp_path: Path, program: str, blocked: str, implementation: str) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FAST_CREWAI")}
    subprocess.run(
        [sys.executable, "-c", program, blocked, implementation, str(tmp_path)],
        check=True,
        env=environment,
        timeout=120,
    )
