"""Deep recalls whose flow nobody sees: only the records that decide them are made.

A recall's flow keeps the records of all searches in its state, to show them in its last event and,
inside a crew's or a flow's run, to whoever saves that run's state. A recall outside of them is seen
by listeners and sinks only. Where those are CrewAI's own, which don't look at the state, no record
is made that is neither among the results nor near them: CrewAI's own steps then find the same.
"""

from __future__ import annotations

import datetime
import sys
import weakref
from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.memory_records import Records
from fast_crewai.hooks.areas.memory_storage import TABLES, prefix_of
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.dispatch import original_of
from fast_crewai.hooks.route import Site

FLOW = "crewai.memory.recall_flow"
_BUS = "crewai.events.event_bus"
_EVENTS = "crewai.events.types.flow_events"
_LISTENERS = (
    "crewai.events.event_listener",
    "crewai.events.listeners.tracing.trace_listener",
)
_EMITTING = ("emit", "_prepare_event", "_register_source", "register_entity", "_record_event")
_STEPS = (
    "analyze_query_step",
    "filter_and_chunk",
    "search_chunks",
    "decide_depth",
    "synthesize_results",
    "_merged_categories",
)
_KICKOFF = (
    "flow.kickoff(inputs={'query': query, 'scope': effective_scope, "
    "'categories': categories or [], 'limit': limit, 'source': source, "
    "'include_private': include_private})"
)
DATETIME: Any = datetime.datetime  # a test's, which stands still

# Flows that only the recall that made them knows, by id.
_hidden: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


class Watchers:
    """What could see a flow's state through its events."""

    def __init__(self) -> None:
        loaded = sys.modules
        self._module = vars(loaded[_BUS])
        self._bus: Any = self._module["crewai_event_bus"]
        self._class: Any = self._module["CrewAIEventsBus"]
        self._publish = self._module["publish_stream_event"]
        self._emitting = [(name, original_of(vars(self._class)[name])) for name in _EMITTING]
        events = vars(loaded[_EVENTS])
        names = ("FlowStartedEvent", "FlowFinishedEvent", "FlowFailedEvent")
        self._kinds = [events[name] for name in names]
        self._sinks = vars(loaded["crewai.events.stream_context"])["_stream_sinks"]
        self._runtime = vars(loaded["crewai.flow.runtime"])

    def none(self) -> bool:
        bus, own = self._bus, vars(self._class)
        return (
            self._runtime["crewai_event_bus"] is bus
            and type(bus) is self._class
            and all(original_of(own[name]) is function for name, function in self._emitting)
            and not any(name in vars(bus) for name in _EMITTING)
            and self._module["publish_stream_event"] is self._publish
            and not self._sinks.get()
            and not any(map(self._listens, self._kinds))
        )

    def _listens(self, kind: Any) -> bool:
        """Whether somebody else than CrewAI's listeners hears of such events."""
        bus = self._bus
        if bus._async_handlers.get(kind) or kind in bus._handler_dependencies:
            return True
        own = [vars(sys.modules[name]) for name in _LISTENERS if name in sys.modules]
        return any(
            not any(getattr(handler, "__globals__", None) is module for module in own)
            for handler in bus._sync_handlers.get(kind, ())
        )

    def keep_nothing(self) -> bool:
        """Whether no run is under way that keeps the flows of its recalls."""
        own = self._module
        return own["_runtime_scope_depth"].get() == 0 and own["_runtime_state_var"].get() is None

    def trace_nothing(self) -> bool:
        """Whether this execution, the flow's own, isn't traced."""
        traces = vars(sys.modules["crewai.telemetry.tracing.context"])
        execution = vars(sys.modules["crewai.execution"])
        return (
            traces["_trace_session"].get() is None
            and execution["_current_execution_uuid"].get() is not None
        )


