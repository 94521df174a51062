"""What `import crewai` costs, plain and accelerated: CPU, wall time, memory, modules.

    python benchmarks/imports.py [--pairs 10] [--program NAME]...

Whole processes, interleaved, with compiled `.pyc` files; both sides must print the same. The first
accelerated run in an environment, with an empty cache, is measured too ("first").
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import line, process_cpu, summary, write

END = """
import json, resource, sys
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"answer": answer, "modules": len(sys.modules), "rss_mb": peak}))
"""
CREW = """
from crewai import Agent, BaseLLM, Crew, Task
class Fake(BaseLLM):
    def call(self, *arguments, **options):
        return "Thought: I now can give a great answer\\nFinal Answer: forty two"
    def supports_function_calling(self):
        return False
"""
COMMAND = """
import contextlib, io
def command(*arguments):
    from crewai_cli.cli import crewai as main
    with contextlib.redirect_stdout(io.StringIO()) as out:
        main(arguments, standalone_mode=False)
    return out.getvalue()
"""
MEMORY = (
    CREW
    + """
import tempfile
from crewai import Memory
with tempfile.TemporaryDirectory() as folder:
    fake = Fake(model="fake")
    memory = Memory(llm=fake, storage=folder, embedder=lambda texts: [[1.0, 2.0] for _ in texts])
    memory.remember("A fact.", scope="/facts", categories=["fact"], importance=0.5)
    answer = [match.record.content for match in memory.recall("A fact?", depth="shallow")]
    memory.close()
"""
)
PROGRAMS = {
    "import": "import crewai\nanswer = sorted(crewai.__all__)\n",
    "kickoff": CREW
    + """
agent = Agent(role="r", goal="g", backstory="b", llm=Fake(model="fake"))
task = Task(description="d {x}", expected_output="e", agent=agent)
answer = Crew(agents=[agent], tasks=[task]).kickoff(inputs={"x": "1"}).raw
""",
    "openai": CREW
    + """
from crewai import LLM
agent = Agent(role="r", goal="g", backstory="b", llm=LLM("gpt-4o", api_key="none"))
task = Task(description="d {x}", expected_output="e", agent=agent)
answer = [type(agent.llm).__name__, len(Crew(agents=[agent], tasks=[task]).tasks)]
""",
    "memory": MEMORY,
    "tools, memory": MEMORY + "import crewai_tools\nanswer += sorted(crewai_tools.__all__)\n",
    "cli --help": COMMAND + "answer = command('--help')\n",
    "cli version": COMMAND + "answer = command('version')\n",
}
NEEDS = {"tools, memory": "crewai_tools", "cli --help": "crewai_cli", "cli version": "crewai_cli"}
START = {"off": "", "on": "from fast_crewai import finder; finder.start()\n"}


def environment(folder: Path) -> dict[str, str]:
    """The same for both sides; nothing of the user's caches and stores is used."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return kept | {
        "CREWAI_DISABLE_TELEMETRY": "true",
        "CREWAI_DISABLE_VERSION_CHECK": "true",
        "CREWAI_TRACING_ENABLED": "false",
        "OTEL_SDK_DISABLED": "true",
        "CREWAI_STORAGE_DIR": str(folder / "storage"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


def measure(name: str, pairs: int, folder: Path) -> dict[str, Any]:
    """One program. Raises AssertionError when the sides' answers differ."""
    env = environment(folder)
    commands = {side: [sys.executable, "-c", s + PROGRAMS[name] + END] for side, s in START.items()}
    subprocess.run(commands["off"], env=env, check=True, capture_output=True)  # compiles
    first = process_cpu(commands["on"], env)
    process_cpu(commands["on"], env)  # looks at what is imported now that the first one needn't
    told = {}
    for side, command in commands.items():
        out = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
        told[side] = json.loads(out.splitlines()[-1])
    assert told["off"]["answer"] == told["on"]["answer"], told
    samples: dict[str, list[tuple[float, float]]] = {side: [] for side in commands}
    for number in range(pairs):
        for side in list(commands) if number % 2 == 0 else reversed(list(commands)):
            samples[side].append(process_cpu(commands[side], env))
    result: dict[str, Any] = {"first": {"cpu_ms": first[0], "wall_ms": first[1]}}
    print(f"{name}: first accelerated run {first[0]:.0f} ms CPU")
    for index, what in enumerate(("cpu_ms", "wall_ms")):
        for side in samples:
            print(line(f"{name}, {side}, {what}", [s[index] for s in samples[side]], "ms"))
        both = zip(samples["off"], samples["on"], strict=True)
        ratios = [off[index] / on[index] for off, on in both]
        print(line(f"{name}, {what}: off / on, by pairs", ratios, "times"))
        result[f"{what} off/on"] = summary(ratios)
    for what in ("modules", "rss_mb"):
        print(f"{name}: {what} {told['off'][what]} off, {told['on'][what]} on")
        result[what] = {side: told[side][what] for side in told}
    return result | {"samples": samples}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--program", choices=PROGRAMS, action="append")
    arguments = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    for name in arguments.program or PROGRAMS:
        if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
            print(f"{name}: not measured, {NEEDS[name]} is not installed")
            continue
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measure(name, arguments.pairs, Path(folder))
    gains = {
        name: {what: result[f"{what}_ms off/on"]["median"] for what in ("cpu", "wall")}
        for name, result in results.items()
    }
    print(f"written to {write('imports', {'results': results, 'times_faster': gains})}")


if __name__ == "__main__":
    main()
