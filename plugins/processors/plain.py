"""Progress where there is no live display: one plain line per settled stage and host."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from nornir.core.inventory import Host
from nornir.core.task import MultiResult, Task
from rich.cells import cell_len
from rich.console import Console

from plugins.output.board import Board, Row, failure_text
from plugins.output.text import counted, duration, fit, one_line, plural, safe, status_word
from plugins.processors.base import RunProcessor
from plugins.results import RunPlan, RunResult, StageResult, StageStatus
from plugins.steps import Step
from plugins.words import listed

STILL_SECONDS = 30.0
_NAMED = 6  # hosts named in one "still running" line
_HOST, _STAGE, _STATUS = 24, 14, 12  # cells; a longer name pushes its own line to the right and is never cut


class Plain(RunProcessor):
    """Writes lines; `verbose` adds one for each step, with its diff. `close` may be called at any time."""

    def __init__(
        self,
        console: Console,
        *,
        verbose: bool = False,
        still_seconds: float = STILL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._console, self._verbose = console, verbose
        self._still_seconds, self._clock, self._now = still_seconds, clock, now
        self._board: Board | None = None
        self._host = self._stage = 0
        self._ending = threading.Event()

    def run_started(self, plan: RunPlan) -> None:
        """Say what will be run, and begin to watch for what takes long."""
        self._board = Board(plan, self._clock)
        self._host = min(max((cell_len(host) for host in plan.hosts), default=0), _HOST)
        self._stage = min(max((cell_len(stage) for stage in plan.stages), default=0), _STAGE)
        what = f"{plan.title}: cluster {plan.cluster}, release {plan.release}"
        size = f"{plural(len(plan.hosts), 'host')}, {plural(len(plan.stages), 'stage')}"
        self._say(one_line(f"{what}, {size}, run {plan.run_id}"))
        if plan.dry_run:
            self._say("dry run: hosts are looked at, nothing is written")
        threading.Thread(target=self._watch, name="still-running", daemon=True).start()

    def run_completed(self, result: RunResult) -> None:  # noqa: ARG002
        """End the watching; the table that follows sums up the run."""
        self.close()

    def close(self) -> None:
        """Write no more."""
        self._ending.set()

    def task_instance_started(self, task: Task, host: Host) -> None:
        """Note what runs."""
        if self._board is not None:
            self._board.stage_started(host.name, task.name)

    def task_instance_completed(self, task: Task, host: Host, result: MultiResult) -> None:  # noqa: ARG002
        """Note that nothing runs any more."""
        if self._board is not None:
            self._board.stage_ended(host.name)

    def step_started(self, task: Task, host: Host, name: str) -> None:  # noqa: ARG002
        """Note what runs."""
        if self._board is not None:
            self._board.step_started(host.name, name)

    def step_completed(self, task: Task, host: Host, step: Step) -> None:  # noqa: ARG002
        """Write the step, if every step is wanted."""
        if self._board is None:
            return
        self._board.step_completed(host.name, step)
        if self._verbose:
            message = f"  {one_line(step.message)}" if step.message else ""
            line = f"{fit(step.status, _STATUS)}  {one_line(step.name)}  {duration(step.seconds)}{message}"
            self._say(f"{self._place(host.name, self._board.stage(host.name))}    {line}", _indented(step.diff))

    def stage_settled(self, host: str, result: StageResult) -> None:
        """Write how the stage ended."""
        if self._board is not None:
            self._board.stage_settled(host, result)
        if result.idle:
            return
        status = fit(status_word(result.status), _STATUS)
        self._say(f"{self._place(host, result.name)}  {status}  {_ending(result)}")

    def _watch(self) -> None:
        while not self._ending.wait(self._still_seconds):
            self.say_still_running()

    def say_still_running(self) -> None:
        """Write one line about what has been running for long, if anything has."""
        if self._board is None:
            return
        rows = [row for row in self._board.running() if self._seconds(row) >= self._still_seconds / 2]
        if rows:
            self._say(f"still running: {listed([self._still(row) for row in rows], _NAMED)}")

    def _still(self, row: Row) -> str:
        step = f" at {one_line(row.step)}" if row.step else ""
        return f"{one_line(row.host)} {one_line(row.stage)}{step} ({self._seconds(row):.0f} s)"

    def _seconds(self, row: Row) -> float:
        return self._clock() - row.since

    def _place(self, host: str, stage: str) -> str:
        return f"{_padded(one_line(host), self._host)}  {_padded(one_line(stage), self._stage)}"

    def _say(self, line: str, more: str = "") -> None:
        """Write in one piece, as lines come from many threads; after an interruption they may come late."""
        if self._ending.is_set():
            return
        text = f"{self._now():%H:%M:%S} {line}".rstrip() + more
        # rich takes ten times as long for a line that has no style.
        self._console.file.write(f"{text}\n")
        self._console.file.flush()


def _padded(text: str, width: int) -> str:
    return fit(text, max(width, cell_len(text)))


def _ending(result: StageResult) -> str:
    if result.status.bad:
        return f"{one_line(failure_text(result))}  {duration(result.seconds)}"
    if result.status is StageStatus.SKIPPED:
        return one_line(result.message)
    return f"{counted(result)}  {duration(result.seconds)}".strip()


def _indented(text: str) -> str:
    return "".join(f"\n    {line}" for line in safe(text).splitlines())
