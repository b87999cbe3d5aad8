"""One host as a line of the result table: its stages as short words, its counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from plugins.results import HostResult, StageResult, StageStatus
from plugins.steps import Status

ABSENT = "-"
COUNTS = {
    Status.CHANGED: "changed",
    Status.OK: "ok",
    Status.FAILED: "failed",
    Status.WOULD_CHANGE: "would",
}
STYLES = {
    StageStatus.OK: "green",
    StageStatus.CHANGED: "yellow",
    StageStatus.WOULD_CHANGE: "magenta",
    StageStatus.FAILED: "bold red",
    StageStatus.UNREACHABLE: "bold red",
    StageStatus.SKIPPED: "dim",
}
_SHORT = {
    StageStatus.OK: "ok",
    StageStatus.CHANGED: "+",
    StageStatus.WOULD_CHANGE: "~",
    StageStatus.FAILED: "FAIL",
    StageStatus.UNREACHABLE: "UNREACH",
    StageStatus.SKIPPED: "skip",
}


@dataclass(frozen=True)
class Line:
    """A host's line; `like` is how many more hosts it stands for."""

    host: HostResult
    like: int = 0

    @property
    def name(self) -> str:
        """The host's name, and that it does not stand alone."""
        return f"{self.host.name} (+{self.like:,})" if self.like else self.host.name


def count(host: HostResult, status: Status) -> int:
    """How many steps ended with `status`; a stage that failed without a failed step counts as one."""
    without = sum(stage.status.bad and not stage.count(Status.FAILED) for stage in host.stages)
    return host.count(status) + (without if status is Status.FAILED else 0)


def word(stage: StageResult | None) -> str:
    """Say how a stage ended: `ok`, `changed 3`, `would 4`, `FAILED`, `skipped`; `-` for none."""
    return ABSENT if stage is None else _word(stage)


def _word(*stages: StageResult) -> str:
    status = stages[0].status
    if status.bad:
        return status.value.upper()
    name = "would" if status is StageStatus.WOULD_CHANGE else status.value
    return f"{name} {_number(*stages)}".strip()


def short(stage: StageResult | None) -> str:
    """Say the same in at most a few cells: `+3` for changed, `~4` for would change."""
    return ABSENT if stage is None else f"{_SHORT[stage.status]}{_number(stage)}"


def style(stage: StageResult | None) -> str:
    """Colour of a cell."""
    return "dim" if stage is None else STYLES[stage.status]


def _number(*stages: StageResult) -> str:
    counted = {StageStatus.CHANGED: Status.CHANGED, StageStatus.WOULD_CHANGE: Status.WOULD_CHANGE}.get(stages[0].status)
    return str(sum(stage.count(counted) for stage in stages) or "") if counted else ""


def flowing(host: HostResult, stages: Sequence[str]) -> list[tuple[str, str]]:
    """Say all stages in a row with their styles: `preflight to bridge changed 9`, `join, verify skipped`."""
    runs: list[list[StageResult]] = []
    found = [stage for stage in map(host.stage, stages) if stage is not None]
    for stage in [stage for stage in found if not stage.idle] or found:
        if runs and runs[-1][0].status is stage.status:
            runs[-1].append(stage)
        else:
            runs.append([stage])
    return [(f"{_range(run, only=len(runs) == 1)} {_word(*run)}", STYLES[run[0].status]) for run in runs]


def _range(run: Sequence[StageResult], *, only: bool) -> str:
    if only and len(run) > 1:
        return "all stages"
    return f"{run[0].name} to {run[-1].name}" if len(run) > 2 else ", ".join(stage.name for stage in run)
