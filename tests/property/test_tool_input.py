"""Arguments that json5 reads aren't repaired before: CrewAI throws the repair away."""

import inspect
import sys
from types import SimpleNamespace
from unittest import mock

import pytest
from crewai.tools.tool_usage import ToolUsage
from json_repair.json_parser import JSONParser

import fast_crewai


@pytest.fixture(scope="module", autouse=True)
def installed():
    fast_crewai.install()
    yield
    fast_crewai.uninstall()


def read(text, function=None):
    usage = ToolUsage.__new__(ToolUsage)
    usage.agent = SimpleNamespace(verbose=False)
    usage._emit_validate_input_error = lambda error: None
    return (function or ToolUsage._validate_tool_input)(usage, text)


@pytest.fixture
def parsed():
    with mock.patch.object(
        JSONParser, "parse", autospec=True, side_effect=JSONParser.parse
    ) as seen:
        yield seen


@pytest.mark.parametrize("text", ["{'a': true}", "{a: true, b: [1, null]}", '{"a": true,}'])
def test_what_json5_reads_is_not_repaired(parsed, text):
    found = read(text)
    assert parsed.call_count == 0
    assert found == read(text, ToolUsage._validate_tool_input.__wrapped__)
    assert parsed.call_count == 1
    assert read(text) is not read(text)


@pytest.mark.parametrize("text", ['{"a": true', "{'a': True, 'b': tru}", "{a: 'x' 1}"])
def test_what_it_does_not_read_is_repaired_once(parsed, text):
    found = read(text)
    assert parsed.call_count == 1
    assert found == read(text, ToolUsage._validate_tool_input.__wrapped__)
    assert parsed.call_count == 3


def test_a_failing_repair_is_crewais_to_report():
    with mock.patch.object(JSONParser, "parse", side_effect=LookupError("no")):
        for function in (
            ToolUsage._validate_tool_input,
            ToolUsage._validate_tool_input.__wrapped__,
        ):
            with pytest.raises(LookupError, match="no"):
                read('{"a": true', function)


LONG = '{"a": [' + '{"b": true, "c": "d"}, ' * 60 + '{"b'


def chain(function):
    """What is raised, and in the context of what."""
    seen = []
    try:
        read(LONG, function)
    except LookupError as error:
        found = error
        while found is not None:
            seen.append((type(found), str(found)))
            found = found.__context__
    return seen


def test_a_failing_repair_is_raised_in_the_context_of_pythons_word_on_the_literal():
    with mock.patch.object(JSONParser, "parse", side_effect=LookupError("no")):
        ours, theirs = chain(None), chain(ToolUsage._validate_tool_input.__wrapped__)
    assert ours == theirs
    assert [kind for kind, _ in ours] == [LookupError, SyntaxError]
    with mock.patch.object(JSONParser, "parse", side_effect=LookupError("no")):
        try:
            raise OSError("before")
        except OSError:
            assert chain(None) == [*theirs, (OSError, "before")]


def test_python_is_not_asked_whether_what_is_cut_off_is_a_literal():
    with mock.patch("builtins.compile", side_effect=AssertionError):
        found = read(LONG)
        for text in (LONG + '"}', LONG.replace("d", "\\d"), "(" + LONG, LONG[:900]):
            with pytest.raises(AssertionError):
                read(text)
    assert found == read(LONG, ToolUsage._validate_tool_input.__wrapped__)
    with mock.patch("ast.literal_eval", return_value={"is": "patched"}):
        assert read(LONG) == {"is": "patched"}


@pytest.mark.parametrize("text", ["{'a': 1}", LONG])
def test_a_replaced_parser_of_pythons_is_asked(text):
    for name in ("ast.parse", "ast.literal_eval"):
        with mock.patch(name, side_effect=LookupError("no")):
            found = [
                _outcome(text, None),
                _outcome(text, ToolUsage._validate_tool_input.__wrapped__),
            ]
        assert found[0] == found[1]


def _outcome(text, function):
    try:
        return read(text, function)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    "text",
    [
        *('{"a": [1,,"\\n"]}', '{"a": [,"\\n"]}', '{"a": [1,,2]}', '{"a": [,2]}'),
        *('{"a": [[],,{}]}', '{"a": [1, ,2,\xa0]}', '{"a": [,,]}'),
    ],
)
def test_nothing_between_two_commas(text, parsed):
    ours = read(text)
    count = parsed.call_count
    assert ours == read(text, ToolUsage._validate_tool_input.__wrapped__)
    assert count > 0


@pytest.mark.parametrize(
    "text",
    ["{'a': 1, 'b': [None, True]}", "[" + "{'a': 1}, " * 200 + "]}", LONG, '{"a": [1, 2,'],
    ids=range(4),
)
def test_near_the_end_of_the_stack(text):
    original = ToolUsage._validate_tool_input.__wrapped__

    def below(frames, function):
        return below(frames - 1, function) if frames else _outcome(text, function)

    room = sys.getrecursionlimit() - len(inspect.stack())
    for frames in range(room - 330, room - 12, 3):
        try:
            theirs = below(frames, original)
        except RecursionError:
            continue
        if type(theirs) is dict:
            assert below(frames - 12, None) == theirs
