"""Requests whose tokens CrewAI would have counted, and a server that counts as many as it can."""

import atexit
import copy
import json
import logging
import re
from functools import lru_cache
from types import SimpleNamespace

from crewai import LLM
from crewai.tools.agent_tools.deferred_tool_result_reader import DeferredToolResultReader
from hypothesis import strategies as st
from model_server import ModelServer
from pydantic import BaseModel

from strategies import data

HIDDEN_PROMPT = 900
FRAME = 12  # <|start|>, role, to=, recipient, <|channel|>, commentary, json, <|message|>, <|end|>


class WorstServer(ModelServer):
    """Every byte is a token, except in runs of spaces; schemas are written out with comments."""

    def _answer(self, method, path, raw):
        if not path.endswith("/input_tokens"):
            return super()._answer(method, path, raw)
        return {"object": "response.input_tokens", "input_tokens": worst_count(json.loads(raw))}


def worst_count(request):
    items = [item for item in request["input"] if isinstance(item, dict)]
    names = {
        item["call_id"]: item["name"] for item in items if "name" in item and "call_id" in item
    }
    texts = [request.get("instructions") or ""]
    for item in items:
        texts += [item.get("role", "assistant"), item.get("content") or "", item.get("name", "")]
        texts += [item.get("arguments", ""), item.get("output", "")]
        texts.append(names.get(item.get("call_id"), ""))
        for call in item.get("tool_calls") or ():
            texts += [call["function"]["name"], call["function"]["arguments"]]
    count = HIDDEN_PROMPT + FRAME * (len(items) + 1) + sum(_bytes(t) for t in texts)
    tools = request.get("tools") or []
    rendered = "# Tools\n\n## functions\n\nnamespace functions {\n\n" if tools else ""
    for tool in tools:
        description = "".join(f"// {line}\n" for line in (tool["description"] or "").splitlines())
        parameters = typescript(tool.get("parameters") or {})
        rendered += f"{description}type {tool['name']} = (_: {parameters}) => any;\n\n"
    if "text" in request:
        form = request["text"]["format"]
        rendered += f"# Response Formats\n\n## {form.get('name')}\n\n{json.dumps(form)}"
    return count + len(re.sub(" +", " ", rendered).encode())


def _bytes(value):
    return len((value if isinstance(value, str) else json.dumps(value)).encode())


def typescript(schema, indent=""):
    """As openai/harmony shows it to the models, with what it leaves out as comments."""
    deeper = indent + "    "
    lines = []
    for name, part in (schema.get("properties") or {}).items():
        for key, value in part.items():
            if key == "examples":
                lines.append(f"{indent}// Examples:\n")
                lines += [f'{indent}// - "{example}"\n' for example in value]
            elif key not in ("type", "properties", "items", "enum", "anyOf"):
                shown = value if isinstance(value, str) else json.dumps(value)
                lines.append(f"{indent}// {key}: {shown}\n")
        lines.append(f"{indent}{name}?: {typescript(part, deeper)},\n")
    if lines:
        return "{\n" + "".join(lines) + f"{indent}}}"
    if "enum" in schema:
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in schema["enum"])
    if "items" in schema:
        return typescript(schema["items"], indent) + "[]"
    if "anyOf" in schema:
        return "\n | ".join(typescript(part, deeper) for part in schema["anyOf"])
    return str(schema.get("type", "any"))


@lru_cache(maxsize=1)
def server():
    running = WorstServer(alias="api.openai.com").start()
    atexit.register(running.close)
    return running


class Answer(BaseModel):
    figure: int = 1
    note: str = "none"


KINDS = {
    "plain": {},
    "responses": {"api": "responses", "store": False},
    "instructions": {"instructions": "Be brief. Grüße. " * 8},
    "unsendable": {"instructions": "\ud800"},
    "stream": {"stream": True},
    "other-params": {"additional_params": {"parallel_tool_calls": False}},
    "o1": {"model": "o1-mini"},
    "structured": {"response_format": Answer},
    "json": {"response_format": {"type": "json_object"}},
    "chained": {"auto_chain": True},
    "builtin": {"builtin_tools": ["web_search"]},
    "own-input": {"additional_params": {"instructions": "x" * 9000}},
    "compatible": {"base_url": "http://127.0.0.1:1/v1"},
    "failing": {"base_url": "http://api.openai.com:1/v1", "max_retries": 0},
    "search": {"model": "gpt-4o-search-preview"},
    "unknown": {"model": "some-model"},
}
FAST = ("plain", "plain", "responses", "instructions", "stream", "other-params", "o1")


@lru_cache(maxsize=32)
def llm(kind):
    """A model with the smallest window that OpenAI's have, so that limits are near."""
    options = {"model": "gpt-4", "base_url": server().base_url, "max_retries": 0, **KINDS[kind]}
    made = LLM(provider="openai", api_key="sk-none", **options)
    assert type(made).__name__ == "OpenAICompletion"
    return made


