"""For every route: what to call it with, and what to compare afterwards."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from strategies import (
    bindings,
    checkpoints,
    consoles,
    data,
    endings,
    executors,
    files,
    flow_chains,
    flow_runs,
    flows,
    json_logs,
    jsonb,
    kickoffs,
    listeners,
    locks,
    memories,
    model_texts,
    models,
    packages,
    preflight,
    react,
    records,
    task_logs,
    texts,
    tool_uses,
    user_data,
)


@dataclass(frozen=True)
class Case:
    """``observe(function, example)`` calls the function and returns all that must be equal."""

    examples: st.SearchStrategy[Any]
    observe: Callable[[Callable[..., Any], Any], Any]


def call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return data.outcome(function, *arguments)


def search(function: Callable[..., Any], example: tuple[Any, Any]) -> Any:
    """Results of all searches of a program, and the flow's state after each."""
    methods, program = example
    flow = flows.Plain()
    flows.reset(flow, methods)
    seen = []
    for step, first, second in program:
        if step == "find":
            seen.append((flows.outcome(function, flow, first, second), flows.state(flow)))
        else:
            flows.prepare(flow, step, first, second)
    return seen


def start_names(function: Callable[..., Any], methods: Any) -> Any:
    flow = flows.Plain()
    flows.reset(flow, methods)
    return flows.outcome(function, flow)


def private_attributes(owner: type) -> Case:
    """Reads on an instance of a concrete subclass, whole or damaged."""
    abstract = dict.fromkeys(getattr(owner, "__abstractmethods__", ()), lambda *_a, **_k: None)
    concrete: Any = type(f"Concrete{owner.__name__}", (owner,), {**abstract, "_own": 1})
    names = sorted(concrete.__private_attributes__)
    root: list[Any] = [[]] if "root" in concrete.model_fields else []
    others = ["model_config", "_missing", "missing", "__deepcopy__", "", *concrete.model_fields]

    def read(function: Callable[..., Any], example: tuple[str, str]) -> Any:
        damage, name = example
        bare = damage == "bare"
        instance = concrete.__new__(concrete) if bare else concrete.model_construct(*root)
        if damage == "emptied":
            instance.__pydantic_private__.clear()
        elif damage == "none":
            object.__setattr__(instance, "__pydantic_private__", None)
        try:
            found = function(instance, name)
        except Exception as error:
            return type(error), str(error)
        in_place = (getattr(instance, "__pydantic_private__", None) or {}).get(name)
        return found is in_place, type(found)

    damage = st.sampled_from(["whole", "whole", "bare", "emptied", "none"])
    return Case(st.tuples(damage, st.sampled_from(names) | st.sampled_from(others)), read)


def model_description(function: Callable[..., Any], example: tuple[Any, Any]) -> Any:
    strip, program = example
    options = {} if strip is None else {"strip_null_types": strip}
    return models.render(lambda model: function(model, **options), program)


def saved_schema(function: Callable[..., Any], program: Any) -> Any:
    return models.render(function, program)


def tool_description(function: Callable[..., Any], example: tuple[str, str, Any]) -> Any:
    name, description, program = example
    return models.render(lambda model: function(name, model, description), program)


