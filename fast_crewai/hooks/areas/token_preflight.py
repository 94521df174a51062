"""No request to count tokens where the answer can't matter.

Before each model call and after each tool result CrewAI asks the provider how many tokens they
are, and only compares the answer with the context window. Where an upper bound of the answer is
below that limit, it isn't asked. Whoever asks for the count itself is answered as ever.

The bound, for OpenAI's own models on OpenAI's own server:

- Their tokenizers are byte-level BPE without normalisation (tiktoken): a token is at least one
  byte of UTF-8. JSON text is never shorter than the strings in it.
- Messages are framed by role, channel and, for calls and their results, the function's name.
- Schemas are rendered anew (openai/harmony, ``json_schema_to_typescript``): each is written once,
  in place, with a comment for each description, default and example, and runs of spaces for
  indentation, which are few tokens. Four tokens a byte covers that, but not a ``$ref``, which
  may be written many times.
- A hidden system message has some 100 tokens; RESERVE allows for ten times as much.

CrewAI's estimate where a request fails, a quarter of the characters, is below the bound as well.
"""

from __future__ import annotations

import json
import re
import sys
import types
from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined, Guard
from fast_crewai.hooks.dispatch import is_ours
from fast_crewai.hooks.route import Route, Site

_BASE = "crewai.llms.base_llm"
_OPENAI = "crewai.llms.providers.openai.completion"
_EXECUTOR = "crewai.agents.agent_executor:AgentExecutor"
_CONTEXT_CHECK = "is_context_window_overflowing_threshold"
_RESULT_CHECK = "is_tool_result_overflowing_threshold"

_OPENAI_HOST = "api.openai.com"

RESERVE = 1024  # hidden system message, headings of the tools' section
PER_MESSAGE = 32  # special tokens, role, channel, recipient
PER_TOOL = 64
PER_SCHEMA_BYTE = 4

# What CrewAI's formatting may add to a message or tool as it was given.
_REWORDING = 64

_KNOWN_MODELS = re.compile(r"(ft:)?(gpt-|chatgpt-|o\d)")
# Their requests carry more than what is sent: results of searches, screens, sound.
_OTHER_INPUT = re.compile(r"search|research|computer|audio|realtime|image|transcribe|tts")
_SENT = ("model", "input", "instructions", "text", "tools", "previous_response_id")


class Preflight:
    """What is known about one provider class whose counting has been proven."""

    def __init__(self, site: Site) -> None:
        self.owner: Any = site.namespace
        self.client_type = vars(site.module)["OpenAI"]
        self.base = sys.modules[_BASE]
        self.estimate = vars(self.base.BaseLLM)["get_input_tokens_count"]
        # The two that change nothing but are called live are guarded too, so that stand-ins
        # in tests are called just as often as by CrewAI.
        names = (
            "get_input_tokens_count",
            "get_context_window_size",
            "_on_compatible_server",
            "_format_messages",
            "_prepare_responses_params",
            "_convert_tools_for_responses",
            "_get_sync_client",
            _RESULT_CHECK,
        )
        self.guard = Guard([(name, getattr(self.owner, name)) for name in names])

    def fits(
        self, llm: Any, messages: Any, tools: Any, response_model: Any, share: float | None
    ) -> None:
        """Return if the count can't exceed the window (or a share of it); else Declined.

        ``share`` None means the whole window, which CrewAI compares as an integer.
        """
        try:
            self._require_openai(llm)
            limit = llm.get_context_window_size()
            if type(limit) is not int:
                raise Declined("the context window is not a number")
            if share is not None:
                limit *= share
            self._require_short(llm, messages, tools, response_model, limit)
        except Declined:
            raise
        except Exception as error:  # nothing has happened yet
            raise Declined(f"{type(error).__name__} when looking at the request") from error
        # From here on as CrewAI does it, with its log lines and errors, up to the request.
        formatted = llm._format_messages(messages, file_api="responses")
        params = llm._prepare_responses_params(
            messages=formatted, tools=tools, response_model=response_model
        )
        sent = {name: params[name] for name in _SENT if name in params}
        try:
            bound = upper_bound(sent)
        except Declined:
            raise
        except Exception as error:  # CrewAI estimates what can't be sent
            raise Declined(f"{type(error).__name__} when looking at the request") from error
        if bound > limit:
            raise Declined("near the limit")

    def _require_openai(self, llm: Any) -> None:
        if type(llm) is not self.owner:
            raise Declined("another provider class")
        self.guard.intact(llm)
        if vars(self.base.BaseLLM)["get_input_tokens_count"] is not self.estimate:
            raise Declined("patched: BaseLLM.get_input_tokens_count")
        if llm._on_compatible_server():
            raise Declined("no request: not OpenAI's server")
        model = llm.model
        if not _KNOWN_MODELS.match(model) or _OTHER_INPUT.search(model):
            raise Declined("a model with an unknown tokenizer or other input")
        if llm.interceptor is not None:
            raise Declined("an interceptor sees the request")
        if llm.previous_response_id or llm.auto_chain or llm.auto_chain_reasoning:
            raise Declined("the server adds what it was sent before")
        if llm.builtin_tools:
            raise Declined("tools of the provider")
        if not llm.additional_params.keys().isdisjoint(_SENT):
            raise Declined("additional parameters replace a part of the request")
        _require_plain_client(llm._client, self.client_type)

    def _require_short(
        self, llm: Any, messages: Any, tools: Any, response_model: Any, limit: float
    ) -> None:
        """A first bound, of the request as it was given, before CrewAI logs its formatting."""
        if tools and (response_model or llm.response_format):
            raise Declined("tools and structured output")
        added = 0
        if type(messages) is list:
            for message in messages:
                _require_text(message)
            added = len(messages) * _REWORDING
        elif type(messages) is not str:
            raise Declined("not a text or a list of messages")
        if tools:
            if type(tools) is not list:
                raise Declined("tools are not a list")
            added += len(tools) * _REWORDING * PER_SCHEMA_BYTE
        given = messages if type(messages) is list else [messages]
        if upper_bound({"input": given, "tools": tools}) + added > limit:
            raise Declined("near the limit")