class Lines(logging.Handler):
    """What CrewAI logs; the HTTP client's own lines belong to the request."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.seen = []

    def emit(self, record):
        if record.name.partition(".")[0] in ("root", "crewai"):
            self.seen.append((record.levelno, record.getMessage()))


def observed(function, *arguments):
    """Outcome, what was logged, and the arguments as they are afterwards."""
    lines, root = Lines(), logging.getLogger()
    level, disabled = root.level, logging.root.manager.disable
    root.addHandler(lines)
    root.setLevel(logging.DEBUG)
    logging.disable(logging.NOTSET)
    try:
        outcome = data.outcome(function, *arguments)
    finally:
        root.removeHandler(lines)
        root.setLevel(level)
        logging.disable(disabled)
    return outcome, lines.seen, repr(arguments[1:])


def context(function, example):
    kind, messages, tools, response_model = example
    messages, tools = copy.deepcopy((messages, tools))
    outcome, lines, after = observed(function, llm(kind), messages, tools, response_model)
    if kind in ("failing", "unsendable"):  # that a request fails can't be known without it
        lines = [line for line in lines if "approximate input token count" not in line[1]]
        lines = list(dict.fromkeys(lines))  # the tools are converted once more to approximate
    return outcome, lines, after


class Raising:
    @property
    def result_as_answer(self):
        raise ValueError("no answer")


TOOLS = {
    "tool": SimpleNamespace(result_as_answer=False),
    "answer": SimpleNamespace(result_as_answer=True),
    "raising": Raising(),
    "reader": DeferredToolResultReader(),
}


def tool_result(function, example):
    kind, result, early = example
    # Without a store, a result that is too long for the context ends in an AttributeError.
    executor = SimpleNamespace(llm=llm(kind), use_better_compaction=early != "off")
    if early == "no model":
        executor.llm = None
    execution = {"result": result, "tool_failure": "failed" if early == "failed" else None}
    if early in TOOLS:
        execution["original_tool"] = TOOLS[early]
    if early == "empty":
        del execution["result"]
    outcome, lines, after = observed(function, executor, execution)
    if kind == "failing":
        lines = []
    return outcome, lines, after


alphabets = st.sampled_from(
    ["a", "\n", "a b\n", '"\\', "é", "漢", "😀", "\x00\x1f", "\u0344ﷺ", "<|end|>"]
)
hostile = st.text(max_size=12) | st.text(alphabet=st.characters(), max_size=6) | alphabets


def texts(most):
    """Of a few bytes or of about as many as the limit has."""
    length = st.integers(0, most) | st.integers(most // 2, most)
    long = st.builds(
        lambda text, n: text * (n // max(1, len(text.encode(errors="replace")))), hostile, length
    )
    return hostile | long | long


names = st.sampled_from(["add", "look_up", "lookUp", "n" * 64])
schemas = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "integer", "null"]),
            "description": texts(200),
            "default": st.text(max_size=5) | st.integers(),
            "enum": st.lists(st.text(max_size=5), min_size=1, max_size=4),
            "examples": st.lists(st.text(max_size=3), max_size=4)
            | st.integers(0, 300).map(lambda n: ["a"] * n),
        },
    ),
    lambda inner: st.one_of(
        st.dictionaries(st.text(max_size=6), inner, max_size=4).map(
            lambda p: {"type": "object", "properties": p, "required": list(p)}
        ),
        inner.map(lambda items: {"type": "array", "items": items}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
    ),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=6), schemas, max_size=6).map(
    lambda p: {"type": "object", "properties": p}
)
functions = st.fixed_dictionaries({"name": names, "description": texts(300), "parameters": objects})
odd_tools = st.sampled_from(
    [
        {"name": ""},
        {"type": "function"},
        {"name": "pydantic", "description": "d", "args_schema": Answer},
        {"name": "ref", "description": "", "parameters": {"$ref": "#/$defs/a"}},
        {"function": {"name": "bad", "description": None}},
    ]
)
tools = (
    functions.map(lambda f: {"type": "function", "function": f})
    | functions.map(lambda f: {"type": "function", "function": f})
    | functions
)
calls = st.builds(
    lambda name, arguments, key: {
        "id": key,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    },
    names | hostile,
    texts(300),
    st.sampled_from(["call_1", "call_2"]),
)
plain_messages = (
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant"]), "content": texts(3500)},
        optional={"cache_breakpoint": st.just(True)},
    )
    | st.fixed_dictionaries(
        {
            "role": st.just("assistant"),
            "content": st.none() | hostile,
            "tool_calls": st.lists(calls, min_size=1, max_size=3),
        }
    )
    | st.fixed_dictionaries(
        {
            "role": st.just("tool"),
            "tool_call_id": st.sampled_from(["call_1", "call_2"]),
            "name": names,
            "content": texts(1500),
        }
    )
)
odd_messages = st.sampled_from(
    [
        {"role": "user"},
        {"role": "user", "content": [{"type": "input_text", "text": "x" * 9000}]},
        {"role": "user", "content": 5},
        {"role": "user", "content": "", "files": {"a": object}},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1"}]},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "a", "arguments": {"é": 1}}}],
        },
        "text",
        None,
    ]
)
conversations = st.lists(plain_messages, max_size=6)
requests = (
    st.tuples(
        st.sampled_from(FAST),
        conversations | texts(9000),
        st.none() | st.lists(tools, max_size=3),
        st.none(),
    )
    | st.tuples(st.sampled_from(FAST), conversations, st.none(), st.just(Answer))
    | st.tuples(
        st.sampled_from(sorted(KINDS)),
        st.lists(plain_messages | odd_messages, max_size=4),
        st.none() | st.lists(tools | odd_tools, max_size=2),
        st.sampled_from([None, None, Answer]),
    )
)
results = st.tuples(
    st.sampled_from(FAST), texts(2500), st.sampled_from(["", "tool", "reader"])
) | st.tuples(
    st.sampled_from(sorted(KINDS)),
    texts(2500) | st.sampled_from([None, 5, b"", ["x"]]),
    st.sampled_from(["", "off", "failed", "no model", "empty", *TOOLS]),
)