def case_for(route: str, owner: Any) -> Case:
    """The case of a route; ``owner`` is the class or module that holds its target."""
    if ".private-attributes-" in route:
        return private_attributes(owner)
    depth = st.integers(-1, 7)
    return {
        "flow.trigger-search": Case(
            st.tuples(flows.plain_tables | flows.odd_tables, flows.steps), search
        ),
        "flow.start-methods": Case(flows.plain_tables | flows.odd_tables, start_names),
        "flow.method-binding": Case(bindings.examples, bindings.observe),
        "flow.chain": Case(flow_chains.sequential, flow_chains.one_listener),
        "flow.method-completion": Case(flow_runs.sequential, flow_runs.one_method),
        "flow.kickoff-end": Case(endings.examples, endings.observe),
        "tasks.kickoff-threads": Case(kickoffs.examples, kickoffs.observe),
        "events.emit": Case(listeners.emissions, listeners.emitted),
        "events.record": Case(records.records, records.recorded),
        "agents.executor-loop": Case(flow_runs.sequential, flow_runs.from_start),
        "tools.sanitize-tool-name": Case(
            st.tuples(texts.names) | st.tuples(texts.names, st.sampled_from([64, 200, 10, 0, -3])),
            call,
        ),
        "agents.user-data": Case(user_data.examples, user_data.observe),
        "agents.react-parser": Case(react.answers, react.observe),
        "agents.react-repair": Case(react.tool_inputs, react.repaired),
        "agents.executor-state": Case(
            executors.steps,
            lambda function, todo: executors.program(function, todo, owner),
        ),
        "tools.model-description": Case(
            st.tuples(st.sampled_from([None, True, False] * 4 + [1]), models.programs),
            model_description,
        ),
        "tools.tool-description": Case(
            st.tuples(texts.names, models.words | models.composites, models.programs),
            tool_description,
        ),
        "tools.saved-schema": Case(models.programs, saved_schema),
        "tools.input": Case(model_texts.tool_inputs, model_texts.tool_input),
        "tasks.partial-json": Case(model_texts.spans, model_texts.partial_json),
        "tools.use": Case(tool_uses.uses, tool_uses.use),
        "tools.use-async": Case(tool_uses.uses, tool_uses.use),
        "tools.selection": Case(tool_uses.selections, tool_uses.select),
        "tools.package-version": Case(packages.programs, packages.observe),
        "events.console-panels": Case(consoles.prints, consoles.observe),
        "tasks.interpolate": Case(st.tuples(texts.templates, texts.inputs), call),
        "agents.token-preflight-openai": Case(preflight.requests, preflight.context),
        "agents.token-preflight-tool-result": Case(preflight.results, preflight.tool_result),
        "tasks.output-log": Case(task_logs.programs, task_logs.observe),
        "tasks.json-log": Case(json_logs.programs, json_logs.observe),
        "tasks.no-files": Case(files.case(2), files.observe),
        "tasks.no-crew-files": Case(files.case(1), files.observe),
        "tasks.no-task-files": Case(files.case(1), files.observe),
        "memory.search": Case(memories.searches, memories.search),
        "memory.follow": Case(memories.writes, memories.write),
        "memory.forget": Case(memories.deletions, memories.delete),
        "memory.deep-recall": Case(memories.recalls, memories.recall),
        "memory.matches": Case(memories.scored, memories.synthesize),
        "memory.recall-state": Case(memories.states, memories.recall_state),
        "memory.encoding-state": Case(memories.states, memories.encoding_state),
        "memory.list-scopes": Case(memories.questions, memories.ask),
        "memory.list-categories": Case(memories.optional_questions, memories.ask),
        "memory.list": Case(memories.listings, memories.list_records),
        "memory.scope-info": Case(memories.questions, memories.ask),
        "memory.similarity": Case(memories.pairs, memories.similarity),
        "database.store-lock": Case(locks.programs, locks.observe),
        "database.jsonb-write": Case(jsonb.writes, jsonb.written),
        "database.jsonb-write-async": Case(jsonb.writes, jsonb.written),
        "database.jsonb-read": Case(jsonb.reads, jsonb.read),
        "database.jsonb-read-async": Case(jsonb.reads, jsonb.read),
        "database.jsonb-list": Case(jsonb.tables, jsonb.listed),
        "database.jsonb-latest": Case(jsonb.tables, jsonb.listed),
        "database.jsonb-one": Case(jsonb.tables, jsonb.listed),
        "serialization.event-record": Case(checkpoints.programs, checkpoints.recorded),
        "serialization.checkpoint": Case(checkpoints.programs, checkpoints.written),
        "serialization.to-serializable": Case(
            st.tuples(data.trees)
            | st.tuples(data.trees, data.excludes, depth, st.sampled_from([0, 0, 1, 4])),
            call,
        ),
    }[route]
