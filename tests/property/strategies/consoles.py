"""Consoles, panels as CrewAI makes them and as it doesn't, and what is printed of them."""

import io
import re
from typing import Any
from unittest import mock

from crewai_core.printer import set_suppress_console_output
from hypothesis import strategies as st
from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.style import Style
from rich.text import Text
from rich.theme import Theme


def _mostly(usual: st.SearchStrategy[Any], odd: st.SearchStrategy[Any], of: int = 12) -> Any:
    return st.sampled_from([usual] * (of - 1) + [odd]).flatmap(lambda chosen: chosen)


_WORDS = st.text("abc xyz.,[](){}:#0123456789", max_size=30) | st.sampled_from(
    [
        "", " ", "\n", "\n\n", "  \n  ", "long" * 40, "word " * 40, "[bold]x[/bold]", ":smile:",
        "\x1b[31mred\x1b[0m", "\x1b", "\x00", "\x07bell", "a\rb", "a\tb", "\u2028", "\x85",
        "日本語のテキスト", "日本 " * 30, "e\u0301", "🚀", "⚠️", "🛡️ ", "👩\u200d🚀", "\u200d",
        "\ufe0f",
        "❤\ufe0f" * 45, "👩\u200d👩 " * 30, "naïve façade", "\u00ad", "\u200b",
        " " * 90, "x" + " " * 90,
        "{'a': 1, 'b': 'text'}", "\u3000", "trailing   ", "\ud800",
    ]
)  # fmt: skip
_PLAIN = st.text("abc xyz.,[](){}:#0123456789", max_size=60) | st.sampled_from(
    ["\n", "\n\n", "\x1b[31mred\x1b[0m", "word " * 40, "long" * 40, " " * 90, "\x00"]
)
_LINES = st.lists(_WORDS, max_size=4).map("".join)
_PLAIN_LINES = st.lists(_PLAIN, max_size=4).map("".join)
_STYLES = st.sampled_from(
    ["white", "yellow", "yellow ", "yellow bold", "bright_green", "green", "dim", ""] * 2
    + ["none", "no such style", "repr.number", "link http://x", None, Style(color="red")]
)
_TITLES = _mostly(
    st.sampled_from(
        ["🔧 Tool Execution Started (#1)", "✅ Tool Completed", "⚠️ Failure", "Tool Output", "x"]
    ),
    st.sampled_from(["", "[b]x[/b]", "[/]", ":smile:", "a\nb", "a\tb", "long " * 30, "日本" * 20])
    | st.sampled_from(["\u200d", None])
    | st.text(max_size=12),
)


def _text(base: Any, parts: list[tuple[str, Any]], damage: str) -> Any:
    text = Text(style=base or "")
    for words, style in parts:
        text.append(words, style=style)
    if damage == "overlap":
        text.stylize("bold", 0, 5)
    elif damage == "joined":
        return Text("A", style="red").append_text(text)
    elif damage == "centred":
        text.justify = "center"
    elif damage == "cropped":
        text.overflow = "ellipsis"
    elif damage == "string":
        return text.plain
    elif damage == "panel":
        return Panel(text)
    return text


_TEXTS = st.builds(
    _text,
    st.sampled_from([None] * 8 + ["bright_green", "none"]),
    st.lists(st.tuples(_PLAIN_LINES, _STYLES), max_size=6)
    | st.lists(st.tuples(_LINES, _STYLES), max_size=6),
    _mostly(
        st.just("none"),
        st.sampled_from(["overlap", "joined", "centred", "cropped", "string", "panel"]),
    ),
)
_UNUSUAL: list[dict[str, Any]] = [
    {"box": box.DOUBLE}, {"expand": False}, {"width": 30}, {"height": 9}, {"style": "red"},
    {"padding": 1}, {"padding": (0, 1)}, {"subtitle": "s"}, {"title_align": "left"},
    {"highlight": True}, {"title": Text("a", style="red")}, {"safe_box": False},
]  # fmt: skip
_PANELS = st.builds(
    lambda text, title, border, unusual: Panel(
        text, **{"title": title, "border_style": border, "padding": (1, 2), **unusual}
    ),
    _TEXTS,
    _TITLES,
    st.sampled_from(["yellow", "green", "red", "bright_magenta", "none"] * 4 + ["no such"]),
    _mostly(st.just({}), st.sampled_from(_UNUSUAL)),
)
_FILES = ["utf-8"] * 12 + [None] * 6 + ["utf-16", "ascii", "latin-1"]