def recall(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``Memory.recall``: CrewAI's own, which says whose its flow is."""
    watchers: list[Watchers] = []

    def hide(flow: Any) -> Any:
        """The flow, noted if only its recall will see it."""
        try:
            if not watchers:
                watchers.append(Watchers())
            if watchers[0].keep_nothing() and watchers[0].none():
                _hidden[id(flow)] = flow
        except Exception:  # another flow, or bus
            pass
        return flow

    hidden = _KICKOFF.replace("flow.", "_fc_hide(flow).", 1)
    return recompiled(site.original, {_KICKOFF: hidden}, {"_fc_hide": hide})


class Deciding:
    """A search that keeps what decides."""

    def __init__(self, site: Site) -> None:
        self._own, self._flow = vars(site.module), site.namespace
        types = sys.modules["crewai.memory.types"]
        self._types = vars(types)
        self._score = self._types["compute_composite_score"]
        self._config = self._types["MemoryConfig"]
        self._steps = [(name, vars(self._flow)[name]) for name in _STEPS]
        self._watchers: list[Watchers] = []

    def _check(self, flow: Any) -> None:
        if _hidden.get(id(flow)) is not flow or type(flow) is not self._flow:
            raise Declined("somebody's flow")
        own = vars(self._flow)
        if any(own.get(name) is not step for name, step in self._steps):
            raise Declined("patched: RecallFlow")
        if (
            self._own["compute_composite_score"] is not self._score
            or self._types["datetime"] is not DATETIME
        ):
            raise Declined("patched: the composite score")
        if not self._watchers:
            self._watchers.append(Watchers())
        watchers = self._watchers[0]
        if not (watchers.none() and watchers.trace_nothing()):
            raise Declined("somebody sees the flow's state")

    def findings(self, flow: Any, records: Records, limit: int) -> tuple[list[Any], float]:
        """Findings of CrewAI's form, and its confidence. Raises Declined if more is needed."""
        self._check(flow)
        state, config, storage = flow.state, flow._config, flow._storage
        weights = [config.semantic_weight, config.recency_weight, config.importance_weight]
        days = config.recency_half_life_days
        if (
            type(config) is not self._config
            or {*map(type, weights)} != {float}
            or type(days) is not int
            or days < 1
        ):
            raise Declined("an odd configuration")
        if state.categories or state.time_cutoff or len(state.query_embeddings) != 1:
            raise Declined("more than one query, or a filter")
        if type(state.include_private) is not bool or type(state.source) not in (str, type(None)):
            raise Declined("an odd source")
        if len(state.query) >= config.query_analysis_threshold:
            raise Declined("a model has been asked, whose listeners may know the run")
        scopes = list(state.candidate_scopes)
        ((_, query),) = state.query_embeddings
        tasks, nearest, rows = TABLES.of(storage).recall(
            storage,
            query,
            [prefix_of(scope) for scope in scopes],
            limit,
            DATETIME.utcnow().isoformat(),
            state.include_private,
            state.source,
            weights,
            float(days),
            state.limit,
        )
        made = [records.make(row, storage._row_to_record) for row in rows]
        scores = [self._scored(made[place], distance, config) for place, distance in nearest]
        confidence = max(scores, default=0.0)
        if self._explores(state, config, confidence):
            raise Declined("all findings are shown to a model")
        found = []
        for scope, hits in zip(scopes, tasks, strict=True):
            results = [(made[place], 1.0 / (1.0 + distance)) for place, distance in hits]
            if results:
                found.append({"scope": scope, "results": results, "top_score": confidence})
        return found, confidence

    def _scored(self, record: Any, distance: float, config: Any) -> float:
        score: float = self._score(record, 1.0 / (1.0 + distance), config)[0]
        return score

    @staticmethod
    def _explores(state: Any, config: Any, confidence: float) -> bool:
        """Whether ``decide_depth`` may say so."""
        return bool(
            state.exploration_budget > 0
            and (
                confidence < config.confidence_threshold_low
                or state.query_analysis.complexity != "simple"
            )
        )