def upper_bound(request: dict[str, Any]) -> int:
    """No tokenizer of OpenAI's makes more tokens of this request for a count. May raise."""
    messages = request["input"]
    tools = request.get("tools") or []
    text = _size([messages, request.get("instructions")])
    schemas = 0
    if tools or "text" in request:
        schema = json.dumps([tools, request.get("text")], ensure_ascii=False)
        if '"$ref"' in schema or '"$dynamicRef"' in schema or '"$recursiveRef"' in schema:
            raise Declined("a schema with references")
        schemas = len(schema.encode())
    # The result of a call is headed by the function's name, which only the call mentions.
    name = max((_longest_name(item) for item in messages), default=0)
    return (
        RESERVE
        + text
        + (PER_MESSAGE + name) * (len(messages) + 1)
        + schemas * PER_SCHEMA_BYTE
        + len(tools) * PER_TOOL
    )


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())


def _longest_name(item: Any) -> int:
    if type(item) is not dict:
        return 0
    names = [item.get("name")]
    names += [call["function"].get("name") for call in item.get("tool_calls") or ()]
    return max(len(name.encode()) if type(name) is str else 0 for name in names)


def _require_text(message: Any) -> None:
    """A message of text, and of calls of functions, whose whole size is in what is given."""
    if type(message) is not dict:
        raise Declined("a message that is not a dict")
    if message.get("files") or "raw_tool_call_parts" in message:
        raise Declined("files or parts of another provider")
    content = message["content"]
    if content is not None and type(content) is not str:
        raise Declined("content that is not a text")
    for call in message.get("tool_calls") or ():
        if type(call) is not dict or type(call["function"].get("arguments")) is not str:
            raise Declined("a call with arguments that are not a text")


def _require_plain_client(client: Any, kind: Any) -> None:
    """The SDK's client over httpx's own transport: whoever put another one there may count the
    requests, or answer them with any number."""
    if client is None or type(client) is not kind:
        raise Declined("no client yet, or not the SDK's")
    if client.base_url.host != _OPENAI_HOST:
        raise Declined("a client of another server")
    http = client._client
    transport = http._transport
    httpx = sys.modules["httpx"]
    transports = {type(transport), *(type(t) for t in http._mounts.values() if t is not None)}
    if transports != {httpx.HTTPTransport} or any(http.event_hooks.values()):
        raise Declined("an HTTP client of the user's")
    pool = transport._pool
    for thing, package, names in (
        (client, "openai", ("post", "request")),
        (http, "httpx", ("send", "_send_handling_auth", "_send_single_request")),
        (transport, "httpx", ("handle_request",)),
        (pool, "httpcore", ("handle_request",)),
    ):
        for name in names:
            _require_own(thing, name, package)
    _require_own_count(client)


