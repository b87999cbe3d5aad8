"""What is known of every host while a run goes on. Each event costs the same, however many hosts there are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum

from plugins.results import RunPlan, StageResult, StageStatus
from plugins.steps import Status, Step


class HostState(StrEnum):
    """Where a host stands in a run."""

    WAITING = "waiting"
    RUNNING = "running"
    FAILED = "failed"
    DONE = "done"


@dataclass
class Row:
    """One host: what runs there since when (monotonic seconds), and its steps so far by status.

    `message` says why it failed, or why a stage was skipped; `seconds` is the time of all settled stages.
    """

    host: str
    role: str
    state: HostState = HostState.WAITING
    stage: str = ""
    step: str = ""
    since: float = 0.0
    seconds: float = 0.0
    message: str = ""
    failure: StageStatus | None = None
    running: int = 0
    done: bool = False
    settled: dict[Status, int] = field(default_factory=dict)
    live: dict[Status, int] = field(default_factory=dict)

    def count(self, status: Status) -> int:
        """How many steps ended with `status`, those of the running stage included."""
        return self.settled.get(status, 0) + self.live.get(status, 0)


@dataclass(frozen=True)
class Shown:
    """What a screen of limited height shows: some rows, and how many of each state are not among them."""

    rows: list[Row]
    hidden: dict[HostState, int]


class Board:
    """All hosts of one run, kept by state. Safe to use from many threads."""

    def __init__(self, plan: RunPlan, clock: Callable[[], float] = time.monotonic) -> None:
        self.plan, self.clock = plan, clock
        self.started = clock()
        self.version = 0
        self._lock = threading.Lock()
        self._rows = {host: Row(host, role) for host, role in plan.hosts.items()}
        # Dictionaries as ordered sets: a host moves from one to another in constant time.
        self._by_state: dict[HostState, dict[str, Row]] = {state: {} for state in HostState}
        self._by_state[HostState.WAITING] = dict(self._rows)

    def stage_started(self, host: str, stage: str) -> None:
        """Take in that `stage` runs on `host`, or is looked at there."""
        with self._row(host) as row:
            row.running += 1
            row.stage, row.step, row.since, row.live = stage, "", self.clock(), {}
            self._place(row)

    def stage_ended(self, host: str) -> None:
        """Take in that what ran on `host` has ended; its result is yet to come."""
        with self._row(host) as row:
            row.running, row.step = max(row.running - 1, 0), ""
            self._place(row)

    def step_started(self, host: str, step: str) -> None:
        """Take in what runs on `host`."""
        with self._row(host) as row:
            row.step = step

    def step_completed(self, host: str, step: Step) -> None:
        """Take in a step's outcome."""
        with self._row(host) as row:
            row.step = ""
            row.live[step.status] = row.live.get(step.status, 0) + 1

    def stage_settled(self, host: str, result: StageResult) -> None:
        """Take in a stage's final result, which replaces what was counted while it ran."""
        with self._row(host) as row:
            row.seconds += result.seconds
            row.done = row.done or result.name == self._last(host)
            for step in result.steps:
                row.settled[step.status] = row.settled.get(step.status, 0) + 1
            if result.status.bad and row.failure is None:
                row.failure, row.message = result.status, failure_text(result)
            elif result.status is StageStatus.SKIPPED and not row.message:
                row.message = f"skipped: {result.message}"
            if not row.running:
                row.live = {}
                # A failed host goes on showing where it failed.
                if row.failure is None or result.status.bad:
                    row.stage = result.name
            self._place(row)

    def _last(self, host: str) -> str:
        """Name the stage after which `host` has nothing left to do."""
        return (self.plan.work.get(host) or self.plan.stages)[-1]

    @contextmanager
    def _row(self, host: str) -> Iterator[Row]:
        """Lend the row of `host`; one of a host that is not in the plan is not shown."""
        with self._lock:
            yield self._rows.get(host) or Row(host, "")
            self.version += 1

    def _place(self, row: Row) -> None:
        state = HostState.DONE if row.done else HostState.WAITING
        if row.running:
            state = HostState.RUNNING
        elif row.failure is not None:
            state = HostState.FAILED
        if row.host in self._rows and state is not row.state:
            del self._by_state[row.state][row.host]
            self._by_state[state][row.host] = row
            row.state = state

    def totals(self) -> dict[HostState, int]:
        """How many hosts are in each state."""
        with self._lock:
            return {state: len(rows) for state, rows in self._by_state.items()}

    def stage(self, host: str) -> str:
        """Name the stage that runs on `host`, or ran last."""
        with self._lock:
            row = self._rows.get(host)
            return row.stage if row else ""

    def running(self) -> list[Row]:
        """Copies of the rows of hosts where something runs, the longest first."""
        with self._lock:
            return sorted(map(replace, self._by_state[HostState.RUNNING].values()), key=lambda row: row.since)

    def show(self, height: int) -> Shown:
        """Pick `height` rows: all in the inventory's order, or else failed hosts, then running ones."""
        with self._lock:
            if len(self._rows) <= height:
                return Shown([replace(row, live=dict(row.live)) for row in self._rows.values()], {})
            failed = list(self._by_state[HostState.FAILED].values())
            running = list(self._by_state[HostState.RUNNING].values())
            for_failed = max(height // 3, height - len(running))
            picked = failed[-for_failed:] if for_failed else []
            picked = picked + running[: height - len(picked)]
            hidden = {state: len(rows) for state, rows in self._by_state.items()}
            for row in picked:
                hidden[row.state] -= 1
            return Shown([replace(row, live=dict(row.live)) for row in picked], hidden)


def failure_text(result: StageResult) -> str:
    """Say in one text at which step a stage failed and what was seen."""
    step = next((step for step in result.steps if step.status is Status.FAILED), None)
    message = result.message or (step.message if step else "")
    return f"{step.name}: {message}" if step and not message.startswith(f"{step.name}:") else message