def _console(
    options: dict[str, Any], encoding: Any, environment: dict[str, str], damage: str
) -> tuple[Any, Any]:
    written = io.BytesIO()
    file: Any = io.StringIO()
    if encoding:
        file = io.TextIOWrapper(written, encoding=encoding, newline="")
    console = Console(file=file, _environ=environment, **options)
    if damage == "style":
        console.style = "red"
    elif damage == "soft":
        console.soft_wrap = True
    elif damage == "hook":
        hook = mock.Mock()
        hook.process_renderables = lambda renderables: [*renderables, "after"]
        console.push_render_hook(hook)
    elif damage == "theme":
        console.push_theme(Theme({"none": "on red"}))
    elif damage == "colours":
        console.push_theme(Theme({"yellow": "green", "white": "bold"}))
    elif damage == "render":
        console.render = lambda *_: []
    elif damage == "closed":
        file.close()
    return console, file if not encoding else written


_CONSOLES = st.tuples(
    st.fixed_dictionaries(
        {"width": _mostly(st.integers(24, 120) | st.just(None), st.sampled_from([0, 1, 5, 23]))},
        optional={
            "force_terminal": st.booleans(),
            "color_system": st.sampled_from([None, "standard", "256", "truecolor"]),
            "no_color": st.booleans(),
            "legacy_windows": _mostly(st.just(False), st.just(True)),
            "record": _mostly(st.just(False), st.just(True)),
            "quiet": _mostly(st.just(False), st.just(True)),
        },
    ),
    st.sampled_from(_FILES),
    st.sampled_from(
        [{}] * 4 + [{"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}, {"TERM": "dumb"}, {"COLUMNS": "50"}]
    ),
    _mostly(
        st.just("none"),
        st.sampled_from(["style", "soft", "hook", "theme", "theme", "colours", "render", "closed"]),
        of=5,
    ),
)
_OTHERS: list[Any] = [(("text",), {}), (("a", "b"), {}), ((), {"end": ""}), ((Text("x"),), {})]
_PRINTS = st.lists(
    _mostly(
        _mostly(_PANELS.map(lambda panel: ((panel,), {})), st.just(((), {})), of=3),
        st.sampled_from(_OTHERS),
    ),
    min_size=1,
    max_size=3,
)
prints = st.tuples(
    _CONSOLES,
    _PRINTS,
    st.sampled_from([(False, False)] * 8 + [(True, False), (False, True), (True, True)]),
    st.sampled_from(["plain"] * 6 + ["captured", "nested"]),
)


def observe(function: Any, example: Any) -> Any:
    """What is written, raised and left by a formatter that prints panels."""
    from crewai.events.utils.console_formatter import ConsoleFormatter

    settings, todo, (quiet, streaming), around = example
    console, written = _console(*settings)
    formatter: Any = ConsoleFormatter.__new__(ConsoleFormatter)
    formatter.console, formatter._is_streaming = console, streaming
    seen: list[Any] = []
    token: Any = set_suppress_console_output(quiet)
    try:
        for arguments, options in todo:
            try:
                if around == "captured":
                    with console.capture() as capture:
                        function(formatter, *arguments, **options)
                    seen.append(capture.get())
                elif around == "nested":
                    with console:
                        console.print("before")
                        function(formatter, *arguments, **options)
                else:
                    function(formatter, *arguments, **options)
            except Exception as error:
                seen.append((type(error), str(error)))
            seen.append("".join(segment.text for segment in console._buffer))
    finally:
        token.var.reset(token)
    if console.record:
        seen.append(console.export_html(clear=False))
    if not written.closed:
        if isinstance(written, io.StringIO):
            seen.append(written.getvalue())
        else:
            console.file.flush()
            seen.append(written.getvalue().decode(console.file.encoding, "backslashreplace"))
    return re.sub(r"8;id=\d+-?\d*;", "8;", repr(seen))  # each time another one
