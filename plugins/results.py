"""The outcome of a run as plain values: what tables show and the report lists, field by field."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from plugins.steps import Status, Step


class StageStatus(StrEnum):
    """How a stage, or a whole host, ended."""

    OK = "ok"
    CHANGED = "changed"
    WOULD_CHANGE = "would-change"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    SKIPPED = "skipped"

    @property
    def bad(self) -> bool:
        """Whether the run's exit status must tell of it."""
        return self in {StageStatus.FAILED, StageStatus.UNREACHABLE}


# The worst one names the host; a host with one skipped stage beside good ones is not "skipped".
_SEVERITY = (
    StageStatus.UNREACHABLE,
    StageStatus.FAILED,
    StageStatus.CHANGED,
    StageStatus.WOULD_CHANGE,
    StageStatus.OK,
    StageStatus.SKIPPED,
)


def worst(statuses: Iterable[StageStatus]) -> StageStatus:
    """Sum up several statuses as one; nothing at all is `skipped`."""
    present = set(statuses)
    return next((status for status in _SEVERITY if status in present), StageStatus.SKIPPED)


@dataclass(frozen=True)
class StageResult:
    """One stage on one host.

    `message` says why it failed or was skipped, `output` is the host's own words, `todo` what to do next,
    `rerun` the command that runs just this again. `seconds` is wall time on the operator's machine.
    """

    name: str
    status: StageStatus
    seconds: float = 0.0
    started: datetime | None = None
    steps: tuple[Step, ...] = ()
    message: str = ""
    output: str = ""
    todo: str = ""
    rerun: str = ""

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do here, such as no Windows host to await."""
        return self.status is StageStatus.OK and not self.steps

    def count(self, status: Status) -> int:
        """How many steps ended with `status`."""
        return sum(step.status is status for step in self.steps)


@dataclass
class HostResult:
    """All stages of one host, in the runbook's order."""

    name: str
    role: str
    stages: list[StageResult] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def status(self) -> StageStatus:
        """The host's status: the worst of its stages."""
        return worst(stage.status for stage in self.stages)

    def stage(self, name: str) -> StageResult | None:
        """Find the result of one stage, if the host has one."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def count(self, status: Status) -> int:
        """How many steps of all stages ended with `status`."""
        return sum(stage.count(status) for stage in self.stages)


@dataclass(frozen=True)
class RunPlan:
    """What a run is about to do: `stages` in order, `hosts` as name to role, in inventory order.

    `work` maps a host to its own stages, where that is known; a host that is left out has all of them.
    """

    run_id: str
    runbook: str
    title: str
    cluster: str
    release: str
    dry_run: bool
    stages: tuple[str, ...]
    hosts: dict[str, str]
    work: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Link:
    """One link of a chain of needs: a stage on a host, and how many seconds it took."""

    stage: str
    host: str
    seconds: float


@dataclass
class RunResult:
    """A finished (or interrupted) run; times are timezone-aware.

    `running` maps a host to what ran there when the run was interrupted; `critical_path` is the longest chain of needs.
    """

    plan: RunPlan
    started: datetime
    finished: datetime
    exit_code: int
    hosts: dict[str, HostResult]
    running: dict[str, str] = field(default_factory=dict)
    critical_path: tuple[Link, ...] = ()

    @property
    def seconds(self) -> float:
        """Wall time of the run."""
        return (self.finished - self.started).total_seconds()
