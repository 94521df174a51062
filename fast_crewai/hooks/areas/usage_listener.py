"""The listener by which each flow counts the tokens of its model calls."""

from __future__ import annotations

import _thread
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

_RUNTIME = "crewai.flow.runtime"
_METRICS = "crewai.types.usage_metrics"
_NUMBERS = (int, type(None), str, float)
EVENT = "crewai.events.types.llm_events:LLMCallCompletedEvent"
READS = (
    f"{_RUNTIME}:Flow._attach_usage_aggregation_listener",
    f"{_RUNTIME}:_usage_dict_to_metrics",
    f"{_METRICS}:UsageMetrics.add_usage_metrics",
    f"{_METRICS}:UsageMetrics.from_provider_dict",
    f"{_METRICS}:UsageMetrics._resolve_billed_prompt_tokens",
    f"{_METRICS}:_first_int",
    f"{_METRICS}:_coerce_int",
)


class UsageListener:
    def __init__(self, inner: Callable[[types.FunctionType], Mapping[str, types.CodeType]]) -> None:
        runtime, metrics = vars(sys.modules[_RUNTIME]), vars(sys.modules[_METRICS])
        self.code = inner(runtime["Flow"]._attach_usage_aggregation_listener)["_accumulate"]
        self._kind = metrics["UsageMetrics"]
        names = ("current_flow_id", "_usage_dict_to_metrics")
        self._uses = [(runtime, name, runtime[name]) for name in names]
        self._uses += [(metrics, name, metrics[name]) for name in ("_first_int", "_coerce_int")]
        methods = ("add_usage_metrics", "from_provider_dict", "_resolve_billed_prompt_tokens")
        self._methods = [(name, vars(self._kind)[name]) for name in methods]
        self._cells = [self.code.co_freevars.index(name) for name in ("accumulator", "lock")]

    def only_counts(self, handler: Any, event: Any) -> bool:
        """Whether it adds plain numbers, and waits for nobody."""
        if handler.__dict__:
            return False
        counted, lock = (handler.__closure__[cell].cell_contents for cell in self._cells)
        usage = event.__dict__["usage"]
        own = self._kind.__dict__
        return (
            type(counted) is self._kind
            and type(lock) is _thread.LockType
            and not lock.locked()
            and (usage is None or _is_plain(usage))
            and all(module[name] is value for module, name, value in self._uses)
            and all(own[name] is value for name, value in self._methods)
        )


def _is_plain(usage: Any) -> bool:
    """Whether reading its numbers runs no code of the user's."""
    return type(usage) is dict and all(
        type(value) in _NUMBERS
        or (type(value) is dict and all(type(inner) in _NUMBERS for inner in value.values()))
        for value in usage.values()
    )
