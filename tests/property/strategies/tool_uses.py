"""Uses of tools whose arguments' models are changed between them, and names to find tools by."""

import asyncio
import inspect
import warnings
from types import SimpleNamespace
from unittest import mock

from crewai.tools import tool_usage
from crewai.tools.structured_tool import CrewStructuredTool
from crewai.tools.tool_calling import ToolCalling
from crewai.utilities import string_utils
from hypothesis import strategies as st

from strategies import models

keys = models.names | st.sampled_from(["own", "more1", "value", "x", "n", "held"])
arguments = st.none() | st.dictionaries(keys, st.integers(0, 2), max_size=4)
kinds = st.sampled_from(["plain"] * 6 + ["fails", "fails once", "structured", "no schema", "mock"])
uses = st.tuples(kinds, models.programs, st.lists(arguments, min_size=1, max_size=3))


class Tool:
    """Notes what it is called with."""

    name = "Some Tool"

    def __init__(self, model, failures, seen):
        self.args_schema, self.failures, self.seen = model, failures, seen

    def invoke(self, input, config):  # noqa: A002
        self.seen.append(("called", list(input.items()), config))
        if self.failures:
            self.failures -= 1
            raise ValueError("no")
        return "result"

    async def ainvoke(self, input, config):  # noqa: A002
        await asyncio.sleep(0)
        return self.invoke(input, config)

    def format_output_for_agent(self, result):
        return f"<{result}>"


def tool_of(kind, model, seen):
    if kind == "structured":
        return CrewStructuredTool(
            name="some tool",
            description="d",
            args_schema=model,
            func=lambda **given: seen.append(("function", list(given.items()))) or "result",
        )
    failures = {"fails": 9, "fails once": 1}.get(kind, 0)
    made = mock.MagicMock() if kind == "mock" else None if kind == "no schema" else model
    return Tool(made, failures, seen)


def use(function, example):
    """All that several uses show: results, calls of the tool, events, counts, warnings."""
    kind, (name, doc, spec, config, nested, todo), given = example
    try:
        model, own, held = models.build(name, doc, spec, config, nested)
    except Exception as error:
        return type(error)
    seen = []
    agent = SimpleNamespace(key="k", role="r", verbose=False, tools_results=[], id=1)
    action = SimpleNamespace(tool="Some Tool", tool_input="")
    todo = [("nothing", "", 0), *todo]
    with (
        mock.patch.object(tool_usage.crewai_event_bus, "emit", lambda _s, e: seen.append(told(e))),
        warnings.catch_warnings(record=True) as warned,
    ):
        warnings.simplefilter("always")
        for number, (step, word, choice) in enumerate(todo):
            try:
                model = models.change(model, own, held, step, word, choice)
                tool = tool_of(kind, model, seen)
            except Exception as error:
                seen.append(type(error))
                continue
            for arguments in given:
                usage = tool_usage.ToolUsage(None, [], None, None, agent=agent, action=action)
                usage.tools, usage._max_parsing_attempts = [tool], 1
                calling = ToolCalling.model_construct(tool_name="some_tool", arguments=arguments)
                try:
                    result = function(usage, "text", tool, calling)
                    if inspect.iscoroutine(result):
                        result = asyncio.run(result)
                    seen.append(result)
                except Exception as error:
                    seen.append((type(error), str(error)))
                seen.append((number, usage.last_failure, usage._run_attempts, arguments))
    seen.append([(w.category, str(w.message)) for w in warned])
    return repr((seen, agent))


def told(event):
    error = getattr(event, "error", None)
    context = [repr(error), repr(getattr(error, "__context__", None))]
    return type(event).__name__, repr(event.tool_args), getattr(event, "output", None), context


tool_names = st.sampled_from(["search", "Search", "search_web", "serch", "find", "", "é", "x" * 90])
odd_names = st.sampled_from(["x" * 300, "x" * 299 + "y", None, 3])
name_lists = st.lists(tool_names, max_size=4)
alterations = ["tuple", "generator", "matcher", "sanitizer", "counted", "long names"]
selections = st.one_of(
    st.tuples(tool_names, name_lists, st.just("list")),
    st.tuples(tool_names, st.lists(tool_names, max_size=4), st.sampled_from(alterations)),
    st.tuples(
        tool_names | odd_names,
        st.lists(tool_names | odd_names, max_size=4),
        st.sampled_from(["list", *alterations]),
    ),
    *(  # the usual case: ours answers it; Hypothesis takes one and the same strategy once only
        st.tuples(
            st.just("Search"),
            name_lists.map(lambda names: [*names, "search", "Search"]),
            st.just("list"),
        )
        for _ in range(3)
    ),
)


def select(function, example):
    """Which tool is found, and what is told when there is none."""
    wanted, names, kind = example
    seen = []

    tools = [SimpleNamespace(name=name) for name in names]
    given = {"tuple": tuple, "generator": iter}.get(kind, list)(tools)
    task = SimpleNamespace(increment_tools_errors=lambda: seen.append("error"))
    usage = tool_usage.ToolUsage.__new__(tool_usage.ToolUsage)
    usage.__dict__.update(tools=given, task=task, agent=None, tools_description="d")
    patches = [
        mock.patch.object(tool_usage.crewai_event_bus, "emit", lambda _s, e: seen.append(told(e)))
    ]
    if kind == "matcher":
        other = mock.Mock(return_value=mock.Mock(ratio=lambda: 0.9))
        patches.append(mock.patch.object(tool_usage, "SequenceMatcher", other))
    elif kind == "sanitizer":
        patches.append(mock.patch.object(tool_usage, "sanitize_tool_name", lambda name: "same"))
    elif kind == "counted":

        def counted(name):
            seen.append("sanitized")
            return string_utils.sanitize_tool_name(name)

        patches.append(mock.patch.object(tool_usage, "sanitize_tool_name", counted))
    elif kind == "long names":

        def longer(name):  # fmt: skip
            return string_utils.sanitize_tool_name(name, 400)

        patches.append(mock.patch.object(tool_usage, "sanitize_tool_name", longer))
    for patch in patches:
        patch.start()
    try:
        chosen = function(usage, wanted)
        found = [tool is chosen for tool in tools]
    except Exception as error:
        found = type(error), str(error)
    finally:
        for patch in patches:
            patch.stop()
    return found, seen
