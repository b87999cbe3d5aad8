"""Lines below a table: indented text that wraps, and lines that stay whole to be copied."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text


@dataclass(frozen=True)
class Indented:
    """Text that wraps at the right edge, each of its lines behind the same margin; it is never markup.

    Unlike rich's padding it leaves no spaces at line ends, which would end up in files and mails.
    """

    text: str
    style: str = ""
    margin: str = "  "

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(options.max_width - len(self.margin), 10)
        for line in Text(self.text, overflow="fold").wrap(console, width, overflow="fold") or [Text()]:
            line.rstrip()
            yield Text(f"{self.margin}{line.plain}".rstrip(), style=self.style, no_wrap=True, overflow="ignore")


def unwrapped(text: str, style: str = "") -> Text:
    """Keep commands and paths in one piece, however long they are; print with `crop=False`."""
    return Text(text, style=style, no_wrap=True, overflow="ignore")


@dataclass(frozen=True)
class Stripped:
    """Whatever is drawn, without the spaces that only fill up its lines."""

    inner: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in console.render_lines(self.inner, options, pad=False):
            while line and not line[-1].text.strip():
                line.pop()
            yield from line[:-1]
            yield from (Segment(last.text.rstrip(), last.style) for last in line[-1:])
            yield Segment.line()
