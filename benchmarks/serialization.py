"""``to_serializable`` and ``AgentMessage``: plain against accelerated, results compared first.

    python benchmarks/serialization.py [--rounds 9]

The plain side of ``to_serializable`` is CrewAI's module, loaded a second time under another name.
A checkpoint of a crew is measured by ``benchmarks/checkpoints.py``.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import enum
import importlib.util
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from harness import interleave, line, write

import fast_crewai

Sides = dict[str, Callable[[], Any]]
SECONDS = 0.03  # of a sample


def plain_side() -> Any:
    """CrewAI's own function, whose recursion stays its own."""
    from crewai.utilities import serialization

    spec = importlib.util.spec_from_file_location("plain_serialization", serialization.__file__)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.to_serializable


def messages(count: int, size: int) -> list[dict[str, Any]]:
    def message(number: int) -> dict[str, Any]:
        if number % 2:
            call = {"name": "search", "arguments": json.dumps({"q": "x" * 30})}
            calls = [{"id": f"c{number}", "type": "function", "function": call}]
            return {"role": "assistant", "content": None, "tool_calls": calls}
        text = ("wörd " if number % 10 == 0 else "word ") * (size // 5)
        return {"role": "tool", "tool_call_id": f"c{number}", "name": "search", "content": text}

    return [{"role": "system", "content": "you are" * 10}, *map(message, range(count))]


def events() -> dict[str, Any]:
    """As the event bus's own exporter sees them: events that hold messages and results."""
    from crewai.events.types.llm_events import LLMCallCompletedEvent, LLMCallType
    from crewai.events.types.task_events import TaskCompletedEvent
    from crewai.events.types.tool_usage_events import ToolUsageFinishedEvent
    from crewai.tasks.task_output import TaskOutput

    now = datetime.datetime(2026, 1, 1)
    output = TaskOutput(description="d" * 60, agent="Worker", raw="text " * 40)
    output.messages = messages(20, 200)  # type: ignore[assignment]
    return {
        "an event of a model call, 20 messages": LLMCallCompletedEvent(
            messages=messages(20, 200),
            response="an answer",
            call_type=LLMCallType.LLM_CALL,
            model="m",
            call_id="c",
        ),
        "an event of a task, with its output": TaskCompletedEvent(output=output),
        "an event of a tool": ToolUsageFinishedEvent(
            tool_name="search",
            tool_args={"q": "x"},
            tool_class="Search",
            started_at=now,
            finished_at=now,
            output="found " * 20,
        ),
    }


class Kind(enum.Enum):
    ONE = 1


@dataclasses.dataclass
class Part:
    name: str
    at: datetime.datetime
    kind: Kind
    labels: set[int]


def objects() -> list[Any]:
    now = datetime.datetime(2026, 1, 1)
    return [{"id": uuid.UUID(int=n), "part": Part("p", now, Kind.ONE, {n})} for n in range(50)]


def conversions() -> dict[str, Sides]:
    fast_crewai.install()
    from crewai.utilities.serialization import to_serializable

    plain = plain_side()
    values = {
        "3 messages of 1 KB": messages(2, 1000),
        "100 messages of 4 KB": messages(100, 4000),
        "1,000 messages of 400 B": messages(1000, 400),
        **events(),
        "50 dataclasses, enums, times, sets": objects(),
    }
    rows = {}
    for name, value in values.items():
        assert json.dumps(plain(value)) == json.dumps(to_serializable(value)), name
        rows[name] = {
            "off": lambda value=value: plain(value),
            "on": lambda value=value: to_serializable(value),
        }
    return rows


def agent_messages() -> dict[str, Sides]:
    from api import messages as rows

    return {
        name: {"off": sides["json+dataclass"], "on": sides["rust"]}
        for name, sides in rows().items()
    }


def sampled(work: Callable[[], Any]) -> Callable[[], float]:
    """µs of CPU per call, over enough calls."""
    begun = time.process_time()
    work()
    count = max(1, int(SECONDS / max(time.process_time() - begun, 1e-7)))

    def sample() -> float:
        start = time.process_time()
        for _ in range(count):
            work()
        return (time.process_time() - start) / count * 1e6

    return sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    results: dict[str, Any] = {}
    for name, sides in (conversions() | agent_messages()).items():
        samples = interleave({side: sampled(work) for side, work in sides.items()}, args.rounds)
        ratios = [a / b for a, b in zip(samples["off"], samples["on"], strict=True)]
        for side, values in samples.items():
            print(line(f"{name}, {side}", values, "us"))
        print(line(f"{name}, off / on", ratios, "x"), flush=True)
        results[name] = {**samples, "ratio": ratios}
    print(f"written to {write('serialization', results)}")


if __name__ == "__main__":
    main()
