"""The live screen: a header, one line per shown host, and a line that sums up the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from plugins.output.board import Board, HostState, Row
from plugins.output.text import MORE, duration, fit, fit_name, one_line, plural, status_word
from plugins.steps import Status

_STYLES = {
    HostState.WAITING: "dim",
    HostState.RUNNING: "cyan",
    HostState.FAILED: "bold red",
    HostState.DONE: "green",
}
_NUMBER = 6  # cells of one count column
_TIME = 8
_FIXED_LINES = 4  # header, headings, the summed-up rest, and the line the cursor stands on
_NARROW = 70  # cells; below, the role gives its place to the step


@dataclass(frozen=True)
class _Widths:
    host: int
    role: int
    stage: int
    step: int


def screen(board: Board, *, width: int, height: int) -> Text:
    """Draw the board into at most `height - 1` lines of `width` cells, whatever the number of hosts."""
    shown = board.show(max(height - _FIXED_LINES, 1))
    widths = _widths(board, width)
    rows = (_row(row, widths, board) for row in shown.rows)
    return Text("\n", no_wrap=True, overflow="crop").join(
        [_header(board, width), _headings(widths, dry_run=board.plan.dry_run), *rows, *_rest(shown.hidden)]
    )


def _header(board: Board, width: int) -> Text:
    """Title and cluster give way before the numbers do."""
    plan, totals = board.plan, board.totals()
    over = totals[HostState.DONE] + totals[HostState.FAILED]
    failed = f", {totals[HostState.FAILED]} failed" if totals[HostState.FAILED] else ""
    numbers = f"  {duration(board.clock() - board.started)}  {over}/{plural(len(plan.hosts), 'host')} done{failed}"
    flag = "  DRY RUN" if plan.dry_run else ""
    title = one_line(f"{plan.title} · cluster {plan.cluster}")
    room = width - cell_len(numbers) - cell_len(flag)
    title = title if cell_len(title) <= room else fit(title, max(room, 0))
    return Text.assemble((title, "bold"), (flag, "bold yellow"), (numbers, "bold red" if failed else ""))


def _widths(board: Board, width: int) -> _Widths:
    """Share the line out: names and stages get what they need within bounds, the step gets the rest."""
    plan = board.plan
    host = min(_longest("host", plan.hosts), max(width // 4, 8))
    role = 0 if width < _NARROW else _longest("role", plan.hosts.values())
    stage = min(_longest("stage", plan.stages), 14)
    used = host + 2 + (role + 2 if role else 0) + stage + 2 + _TIME + 3 * _NUMBER
    return _Widths(host, role, stage, max(width - used, 6))


def _longest(heading: str, values: Iterable[str]) -> int:
    return max(cell_len(heading), *(cell_len(value) for value in values))


def _headings(widths: _Widths, *, dry_run: bool) -> Text:
    counts = ("ok", "would" if dry_run else "chgd", "fail")
    role = fit("role", widths.role) + "  " if widths.role else ""
    numbers = "".join(f"{name:>{_NUMBER}}" for name in counts)
    host, stage, step = fit("host", widths.host), fit("stage", widths.stage), fit("step", widths.step)
    return Text(f"{host}  {role}{stage}  {step}{'time':>{_TIME}}{numbers}", style="dim")


def _row(row: Row, widths: _Widths, board: Board) -> Text:
    role = fit(row.role, widths.role) + "  " if widths.role else ""
    changed = Status.WOULD_CHANGE if board.plan.dry_run else Status.CHANGED
    numbers = (row.count(Status.OK), row.count(changed), row.count(Status.FAILED))
    seconds = board.clock() - row.since if row.state is HostState.RUNNING else row.seconds
    time = duration(seconds) if seconds or row.state is HostState.RUNNING else ""
    style = _STYLES[row.state]
    return Text.assemble(
        (fit_name(one_line(row.host), widths.host), "" if row.state is HostState.WAITING else "bold"),
        "  ",
        (role, "dim"),
        (fit(one_line(row.stage), widths.stage), style),
        "  ",
        (fit(_doing(row), widths.step), style),
        f"{time:>{_TIME}}",
        "".join(f"{number or '·':>{_NUMBER}}" for number in numbers),
    )


def _doing(row: Row) -> str:
    if row.state is HostState.RUNNING:
        return one_line(row.step) or MORE
    if row.state is HostState.FAILED and row.failure:
        return one_line(f"{status_word(row.failure)} {row.message}")
    return one_line(row.message) or row.state.value


def _rest(hidden: dict[HostState, int]) -> list[Text]:
    words = {
        HostState.RUNNING: "more running",
        HostState.FAILED: "more failed",
        HostState.WAITING: "waiting",
        HostState.DONE: "done",
    }
    parts = [f"{hidden[state]:,} {word}" for state, word in words.items() if hidden.get(state)]
    return [Text(f"{MORE} {', '.join(parts)}", style="dim")] if parts else []
