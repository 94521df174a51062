"""How long hostile model output keeps a step busy: plain and accelerated, one command for both.

    python benchmarks/stalls.py [--size 1000000] [--limit 5]

Each input is given to the function of CrewAI's that reads it, in a process of its own that is
ended when it has worked for the limit. The results (values or exceptions) must be equal where both
finish.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
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


def one(name: str, size: int) -> None:
    """One side, one input: print CPU ms and the outcome as JSON."""
    import hashlib
    import warnings

    warnings.simplefilter("ignore")
    reader, text = inputs(size)[name]
    read = readers()[reader]
    print("ready", flush=True)
    begun = time.process_time()
    try:
        outcome = repr(read(text))
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    cpu = (time.process_time() - begun) * 1e3
    print(json.dumps({"cpu_ms": cpu, "outcome": hashlib.sha256(outcome.encode()).hexdigest()}))


def timed(command: list[str], limit: float) -> dict[str, Any] | None:
    """What a process finds within ``limit`` seconds from when it has imported CrewAI."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n", "CrewAI can't be imported"
        try:
            shown, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            return None
        return json.loads(shown)  # type: ignore[no-any-return]


def main() -> None:
    from harness import write
    from sides import SIDES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--limit", type=float, default=5)
    args = parser.parse_args()
    results: dict[str, Any] = {"size": args.size}
    for name in inputs(args.size):
        found: dict[str, Any] = {}
        for side, options in SIDES.items():
            command = [sys.executable, *options, str(HERE / "stalls.py"), "--one", name]
            found[side] = timed([*command, str(args.size)], args.limit)
        shown = [
            f"{side} {result['cpu_ms']:9.1f} ms" if result else f"{side} not in {args.limit:.0f} s"
            for side, result in found.items()
        ]
        print(f"{name:28} {', '.join(shown)}", flush=True)
        if found["off"] and found["on"]:
            assert found["off"]["outcome"] == found["on"]["outcome"], f"{name}: outcomes differ"
        results[name] = found
    print(f"written to {write('stalls', results)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], int(sys.argv[3]))
    else:
        main()