def _require_own(thing: Any, name: str, package: str) -> None:
    function = getattr(type(thing), name)
    if name in vars(thing) or not _is_of(function, package):
        raise Declined(f"patched: {name}")


def _is_of(function: Any, package: str) -> bool:
    if type(function) is not types.FunctionType:
        return False
    return str(function.__globals__.get("__name__")).partition(".")[0] == package


def _require_own_count(client: Any) -> None:
    """``client.responses.input_tokens.count``, without loading what nobody has used yet."""
    responses = vars(client).get("responses")
    tokens = vars(responses).get("input_tokens") if responses is not None else None
    module = sys.modules.get("openai.resources.responses.input_tokens")
    own = module.InputTokens if module is not None else None
    if own is not None and not _is_of(vars(own).get("count"), "openai"):
        raise Declined("patched: count")
    if responses is not None and type(responses).__module__.partition(".")[0] != "openai":
        raise Declined("patched: responses")
    if tokens is not None and (type(tokens) is not own or "count" in vars(tokens)):
        raise Declined("patched: input_tokens")


# Provider class → its proven Preflight; a class that is reloaded is another key.
_PROVEN: dict[type, Preflight] = {}


def _context(site: Site) -> Callable[..., Any]:
    owner: Any = site.namespace
    preflight = Preflight(site)
    _PROVEN[owner] = preflight
    original = site.original

    def fast(self: Any, messages: Any, tools: Any, response_model: Any) -> bool:
        if type(self) is not owner:
            raise Declined("another provider class")
        if getattr(super(owner, self), _CONTEXT_CHECK).__func__ is not original:
            raise Declined(f"patched: {_CONTEXT_CHECK}")
        preflight.fits(self, messages, tools, response_model, None)
        return False

    return fast


def _tool_result(site: Site) -> Callable[..., Any]:
    base = sys.modules[_BASE]

    def fast(self: Any, execution_result: Any) -> Any:
        try:
            llm = self.llm
        except Exception as error:
            raise Declined(f"{type(error).__name__} when looking for the model") from error
        preflight = _PROVEN.get(type(llm))
        # Switched off for the provider means switched off here too.
        if preflight is None or not is_ours(vars(preflight.owner).get(_CONTEXT_CHECK)):
            raise Declined("another provider class")
        try:
            result = execution_result["result"]
            share = base.TOOL_RESULT_CONTEXT_WINDOW_THRESHOLD
            plain = type(execution_result) is dict and type(result) is str and type(share) is float
            asked = (
                execution_result.get("tool_failure") is None
                and not getattr(execution_result.get("original_tool"), "result_as_answer", False)
                and self.use_better_compaction
            )
        except Exception as error:
            raise Declined(f"{type(error).__name__} when looking at the result") from error
        if not plain:
            raise Declined("not a text")
        if not asked:
            raise Declined("no request for this result")
        try:
            preflight.fits(llm, result, None, None, share)
        except Declined:
            raise
        except Exception:  # CrewAI hands the result on, too
            return result
        return result

    return fast


ROUTES = (
    Route(
        name="agents.token-preflight-openai",
        target=f"{_OPENAI}:OpenAICompletion.{_CONTEXT_CHECK}",
        why="one HTTP request less before each model call (N + 1 for N tool calls)",
        build=_context,
        reads=(
            f"{_OPENAI}:OpenAICompletion.get_input_tokens_count",
            f"{_OPENAI}:OpenAICompletion._on_compatible_server",
            f"{_OPENAI}:OpenAICompletion._format_messages",
            f"{_OPENAI}:OpenAICompletion._prepare_responses_params",
            f"{_OPENAI}:OpenAICompletion._to_responses_input",
            f"{_OPENAI}:OpenAICompletion._convert_tools_for_responses",
            f"{_OPENAI}:OpenAICompletion._get_sync_client",
            f"{_BASE}:BaseLLM.{_CONTEXT_CHECK}",
            f"{_BASE}:BaseLLM.get_input_tokens_count",
            f"{_BASE}:BaseLLM._format_messages",
            f"{_BASE}:BaseLLM._process_message_files",
            "crewai.utilities.message_utils:message_content_text",
        ),
    ),
    Route(
        name="agents.token-preflight-tool-result",
        target=f"{_EXECUTOR}._prepare_tool_result_for_context",
        why="one HTTP request less after each tool result (N for N tool calls)",
        build=_tool_result,
        reads=(f"{_BASE}:BaseLLM.{_RESULT_CHECK}",),
    ),
)
