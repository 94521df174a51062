"""How long hostile model output keeps a step busy: plain and accelerated, one command for both.

    python benchmarks/stalls.py [--size 1000000] [--limit 3]

Each input is given to the function of CrewAI's that reads it. A process reads one input after the
other and is ended when it has worked on one for the limit (CPU s); the next ones get a new process.
The results (values or exceptions) must be equal where both finish.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def inputs(size: int) -> dict[str, tuple[str, str]]:
    """name → (reader, text of about this size)"""
    words = "word " * (size // 5)
    return {
        "answer: line breaks": ("parse", "Thought: x\nAction:" + "\n" * min(size, 1600) + "x"),
        "answer: many actions": (
            "parse",
            "Thought: x\n" + "- Action: do\n" * min(size // 13, 2000),
        ),
        "answer: cut-off input": (
            "step",
            f'Thought: x\nAction: do\nAction Input: {{"a": true, "q": "{words}',
        ),
        "arguments: cut off": ("arguments", f'{{"a": true, "q": "{words}'),
        "arguments: a list cut off": (
            "arguments",
            '{"k": [' + '{"a": true, "b": "x"}, ' * (size // 23),
        ),
        "arguments: trailing comma": ("arguments", f'{{"a": true, "q": "{words}",}}'),
        "arguments: single quotes": ("arguments", f"{{'a': true, 'q': '{words}'}}"),
        "arguments: bare keys": ("arguments", f'{{a: true, q: "{words}"}}'),
        "arguments: open brackets": ("arguments", "[" * size),
        "arguments: open braces": ("arguments", "{" * min(size, 4000)),
        "arguments: backslashes": ("arguments", '{"a": "' + "\\" * size),
        "arguments: escapes": ("arguments", '{"a": "' + "some words\\n" * (size // 12)),
        "arguments: nested objects": ("arguments", '{"a": ' * (size // 6)),
        "arguments: parentheses": ("arguments", "(" * size),
        "arguments: literals": ("arguments", "[" + "None, " * (size // 6) + "]"),
        "arguments: plain text": ("arguments", words),
        "arguments: commas": ("arguments", '{"a": "' + "," * (size // 10)),
        "arguments: braced words": ("arguments", "{x} " * (size // 100)),
        "arguments: code": (
            "arguments",
            '{"a": "' + "def f(x):\\n    return {x: [1, 2]}\\n" * (size // 38),
        ),
        "output: open braces": ("output", "{" * size),
    }


def readers() -> dict[str, Callable[[str], Any]]:
    from types import SimpleNamespace

    from crewai.agents.parser import parse
    from crewai.tools.tool_usage import ToolUsage
    from crewai.utilities import converter
    from pydantic import BaseModel

    class Answer(BaseModel):
        key: object = None

    converter.convert_with_instructions = lambda **_: "asked again"

    def arguments(text: str) -> Any:
        usage: Any = ToolUsage.__new__(ToolUsage)
        usage.agent = SimpleNamespace(verbose=False)
        usage._emit_validate_input_error = lambda error: None
        return usage._validate_tool_input(text)

    def output(text: str) -> Any:
        return converter.handle_partial_json(text, Answer, False, None)

    def step(text: str) -> Any:
        """An answer, and then what it says the tool's arguments are."""
        answer: Any = parse(text)
        return arguments(answer.tool_input)

    return {"parse": parse, "step": step, "arguments": arguments, "output": output}


def child(size: int) -> None:
    """One side: for each name that comes in, CPU ms and the outcome as JSON."""
    import warnings

    warnings.simplefilter("ignore")
    read, texts = readers(), inputs(size)
    print("ready", flush=True)
    for line in sys.stdin:
        reader, text = texts[line.strip()]
        gc.collect()  # what earlier texts left isn't this one's to pay for
        begun = time.process_time()
        try:
            found = read[reader](text)
        except Exception as error:
            cpu = (time.process_time() - begun) * 1e3
            outcome = f"{type(error).__name__}: {error}"
        else:
            cpu = (time.process_time() - begun) * 1e3
            outcome = repr(found)
            del found
        digest = hashlib.sha256(outcome.encode()).hexdigest()
        print(json.dumps({"cpu_ms": cpu, "outcome": digest}), flush=True)


class Side:
    """Processes of one side, one at a time; the next one is started before it is needed."""

    def __init__(self, options: list[str], size: int, limit: float) -> None:
        self._command = [sys.executable, *options, str(HERE / "stalls.py"), "--child", str(size)]
        self._limit = limit
        self._process = self._started()
        self._ready = False

    def _started(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def time(self, name: str) -> dict[str, Any] | None:
        """What it finds, or None: not within the limit. Raises RuntimeError if it has ended."""
        process = self._process
        assert process.stdin and process.stdout
        if not self._ready and process.stdout.readline() != "ready\n":
            raise RuntimeError("CrewAI can't be imported")
        self._ready = True
        begun = _cpu(process.pid)
        print(name, file=process.stdin, flush=True)
        while not select.select([process.stdout], [], [], 0.05)[0]:
            if _cpu(process.pid) - begun > self._limit:
                self.close()
                self._process, self._ready = self._started(), False
                return None
        answer = process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{name}: the process ended with {process.wait()}")
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def _cpu(pid: int) -> float:
    """CPU seconds of a process so far; where /proc isn't, of the clock."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def main() -> None:
    from harness import write
    from sides import SIDES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--limit", type=float, default=3)
    args = parser.parse_args()
    results: dict[str, Any] = {"size": args.size, "limit_s": args.limit, "inputs": {}}
    sides = {name: Side(options, args.size, args.limit) for name, options in SIDES.items()}
    ended = f"not ended within {args.limit:g} s"
    print(f"{'':28} {'plain, ms':>24} {'with us, ms':>24}")
    differing = []
    with ThreadPoolExecutor(len(sides)) as pool:  # side by side: CPU time is what counts
        for name in inputs(args.size):
            asked = {side: pool.submit(of.time, name) for side, of in sides.items()}
            found = {side: future.result() for side, future in asked.items()}
            shown = [f"{each['cpu_ms']:.1f}" if each else ended for each in found.values()]
            print(f"{name:28} {shown[0]:>24} {shown[1]:>24}", flush=True)
            off, on = found["off"], found["on"]
            if off and on and off["outcome"] != on["outcome"]:
                differing.append(name)
            results["inputs"][name] = found
    for side in sides.values():
        side.close()
    print(f"written to {write('stalls', results)}")
    assert not differing, f"outcomes differ: {differing}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(int(sys.argv[2]))
    else:
        main()
