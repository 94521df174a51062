"""A small OpenAI-compatible server on loopback, for programs that must run without a model.

Its answers are a pure function of the request: no randomness, no clock. In a program::

    def greet(request: Request) -> Reply | None:
        return Reply("Hello!") if "greet" in request.text else None

    with ModelServer([greet]) as server:
        llm = LLM(model="openai/gpt-4o-mini", base_url=server.base_url, api_key="not-needed")

A script is a list of such rules. The first that returns a reply answers the request;
`default_rule` answers what no rule wants. On its own, with a script or without one::

    python examples/model_server.py --port 8000 --script research_script:SCRIPT

It speaks POST /v1/chat/completions (whole or streamed), POST /v1/responses/input_tokens and
GET /v1/models. It is a stand-in for examples, tests and benchmarks, not a model.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from unittest import mock

CREATED = 1_700_000_000  # every "created" time: answers hold no clock


@dataclass(frozen=True)
class ToolCall:
    """One call of a tool, as a model asks for it."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """What the model answers: a text, or calls of tools, or both."""

    text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()

    @classmethod
    def call(cls, name: str, **arguments: Any) -> Reply:
        """A reply that calls one tool."""
        return cls(tool_calls=(ToolCall(name, arguments),))

    @classmethod
    def json(cls, value: Any) -> Reply:
        """A reply whose text is `value` as JSON."""
        return cls(json.dumps(value, ensure_ascii=False))


@dataclass(frozen=True)
class Request:
    """A chat-completion request, with what rules usually ask of it."""

    body: dict[str, Any]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.body["messages"])

    @property
    def text(self) -> str:
        """The text of all messages."""
        return "\n".join(_content(message) for message in self.messages)

    def text_of(self, role: str) -> str:
        """The text of the messages of one role."""
        return "\n".join(_content(m) for m in self.messages if m.get("role") == role)

    @property
    def tools(self) -> dict[str, dict[str, Any]]:
        """The offered tools: name → JSON schema of the arguments."""
        functions = [tool["function"] for tool in self.body.get("tools") or []]
        return {f["name"]: f.get("parameters") or {} for f in functions}

    @property
    def tool_results(self) -> list[str]:
        """The results of tools in the conversation, oldest first."""
        return [_content(m) for m in self.messages if m.get("role") == "tool"]

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON schema the answer must satisfy, if one is asked for."""
        response_format = self.body.get("response_format") or {}
        if response_format.get("type") != "json_schema":
            return None
        return dict(response_format["json_schema"].get("schema") or {})


Rule = Callable[[Request], Reply | None]


def default_rule(request: Request) -> Reply:
    """Call the first tool once, satisfy a schema, or give a plain answer."""
    if request.tools and not request.tool_results and request.body.get("tool_choice") != "none":
        name, schema = next(iter(request.tools.items()))
        arguments = example_value(schema)
        return Reply.call(name, **(arguments if isinstance(arguments, dict) else {}))
    if request.schema is not None:
        return Reply.json(example_value(request.schema))
    return Reply("This is the final answer.")


