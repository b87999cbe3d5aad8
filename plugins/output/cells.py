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
    if stage is None:
        return ABSENT
    if stage.status.bad:
        return stage.status.value.upper()
    name = "would" if stage.status is StageStatus.WOULD_CHANGE else stage.status.value
    return f"{name} {_number(stage)}".strip()


def short(stage: StageResult | None) -> str:
    """Say the same in at most a few cells: `+3` for changed, `~4` for would change."""
    return ABSENT if stage is None else f"{_SHORT[stage.status]}{_number(stage)}"


def style(stage: StageResult | None) -> str:
    """Colour of a cell."""
    return "dim" if stage is None else STYLES[stage.status]


def _number(stage: StageResult) -> str:
    counted = {StageStatus.CHANGED: Status.CHANGED, StageStatus.WOULD_CHANGE: Status.WOULD_CHANGE}.get(stage.status)
    return str(stage.count(counted) or "") if counted else ""


def flowing(host: HostResult, stages: Sequence[str]) -> list[tuple[str, StageResult | None]]:
    """Say all stages in a row, neighbours with the same outcome together: `bridge, join skipped`."""
    runs: list[tuple[list[str], str, StageResult | None]] = []
    for name in stages:
        stage = host.stage(name)
        if stage is None:
            continue
        if runs and runs[-1][1] == word(stage):
            runs[-1][0].append(name)
        else:
            runs.append(([name], word(stage), stage))
    return [(f"{', '.join(names)} {said}", stage) for names, said, stage in runs]
