"""Fits the result table into the width there is: in words, in short, with cut headings, or flowing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from plugins.output.cells import ABSENT, COUNTS, Line, count, flowing, short, style, word
from plugins.output.text import duration
from plugins.results import RunPlan, StageResult
from plugins.steps import Status

_GAP = 2
_HEADINGS = (8, 6, 4)  # cells to which stage names are cut, one after the other
_FEW = 8  # hosts; their stages are told in words before headings are cut
_SQUEEZED = {"changed": "chgd", "failed": "fail"}
_LEGEND = {"+": "+3: changed 3", "~": "~4: would change 4", "-": "-: not run on this host"}


@dataclass(frozen=True)
class Grid:
    """Headings, rows of cells, which columns are numbers, and what needs an explanation."""

    headings: list[str]
    rows: list[list[Text]]
    numbers: frozenset[int]
    legend: str = ""
    gap: int = _GAP

    @property
    def width(self) -> int:
        """Terminal cells that the grid needs when nothing is wrapped."""
        columns = [
            max(map(cell_len, (name, *(row[i].plain for row in self.rows)))) for i, name in enumerate(self.headings)
        ]
        return sum(columns) + self.gap * (len(columns) - 1)


def host_table(lines: Sequence[Line], plan: RunPlan, width: int) -> RenderableType:
    """Draw one row per line, as much in words as `width` allows. Host names are wrapped, never cut."""
    grids = list(_grids(lines, plan.stages, Status.WOULD_CHANGE if plan.dry_run else Status.CHANGED))
    grid = next((grid for grid in grids if grid.width <= width), grids[-1])
    table = Table(box=None, pad_edge=False, padding=(0, grid.gap, 0, 0), header_style="bold", show_edge=False)
    for index, heading in enumerate(grid.headings):
        right = index in grid.numbers
        table.add_column(Text(heading), justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in grid.rows:
        table.add_row(*row)
    return Group(table, Text(grid.legend, style="dim")) if grid.legend else table


def _grids(lines: Sequence[Line], stages: Sequence[str], change: Status) -> Iterator[Grid]:
    """Yield the forms that the table can take, the most spacious first; `change` is worth a column even at 0."""
    always = {change, Status.OK}
    used = [status for status in COUNTS if status in always or any(count(line.host, status) for line in lines)]
    yield _matrix(lines, stages, list(COUNTS), word)
    yield _matrix(lines, stages, used, word)
    yield _matrix(lines, stages, used, short)
    if len(lines) > _FEW:
        for cells in _HEADINGS:
            if len({name[:cells] for name in stages}) == len(stages):
                grid = _matrix(lines, stages, used, short, cells)
                yield grid
                yield _squeezed(grid)
    yield _flow(lines, stages, used)


def _matrix(
    lines: Sequence[Line],
    stages: Sequence[str],
    counts: Sequence[Status],
    say: Callable[[StageResult | None], str],
    cut: int | None = None,
) -> Grid:
    rows = [
        [
            Text(line.name, style="bold"),
            Text(line.host.role),
            *(Text(say(stage), style=style(stage)) for stage in map(line.host.stage, stages)),
            *_numbers(line, counts),
        ]
        for line in lines
    ]
    headings = ["host", "role", *(name[:cut] for name in stages), *(COUNTS[status] for status in counts), "time"]
    numbers = frozenset(range(2 + len(stages), len(headings)))
    return Grid(headings, rows, numbers, "" if say is word else _legend(rows, stages, cut))


def _squeezed(grid: Grid) -> Grid:
    """Save what the eye can do without: half of each gap, and the ends of the count headings."""
    headings = [_SQUEEZED.get(name, name) for name in grid.headings]
    return replace(grid, headings=headings, gap=1)


def _flow(lines: Sequence[Line], stages: Sequence[str], counts: Sequence[Status]) -> Grid:
    headings = ["host", "role", *(COUNTS[status] for status in counts), "time", "stages"]
    rows = [
        [
            Text(line.name, style="bold"),
            Text(line.host.role),
            *_numbers(line, counts),
            Text(" · ").join(Text(said, style=style(stage)) for said, stage in flowing(line.host, stages)),
        ]
        for line in lines
    ]
    return Grid(headings, rows, frozenset(range(2, len(headings) - 1)))


def _numbers(line: Line, counts: Sequence[Status]) -> list[Text]:
    return [
        *(Text(str(count(line.host, status))) for status in counts),
        Text(duration(line.host.seconds) if line.host.seconds else ABSENT),
    ]


def _legend(rows: Sequence[Sequence[Text]], stages: Sequence[str], cut: int | None) -> str:
    """Explain the signs and cut headings that are really there."""
    cells = [cell.plain for row in rows for cell in row[2 : 2 + len(stages)]]
    signs = [text for sign, text in _LEGEND.items() if any(cell.startswith(sign) for cell in cells)]
    names = [f"{name[:cut]}: {name}" for name in stages if cut and len(name) > cut]
    return "   ".join((*signs, *names))
