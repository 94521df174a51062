"""Token counts that can't matter: the bound, the requests that are left, and what forbids it."""

import asyncio
import copy
import sys
from types import SimpleNamespace
from unittest import mock

import httpx
import openai
import pytest
from crewai import LLM, Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from crewai.llms.hooks.base import BaseInterceptor
from crewai.llms.providers.openai.completion import OpenAICompletion
from crewai.tools import tool
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_server import ModelServer, Reply, ToolCall
from strategies import preflight

import fast_crewai
from fast_crewai import engine
from fast_crewai._core import Declined
from fast_crewai.hooks.areas.token_preflight import upper_bound

SETTINGS = settings(
    max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
CONTEXT = "agents.token-preflight-openai"
RESULT = "agents.token-preflight-tool-result"
COUNT = "/v1/responses/input_tokens"
CHAT = "/v1/chat/completions"


@pytest.fixture
def installed():
    fast_crewai.install()
    yield engine.registry().states
    fast_crewai.uninstall()


@SETTINGS
@given(
    st.sampled_from((*preflight.FAST, "structured")),
    preflight.conversations | preflight.texts(7500),
    st.none() | st.lists(preflight.tools, max_size=3),
    st.sampled_from([None, None, preflight.Answer]),
)
def test_no_count_is_above_the_bound(kind, messages, tools, response_model):
    llm = preflight.llm(kind)
    params = llm._prepare_responses_params(
        llm._format_messages(copy.deepcopy(messages), file_api="responses"), tools, response_model
    )
    names = ("model", "input", "instructions", "text", "tools")
    sent = {name: params[name] for name in names if name in params}
    try:
        bound = upper_bound(sent)
    except (UnicodeEncodeError, Declined):  # lone surrogates, which can't be sent; "$ref"
        return
    assert bound >= preflight.worst_count(sent)
    text = messages if isinstance(messages, str) else "".join(m["content"] or "" for m in messages)
    assert bound > (len(text) + 3) // 4  # CrewAI's estimate where a request fails


@tool("add")
def add(a: int, b: int) -> str:
    """Add numbers."""
    return str(a + b)


def add_five_times(request):
    done = len(request.tool_results)
    return Reply(tool_calls=(ToolCall("add", {"a": done, "b": 1}),)) if done < 5 else Reply("done")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # CrewAI's own
@pytest.mark.parametrize("kickoff", ["kickoff", "akickoff"])
@pytest.mark.parametrize("on", [True, False])
def test_requests_of_a_crew(kickoff, on):
    fast_crewai.install()
    states = engine.registry().states
    before = [states[name].tally.calls - states[name].tally.fallbacks for name in (CONTEXT, RESULT)]
    if not on:
        fast_crewai.uninstall()
    try:
        with ModelServer([add_five_times], alias="api.openai.com") as server:
            llm = made(LLM, model="openai/gpt-4o-mini", base_url=server.base_url)
            agent = Agent(role="Adder", goal="Add", backstory="-", llm=llm, tools=[add])
            task = Task(description="Add.", expected_output="A number", agent=agent)
            crew = Crew(agents=[agent], tasks=[task])
            output = crew.kickoff() if kickoff == "kickoff" else asyncio.run(crew.akickoff())
            counts = server.counts
    finally:
        after = [
            states[name].tally.calls - states[name].tally.fallbacks for name in (CONTEXT, RESULT)
        ]
        fast_crewai.uninstall()
    assert output.raw == "done"
    assert counts == ({CHAT: 6} if on else {CHAT: 6, COUNT: 11})
    assert [b - a for a, b in zip(before, after, strict=True)] == ([6, 5] if on else [0, 0])


class Overriding(OpenAICompletion):
    def get_input_tokens_count(self, messages, tools=None, response_model=None):
        return 10**9


class Seen(BaseInterceptor):
    def on_outbound(self, message):
        return message

    def on_inbound(self, message):
        return message


def overflows(request):
    return httpx.Response(200, json={"object": "response.input_tokens", "input_tokens": 10**9})


CLIENTS = []


@pytest.fixture(autouse=True)
def closed():
    """Connections left open would warn when they are collected, in whatever test that is."""
    yield
    while CLIENTS:
        CLIENTS.pop().close()


def made(kind=OpenAICompletion, **options):
    options = {"model": "gpt-4", "base_url": preflight.server().base_url, **options}
    llm = kind(api_key="sk-none", max_retries=0, **options)
    CLIENTS.append(llm._client)
    return llm


def made_with(base_url=None, **options):
    """Over an HTTP client of the user's."""
    llm = made()
    http, url = httpx.Client(**options), base_url or preflight.server().base_url
    llm._client = openai.OpenAI(api_key="sk-none", max_retries=0, base_url=url, http_client=http)
    CLIENTS.append(llm._client)
    return llm


def patched_module():
    return mock.patch("openai.resources.responses.input_tokens.InputTokens.count", HUGE)


def patched_instance(llm):
    llm._client.responses.input_tokens.count = HUGE
    return mock.MagicMock()


HUGE = mock.Mock(return_value=SimpleNamespace(input_tokens=10**9))
PATCHES = {
    "a class that overrides the count": (lambda: made(Overriding), None),
    "a transport of the user's": (
        lambda: made_with(transport=httpx.MockTransport(overflows)),
        None,
    ),
    "a mounted transport": (
        lambda: made_with(mounts={"http://": httpx.MockTransport(overflows)}),
        None,
    ),
    "the count of the class": (
        made,
        lambda llm: mock.patch.object(OpenAICompletion, "get_input_tokens_count", HUGE_NUMBER),
    ),
    "the count of the instance": (
        made,
        lambda llm: mock.patch.dict(llm.__dict__, {"get_input_tokens_count": HUGE_NUMBER}),
    ),
    "the window of the class": (
        made,
        lambda llm: mock.patch.object(OpenAICompletion, "get_context_window_size", lambda self: 1),
    ),
    "the client": (
        made,
        lambda llm: mock.patch.dict(llm.__dict__, {"_get_sync_client": lambda: HUGE_CLIENT}),
    ),
    "the SDK's class": (made, lambda llm: patched_module()),
    "the SDK's instance": (made, patched_instance),
    "the SDK's post": (
        made,
        lambda llm: mock.patch.object(
            type(llm._client), "post", lambda *a, **k: SimpleNamespace(input_tokens=10**9)
        ),
    ),
    "httpx": (
        made,
        lambda llm: mock.patch.object(
            httpx.HTTPTransport, "handle_request", lambda self, request: overflows(request)
        ),
    ),
}
HUGE_NUMBER = mock.Mock(return_value=10**9)
HUGE_CLIENT = mock.MagicMock()
HUGE_CLIENT.responses.input_tokens.count.return_value.input_tokens = 10**9


@pytest.mark.parametrize("what", PATCHES)
def test_what_stands_in_is_asked(installed, what):
    """Everything that may answer something else than OpenAI's server would does so."""
    make, patch = PATCHES[what]
    llm = make()
    assert llm.get_context_window_size() == 6963
    with patch(llm) if patch else mock.MagicMock():
        assert llm.is_context_window_overflowing_threshold([{"role": "user", "content": "hi"}])
        executor = SimpleNamespace(llm=llm, use_better_compaction=True)
        with pytest.raises(AttributeError, match="_tool_result_artifact_store"):  # too long
            engine.registry().states[RESULT].dispatcher.attribute(
                executor, {"result": "hi", "tool_failure": None}
            )


@pytest.mark.parametrize("name", [CONTEXT, RESULT, "agents"])
def test_switched_off_by_name(name):
    from fast_crewai.config import Settings

    fast_crewai.install()
    states = engine.registry().states
    asked = preflight.server().counts.get(COUNT, 0)
    try:
        engine.registry().configure(Settings(disabled=frozenset({name})))
        llm = made()
        assert not llm.is_context_window_overflowing_threshold([{"role": "user", "content": "hi"}])
        assert preflight.server().counts.get(COUNT, 0) - asked == (name != RESULT)
        from crewai.agents.agent_executor import AgentExecutor

        executor = SimpleNamespace(llm=llm, use_better_compaction=True)
        execution = {"result": "hi", "tool_failure": None}
        assert AgentExecutor._prepare_tool_result_for_context(executor, execution) == "hi"
        # Switching the provider off stops both: nothing else knows that class.
        assert preflight.server().counts.get(COUNT, 0) - asked == (1 if name == RESULT else 2)
    finally:
        engine.registry().configure(Settings())
        fast_crewai.uninstall()
    assert states[CONTEXT].dispatcher is None


def test_users_who_ask_are_answered(installed):
    llm, server = made(), preflight.server()
    asked = server.counts.get(COUNT, 0)
    expected = preflight.worst_count({"input": [{"role": "user", "content": "hello"}]})
    assert llm.get_input_tokens_count("hello") == expected
    assert llm.is_tool_result_overflowing_threshold("hello") == (False, expected)
    assert server.counts[COUNT] == asked + 2


def test_interceptors_hooks_and_other_servers_see_every_request(installed):
    seen = []
    hooked = made_with(event_hooks={"request": [seen.append]})
    elsewhere = made_with(preflight.server().base_url.replace("api.openai.com", "localhost"))
    intercepted = made(interceptor=Seen())
    asked = preflight.server().counts.get(COUNT, 0)
    for llm in (hooked, intercepted, elsewhere):
        assert not llm.is_context_window_overflowing_threshold("hi")
    assert preflight.server().counts[COUNT] == asked + 3
    assert len(seen) == 1


def test_patches_of_the_base_class(installed):
    llm = made()
    with mock.patch.object(BaseLLM, "is_context_window_overflowing_threshold", lambda *_: "ours"):
        assert llm.is_context_window_overflowing_threshold("hi") == "ours"
    with mock.patch.object(BaseLLM, "is_tool_result_overflowing_threshold", lambda *_: (True, 1)):
        executor = SimpleNamespace(llm=llm, use_better_compaction=True)
        with pytest.raises(AttributeError, match="_tool_result_artifact_store"):
            engine.registry().states[RESULT].dispatcher.attribute(
                executor, {"result": "hi", "tool_failure": None}
            )


def test_without_a_key_the_original_builds_the_client(installed):
    with mock.patch.dict("os.environ", {}, clear=False) as environment:
        environment.pop("OPENAI_API_KEY", None)
        llm = OpenAICompletion(model="gpt-4", base_url=preflight.server().base_url)
        assert llm._client is None
        environment["OPENAI_API_KEY"] = "sk-late"
        assert not llm.is_context_window_overflowing_threshold("hi")
    assert llm.api_key == "sk-late"
    assert llm._client is not None
    CLIENTS.append(llm._client)


def test_count_resources_are_not_loaded_for_nothing(installed):
    llm = made()
    assert not llm.is_context_window_overflowing_threshold("hi")
    assert "responses" not in vars(llm._client)
    assert "openai" in sys.modules