def example_value(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """A value that satisfies a JSON schema (the part of it that tools and models use)."""
    root = schema if root is None else root
    if not isinstance(schema, dict):
        return "example"
    if "$ref" in schema or "allOf" in schema:
        return example_value(_merged(schema, root), root, depth + 1)
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    for keyword in ("enum", "examples"):
        if schema.get(keyword):
            return schema[keyword][0]
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        nullable = {"type": "null"} in choices
        if nullable and depth > 8:  # a schema that contains itself must end somewhere
            return None
        others = [choice for choice in choices if choice != {"type": "null"}]
        return example_value(others[0], root, depth + 1) if others else None

    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if kind == "object":
        properties = schema.get("properties") or {}
        if depth > 8:
            properties = {k: v for k, v in properties.items() if k in schema.get("required", ())}
        return {name: example_value(part, root, depth + 1) for name, part in properties.items()}
    if kind == "array":
        length = schema.get("minItems", 0 if depth > 8 else 1)
        return [example_value(schema.get("items"), root, depth + 1) for _ in range(length)]
    if kind in ("integer", "number"):
        return _example_number(schema, kind)
    if kind == "string":
        return _example_string(schema)
    return True if kind == "boolean" else None


def _merged(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """The schema with what its `$ref` and `allOf` stand for in their place."""
    parts = list(schema.get("allOf", ()))
    if "$ref" in schema:
        target: Any = root
        for key in schema["$ref"].removeprefix("#").strip("/").split("/"):
            target = target[key] if key else target
        parts.append(target)
    merged = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
    for part in parts:
        properties = {**part.get("properties", {}), **merged.get("properties", {})}
        merged = {**part, **merged, **({"properties": properties} if properties else {})}
    return merged


def _example_number(schema: dict[str, Any], kind: str) -> int | float:
    value = schema.get("minimum", 1)
    if "exclusiveMinimum" in schema:
        value = schema["exclusiveMinimum"] + 1
    if "multipleOf" in schema:
        value = -(-value // schema["multipleOf"]) * schema["multipleOf"]
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        value = schema["exclusiveMaximum"] - (1 if kind == "integer" else 0.5)
    value = min(value, schema.get("maximum", value))
    return int(value) if kind == "integer" else value


def _example_string(schema: dict[str, Any]) -> str:
    formats = {
        "date": "2024-01-01",
        "date-time": "2024-01-01T00:00:00Z",
        "time": "00:00:00Z",
        "email": "someone@example.com",
        "uri": "https://example.com/",
        "uuid": "00000000-0000-4000-8000-000000000000",
    }
    value = formats.get(schema.get("format", ""), "example")
    return value.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]


def _content(message: Mapping[str, Any]) -> str:
    """A message's content as text, be it a string or a list of parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if isinstance(part, dict))


def _token_count(value: Any) -> int:
    """A stand-in for a tokenizer: four characters a token."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return (len(text) + 3) // 4


@contextmanager
def _resolve_to_loopback(alias: str) -> Iterator[None]:
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        return resolve("127.0.0.1" if host in (alias, alias.encode()) else host, *args, **kwargs)

    with mock.patch.object(socket, "getaddrinfo", getaddrinfo):
        yield


class _ApiError(Exception):
    def __init__(
        self, status: HTTPStatus, message: str, *, kind: str = "invalid_request_error"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "error": {"message": message, "type": kind, "param": None, "code": None},
        }


class ModelServer:
    """The server: `with ModelServer(script) as server: server.base_url`.

    Args:
        script: Rules, asked in turn; `default_rule` comes last.
        port: The port on 127.0.0.1; 0 takes a free one.
        latency: Seconds to wait before each answer to a POST, as a model would take.
        record: Keep each POST in `recorded`, as (path, body), in order of arrival.
        alias: A host name that means this server, in this process and while it serves. As
            "api.openai.com" it makes clients do what they do for OpenAI alone: CrewAI then
            has the tokens counted before each call, which it doesn't on compatible servers.
    """

    def __init__(
        self,
        script: Sequence[Rule] = (),
        *,
        port: int = 0,
        latency: float = 0.0,
        record: bool = False,
        alias: str | None = None,
    ) -> None:
        self.script = (*script, default_rule)
        self.latency = latency
        self.record = record
        self.alias = alias
        self.recorded: list[tuple[str, dict[str, Any]]] = []
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._http = _HTTPServer(("127.0.0.1", port), self)
        self._thread: threading.Thread | None = None
        self._cleanup = ExitStack()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL."""
        return f"http://{self.alias or '127.0.0.1'}:{self.port}/v1"

    @property
    def counts(self) -> dict[str, int]:
        """Requests so far, by path: {"/v1/chat/completions": 9, ...}."""
        with self._lock:
            return dict(self._counts)

    def start(self) -> ModelServer:
        """Serve in a thread of its own, until `close`."""
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.05,), name="model-server", daemon=True
        )
        self._thread.start()
        if self.alias:
            self._cleanup.enter_context(_resolve_to_loopback(self.alias))
        return self

    def close(self) -> None:
        """Stop serving and drop all connections."""
        self._cleanup.close()
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join()
            self._thread = None
        self._http.server_close()

    def __enter__(self) -> ModelServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def reply(self, request: Request) -> Reply:
        """What the script answers; the same request always gets the same reply."""
        for rule in self.script:
            if (reply := rule(request)) is not None:
                return reply
        raise AssertionError("default_rule answers everything")

    def _count(self, path: str) -> None:
        with self._lock:
            self._counts[path] += 1

    def _answer(self, method: str, path: str, raw: bytes) -> dict[str, Any] | Iterator[Any]:
        """The body of the answer; an iterator of them where it is to be streamed."""
        if (method, path) == ("GET", "/v1/models"):
            model = {"id": "gpt-4o-mini", "object": "model", "created": CREATED, "owned_by": "me"}
            return {"object": "list", "data": [model]}
        if (method, path) == ("POST", "/v1/responses/input_tokens"):
            body = self._parse(path, raw)
            asked = [body.get(key) for key in ("input", "instructions", "tools", "text")]
            tokens = sum(_token_count(part) for part in asked if part)
            return {"object": "response.input_tokens", "input_tokens": tokens}
        if (method, path) == ("POST", "/v1/chat/completions"):
            body = self._parse(path, raw)
            messages = body.get("messages")
            if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
                raise _ApiError(HTTPStatus.BAD_REQUEST, "'messages' must be a list of messages.")
            try:
                reply = self.reply(Request(body))
            except Exception as error:
                message = f"The script failed: {type(error).__name__}: {error}"
                status = HTTPStatus.INTERNAL_SERVER_ERROR
                raise _ApiError(status, message, kind="server_error") from error
            completion = _completion(body, reply)
            return _chunks(body, completion) if body.get("stream") else completion
        raise _ApiError(HTTPStatus.NOT_FOUND, f"Invalid URL ({method} {path})")

    def _parse(self, path: str, raw: bytes) -> dict[str, Any]:
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise _ApiError(HTTPStatus.BAD_REQUEST, "The body is not a JSON object.")
        if self.record:
            with self._lock:
                self.recorded.append((path, body))
        time.sleep(self.latency)
        return body


def _completion(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    """The chat completion for a reply; its ids are a hash of the request."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
    if reply.tool_calls:
        message["tool_calls"] = [
            {
                "id": f"call_{digest[:20]}{index:04}",
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": json.dumps(call.arguments, ensure_ascii=False),
                },
            }
            for index, call in enumerate(reply.tool_calls)
        ]
    asked = _token_count([body["messages"], body.get("tools")])
    answered = _token_count([message["content"], message.get("tool_calls")])
    finish = "tool_calls" if reply.tool_calls else "stop"
    return {
        "id": f"chatcmpl-{digest[:24]}",
        "object": "chat.completion",
        "created": CREATED,
        "model": body.get("model", "gpt-4o-mini"),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": answered,
            "total_tokens": asked + answered,
        },
    }


