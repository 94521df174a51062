"""The panels of verbose runs: as Rich prints them, without its general machinery.

Rich cuts a panel into segments, crops and pads them at three levels, and measures each at every
one. All panels of CrewAI have one shape; their lines are made here directly, wrapped by Rich's own
function. Writing stays Rich's: encoding, colours, captures, locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from fast_crewai._core import Declined
from fast_crewai.hooks.route import Route, Site, locate

_MODULE = "crewai.events.utils.console_formatter"
_NARROW = 24  # Rich drops parts of narrower panels
_PADDING = (1, 2)

# What is inlined, and compared at each call: any of it may be patched.
_INLINED = (
    "rich.console:Console.print",
    "rich.console:Console.render",
    "rich.console:Console.render_lines",
    "rich.console:Console._collect_renderables",
    "rich.console:Console.options",
    "rich.panel:Panel.__rich_console__",
    "rich.panel:Panel._title",
    "rich.padding:Padding.__rich_console__",
    "rich.text:Text.__rich_console__",
    "rich.text:Text.wrap",
    "rich.text:Text.split",
    "rich.text:Text.divide",
    "rich.text:Text.join",
    "rich.text:Text.render",
    "rich.text:Text.truncate",
    "rich.text:Text.rstrip_end",
    "rich.segment:Segment.split_and_crop_lines",
    "rich.segment:Segment.adjust_line_length",
)
_READ = (
    "rich.text:Text.append",
    "rich.text:Text.append_text",
    "rich.text:Text.assemble",
    "rich.text:Text.copy",
    "rich.text:Text.from_markup",
    "rich.text:Text.pad",
    "rich.text:Text.right_crop",
    "rich.text:Text.stylize_before",
    "rich.containers:Lines.justify",
    "rich.markup:render",
    "rich._emoji_replace:_emoji_replace",
    "rich.style:Style.combine",
    "rich.style:Style.render",
    "rich.console:Console._render_buffer",
    "rich.console:ConsoleOptions.update",
    "rich.console:NewLine.__rich_console__",
    "rich.box:Box.substitute",
    "rich.box:Box.get_bottom",
    "rich.cells:cell_len",
    "rich._wrap:divide_line",
)
_METHODS = frozenset(name.rpartition(".")[2] for name in _INLINED if ":Console." in name)

_PANEL: dict[str, Any] = {
    "title_align": "center", "subtitle": None, "safe_box": None, "expand": True, "style": "none",
    "width": None, "height": None, "padding": _PADDING, "highlight": False,
}  # fmt: skip
_TEXT: dict[str, Any] = {
    "justify": None, "overflow": None, "no_wrap": None, "end": "\n", "tab_size": None,
}  # fmt: skip
_CONSOLE: dict[str, Any] = {
    "is_jupyter": False, "record": False, "legacy_windows": False, "soft_wrap": False,
    "style": None, "_render_hooks": [], "quiet": False,
}  # fmt: skip

Pieces = list[tuple[str, Any]]


def _print(site: Site) -> Callable[..., Any]:
    import rich.text
    from rich import box
    from rich.console import Console
    from rich.panel import Panel
    from rich.segment import Segment
    from rich.style import Style
    from rich.text import Text

    module, text = site.module, cast("Any", rich.text)
    suppressed = module.should_suppress_console_output
    rounded, null = box.ROUNDED, Style.null()
    sites = [locate(target) for target in _INLINED]
    inlined = [(vars(site.namespace), site.name, site.original) for site in sites]
    panel_names, newline = vars(Panel("")).keys(), Segment("\n")

    def plain_console(console: Any) -> None:
        """Raise Declined unless it prints as Rich's consoles do."""
        if type(console) is not Console:
            raise Declined("another console")
        state = vars(console)
        if not _METHODS.isdisjoint(state):
            raise Declined("patched: console")
        for name, value in _CONSOLE.items():
            if state[name] != value:
                raise Declined(f"console with {name}")
        for namespace, name, original in inlined:
            if namespace.get(name) is not original:
                raise Declined(f"patched: {name}")
        if not console.encoding.startswith("utf"):
            raise Declined("not a Unicode console")
        if console.get_style("none") != null:
            raise Declined("another theme")

    def ranges(plain: str, width: int) -> Iterator[tuple[int, int]]:
        """The lines of a text, wrapped: start and end of each."""
        start = 0
        for line in plain.split("\n"):
            if len(line) <= width and line.isascii():  # no character is wider than one cell
                yield start, start + len(line)
            else:
                offsets = text.divide_line(line, width, fold=True)
                for begin, end in zip([0, *offsets], [*offsets, len(line)], strict=True):
                    piece = line[begin:end]
                    excess = len(piece) - width
                    if excess > 0:
                        blank = len(piece) - len(piece.rstrip())
                        end -= min(blank, excess)
                        piece = line[begin:end]
                    if text.cell_len(piece) > width:
                        raise Declined("a line that doesn't fit")
                    yield start + begin, start + end
            start += len(line) + 1

    def spans_of(content: Any, console: Any) -> list[tuple[int, int, Any]]:
        default = null
        if content.style:
            if content._spans:
                raise Declined("styles on styles")
            return [(0, len(content.plain), console.get_style(content.style, default=default))]
        spans, last = [], 0
        for start, end, style in content._spans:
            if not last <= start <= end:
                raise Declined("styles on styles")
            spans.append((start, end, console.get_style(style, default=default)))
            last = end
        return spans

    def lines_of(content: Any, console: Any, width: int) -> Iterator[tuple[Pieces, int]]:
        """The segments of each line, and the cells that are left."""
        plain: str = content.plain
        spans = spans_of(content, console)
        first, count = 0, len(spans)
        for start, end in ranges(plain, width):
            while first < count and spans[first][1] <= start:
                first += 1
            pieces: Pieces = []
            at, index = start, first
            while index < count and spans[index][0] < end:
                begin, stop, style = spans[index]
                begin, stop = max(begin, start), min(stop, end)
                if begin > at:
                    pieces.append((plain[at:begin], None))
                if stop > begin:
                    pieces.append((plain[begin:stop], style))
                    at = stop
                index += 1
            if end > at:
                pieces.append((plain[at:end], None))
            left = width - sum(text.cell_len(piece) for piece, _ in pieces)
            if left < 0:
                raise Declined("a line that doesn't fit")
            yield pieces, left

    def top(title: Any, width: int) -> list[str]:
        if type(title) is not str or not title or not title.isprintable():
            raise Declined("a title of another kind")
        if "[" in title or ":" in title:
            raise Declined("a title with markup")
        title = f" {title} "
        excess = width - 4 - text.cell_len(title)
        if excess < 0:
            raise Declined("a long title")
        left = excess // 2
        parts = ["╭─", "─" * left, title, "─" * (excess - left), "─╮"]
        return [part for part in parts if part]

    def colourless(content: Any, console: Any, width: int) -> Iterator[str]:
        """The lines as text, padded, without frame."""
        plain: str = content.plain
        if plain.isascii():
            spans_of(content, console)
            for start, end in ranges(plain, width):
                line = plain[start:end]
                cells = len(line) if line.isprintable() else text.cell_len(line)
                yield line + " " * (width - cells)
        else:
            for pieces, left in lines_of(content, console, width):
                yield "".join(piece for piece, _ in pieces) + " " * left

    def panel_segments(panel: Any, console: Any) -> list[Any]:
        if type(panel) is not Panel:
            raise Declined("not a panel")
        state, content = vars(panel), panel.renderable
        if state.keys() != panel_names or state["box"] is not rounded:
            raise Declined("a panel of another kind")
        for name, value in _PANEL.items():
            if state[name] != value:
                raise Declined("a panel of another kind")
        if type(content) is not Text or any(getattr(content, k) != v for k, v in _TEXT.items()):
            raise Declined("a panel of something else")
        if "\t" in content.plain:
            raise Declined("tabs")
        width = console.size.width
        if width < _NARROW:
            raise Declined("a narrow console")
        border = console.get_style(panel.border_style)
        inner = width - 6
        blank, bottom = " " * (width - 2), f"╰{'─' * (width - 2)}╯"
        head = top(panel.title, width)
        if console._color_system is None:
            lines = colourless(content, console, inner)
            body = "".join([f"│  {line}  │\n" for line in lines])
            blank = f"│{blank}│\n"
            return [Segment(f"{''.join(head)}\n{blank}{body}{blank}{bottom}\n")]
        side = Segment("│", border)
        empty = [side, Segment(blank), side, newline]
        segments = [Segment(part, border) for part in head]
        segments += [newline, *empty]
        margin = Segment("  ")
        for pieces, left in lines_of(content, console, inner):
            segments += (side, margin)
            segments += [Segment(piece, style) for piece, style in pieces]
            if left:
                segments.append(Segment(" " * left))
            segments += (margin, side, newline)
        segments += empty
        segments += (Segment(bottom, border), newline)
        return segments

    def fast(self: Any, *renderables: Any, **options: Any) -> None:
        if options or len(renderables) > 1:
            raise Declined("not one panel")
        if module.should_suppress_console_output is not suppressed:
            raise Declined("patched: should_suppress_console_output")
        if suppressed() or (not renderables and self._is_streaming):
            return
        console = self.console
        try:
            plain_console(console)
            if renderables:
                segments = panel_segments(renderables[0], console)
            elif console.size.width < 1:
                raise Declined("a narrow console")
            else:
                segments = [newline]
        except Declined:
            raise
        except Exception as error:  # Rich meets it, too
            raise Declined(f"{type(error).__name__} when looking at the panel") from error
        with console:
            console._buffer.extend(segments)

    return fast


ROUTES = (
    Route(
        name="events.console-panels",
        target=f"{_MODULE}:ConsoleFormatter.print",
        why="Rich's general layout of panels is more than half of a verbose step",
        build=_print,
        reads=("crewai_core.printer:should_suppress_console_output", *_INLINED, *_READ),
    ),
)
