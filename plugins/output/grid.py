"""Fits the result table into the width there is: in words, in short, with headings on two lines, or flowing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from plugins.output.cells import ABSENT, COUNTS, Line, count, flowing, short, style, word
from plugins.output.lines import Indented, Stripped
from plugins.output.text import duration
from plugins.results import RunPlan, StageResult
from plugins.steps import Status

_GAP = 2
_FLOW = 20  # cells that a column of running text needs at least
_UNBROKEN = 7  # cells of a heading; a longer one may take two lines
_SQUEEZED = {"changed": "chgd", "failed": "fail"}
_LEGEND = {"+": "+3: changed 3", "~": "~4: would change 4", "-": "-: not run on this host"}


@dataclass(frozen=True)
class Grid:
    """Headings, rows of cells, which columns are numbers, what needs an explanation, whether the last column wraps."""

    headings: list[str]
    rows: list[list[Text]]
    numbers: frozenset[int]
    legend: str = ""
    gap: int = _GAP
    flows: bool = False

    @property
    def width(self) -> int:
        """Terminal cells that the grid needs when nothing but a last column that flows is wrapped."""
        columns = [
            max(map(cell_len, (*name.splitlines(), *(row[i].plain for row in self.rows))))
            for i, name in enumerate(self.headings)
        ]
        if self.flows:
            columns[-1] = min(columns[-1], _FLOW)
        return sum(columns) + self.gap * (len(columns) - 1)


def host_table(lines: Sequence[Line], plan: RunPlan, width: int) -> RenderableType:
    """Draw one row per line, as much in words as `width` allows. Host names are wrapped, never cut."""
    for grid in _grids(lines, plan.stages, Status.WOULD_CHANGE if plan.dry_run else Status.CHANGED):
        if grid.width <= width:
            break
    table = Table(box=None, pad_edge=False, padding=(0, grid.gap, 0, 0), header_style="bold", show_edge=False)
    for index, heading in enumerate(grid.headings):
        right = index in grid.numbers
        justify: JustifyMethod = "right" if right else "left"
        table.add_column(Text(heading), justify=justify, no_wrap=right, overflow="fold")
    for row in grid.rows:
        table.add_row(*row)
    shown = Stripped(table)
    return Group(shown, Indented(grid.legend, "dim", "")) if grid.legend else shown


def _grids(lines: Sequence[Line], stages: Sequence[str], change: Status) -> Iterator[Grid]:
    """Yield the forms that the table can take, the most spacious first; `change` is worth a column even at 0."""
    always = {change, Status.OK}
    used = [status for status in COUNTS if status in always or any(count(line.host, status) for line in lines)]
    yield _matrix(lines, stages, list(COUNTS), word)
    yield _matrix(lines, stages, used, word)
    yield _matrix(lines, stages, used, short)
    broken = _matrix(lines, stages, used, short, _broken)
    yield from (broken, _squeezed(broken))
    yield _flow(lines, stages, used)
    yield _flow(lines, stages, ())


def _matrix(
    lines: Sequence[Line],
    stages: Sequence[str],
    counts: Sequence[Status],
    say: Callable[[StageResult | None], str],
    head: Callable[[str], str] = str,
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
    headings = ["host", "role", *map(head, stages), *(COUNTS[status] for status in counts), "time"]
    if any("\n" in name for name in headings):
        headings = [name if "\n" in name else f"\n{name}" for name in headings]
    numbers = frozenset(range(2 + len(stages), len(headings)))
    return Grid(headings, rows, numbers, "" if say is word else _legend(rows, stages))


def _broken(name: str) -> str:
    """Write a long name on two lines: at its own hyphen, or in its middle."""
    if cell_len(name) <= _UNBROKEN:
        return name
    first, hyphen, second = name.partition("-")
    if not hyphen:
        middle = (len(name) + 1) // 2
        first, second = name[:middle], name[middle:]
    return f"{first}-\n{second}"


def _squeezed(grid: Grid) -> Grid:
    """Save what the eye can do without: half of each gap, and the ends of the count headings."""
    headings = list(grid.headings)
    for number in grid.numbers:
        for long, brief in _SQUEEZED.items():
            headings[number] = headings[number].replace(long, brief)
    return replace(grid, headings=headings, gap=1)


def _flow(lines: Sequence[Line], stages: Sequence[str], counts: Sequence[Status]) -> Grid:
    """Tell the stages in one column of running text; without `counts`, beside the host's name and nothing else."""
    headings = ["host", "role", *(COUNTS[status] for status in counts), "time"] if counts else ["host"]
    rows = [
        [
            Text(line.name, style="bold"),
            *((Text(line.host.role), *_numbers(line, counts)) if counts else ()),
            Text(" · ").join(Text(said, style=said_style) for said, said_style in flowing(line.host, stages)),
        ]
        for line in lines
    ]
    return Grid([*headings, "stages"], rows, frozenset(range(2, len(headings))), flows=True)


def _numbers(line: Line, counts: Sequence[Status]) -> list[Text]:
    return [
        *(Text(str(count(line.host, status))) for status in counts),
        Text(duration(line.host.seconds) if line.host.seconds else ABSENT),
    ]


def _legend(rows: Sequence[Sequence[Text]], stages: Sequence[str]) -> str:
    """Explain the signs that are really there."""
    cells = [cell.plain for row in rows for cell in row[2 : 2 + len(stages)]]
    return "   ".join(text for sign, text in _LEGEND.items() if any(cell.startswith(sign) for cell in cells))