def _chunks(body: dict[str, Any], completion: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same completion in the pieces that `"stream": true` asks for."""
    head = {key: completion[key] for key in ("id", "created", "model")}
    head["object"] = "chat.completion.chunk"
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    message = completion["choices"][0]["message"]

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**head, "choices": [choice], **({"usage": None} if with_usage else {})}

    yield chunk({"role": "assistant", "content": None if message.get("tool_calls") else ""})
    for piece in re.findall(r"\s*\S+|\s+", message["content"] or ""):
        yield chunk({"content": piece})
    for index, call in enumerate(message.get("tool_calls", ())):
        function = {"name": call["function"]["name"], "arguments": ""}
        yield chunk({"tool_calls": [{**call, "index": index, "function": function}]})
        arguments = call["function"]["arguments"]
        for start in range(0, len(arguments), 16):
            delta = {"index": index, "function": {"arguments": arguments[start : start + 16]}}
            yield chunk({"tool_calls": [delta]})
    yield chunk({}, completion["choices"][0]["finish_reason"])
    if with_usage:
        yield {**head, "choices": [], "usage": completion["usage"]}


class _Handler(BaseHTTPRequestHandler):
    server: _HTTPServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # header and body leave together

    def handle_any(self) -> None:
        owner = self.server.owner
        path = self.path.partition("?")[0]
        owner._count(path)
        length = self.headers.get("Content-Length") or "0"
        try:
            if not length.isdecimal():
                self.close_connection = True
                raise _ApiError(HTTPStatus.BAD_REQUEST, "Content-Length is not a number.")
            answer = owner._answer(self.command, path, self.rfile.read(int(length)))
        except _ApiError as error:
            self._send_json(error.body, error.status)
        else:
            if isinstance(answer, dict):
                self._send_json(answer)
            else:
                self._send_events(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def _send_json(self, body: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        data = json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status != HTTPStatus.OK:
            self.send_header("x-should-retry", "false")  # OpenAI's clients: the answer will stay
        self.end_headers()
        self.wfile.write(data)

    def _send_events(self, chunks: Iterator[dict[str, Any]]) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            self._send_event(json.dumps(chunk, ensure_ascii=False))
        self._send_event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _send_event(self, text: str) -> None:
        data = f"data: {text}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what the server prints would mix with the program's own output."""


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], owner: ModelServer) -> None:
        super().__init__(address, _Handler)
        self.owner = owner
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        super().server_close()
        for connection in list(self._open):  # kept alive by clients: their threads must end
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that went away is no error here."""


def main() -> None:
    parser = argparse.ArgumentParser(description="A deterministic OpenAI-compatible server.")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free port")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--script", help="rules to answer by, as module:name")
    arguments = parser.parse_args()

    script: Sequence[Rule] = ()
    if arguments.script:
        module, _, name = arguments.script.partition(":")
        script = getattr(importlib.import_module(module), name)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ModelServer(script, port=arguments.port, latency=arguments.latency) as server:
        print(server.base_url, flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
        print(json.dumps(server.counts), flush=True)


if __name__ == "__main__":
    main()
