"""Logs of a run: one file per host with all that was said there, and run.log for the run's own events."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from nornir.core.exceptions import NornirSubTaskError
from nornir.core.inventory import Host
from nornir.core.task import MultiResult, Result, Task

from plugins.errors import HostError
from plugins.output.text import RUN_LOG, counted, duration, log_name, one_line, safe
from plugins.processors.appending import Appender
from plugins.processors.base import RunProcessor
from plugins.results import RunPlan, RunResult, StageResult
from plugins.steps import Step

KEEP_RUNS = 20
RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]+")
LATEST = "latest"


def _now() -> datetime:
    return datetime.now().astimezone()


class HostLog(RunProcessor):
    """Writes below `folder`/RUN_ID and keeps the newest `keep` runs there.

    Entries are in their files within a moment (see Appender). Errors are OSError and EventsLostError, and left to the
    guard around it.
    """

    def __init__(self, folder: Path, *, keep: int = KEEP_RUNS, now: Callable[[], datetime] = _now) -> None:
        self._root, self._keep, self._now = folder, keep, now
        self._handler: _RunLogHandler | None = None
        self._stages: dict[str, str] = {}
        self._paths: dict[str, Path] = {}
        self._files = Appender()
        self.folder: Path | None = None
        """The run's own folder, once it is there."""

    def path(self, host: str) -> Path | None:
        """Where the log of `host` is, if there is one."""
        if self.folder is None:
            return None
        if host not in self._paths:
            self._paths[host] = self.folder / log_name(host)
        return self._paths[host]

    def run_started(self, plan: RunPlan) -> None:
        """Make the run's folder, point `latest` at it and remove the oldest runs."""
        folder = self._root / plan.run_id
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        self.folder = folder
        kind = " (dry run)" if plan.dry_run else ""
        self._note_run(
            f"{plan.runbook}{kind} begins: cluster {plan.cluster}, release {plan.release}, run {plan.run_id}"
        )
        self._note_run(f"stages: {', '.join(plan.stages)}")
        self._note_run(f"hosts: {', '.join(f'{host} ({role})' for host, role in plan.hosts.items())}")
        self._handler = _RunLogHandler(self._note_run)
        logging.getLogger().addHandler(self._handler)
        # Neither is worth a run's log.
        with contextlib.suppress(OSError):
            _point(self._root / LATEST, plan.run_id)
        prune(self._root, self._keep, plan.run_id)

    def run_completed(self, result: RunResult) -> None:
        """Write how the run ended."""
        self.close()
        for host, what in result.running.items():
            self._note_run(f"interrupted while running on {host}: {what}")
        self._note_run(f"ended after {duration(result.seconds)} with exit status {result.exit_code}")

    def close(self) -> None:
        """Take no more log records of Python's own logging, and write what is left."""
        if self._handler is not None:
            logging.getLogger().removeHandler(self._handler)
            self._handler = None
        self._files.close()

    def task_instance_started(self, task: Task, host: Host) -> None:
        """Write that the stage begins."""
        self._stages[host.name] = task.name
        self._note(host.name, "begins")

    def step_started(self, task: Task, host: Host, name: str) -> None:  # noqa: ARG002
        """Write that the step begins."""
        self._note(host.name, f"> {one_line(name)}")

    def step_completed(self, task: Task, host: Host, step: Step) -> None:  # noqa: ARG002
        """Write how the step ended, with its diff and output in full."""
        message = f": {one_line(step.message)}" if step.message else ""
        line = f"{step.status} {one_line(step.name)} ({duration(step.seconds)}){message}"
        self._note(host.name, line, step.diff, step.output)

    def output_line(self, task: Task, host: Host, text: str) -> None:  # noqa: ARG002
        """Write what the host said."""
        self._note(host.name, "| " + safe(text).replace("\n", "\n    "))

    def task_instance_completed(self, task: Task, host: Host, result: MultiResult) -> None:  # noqa: ARG002
        """Write the traceback of an error that is nobody's but ours."""
        for error in _unexpected(result):
            self._note(host.name, "error in the task itself", "".join(traceback.format_exception(error)))

    def stage_settled(self, host: str, result: StageResult) -> None:
        """Write how the stage ended, and what to do when it failed."""
        self._stages[host] = result.name
        counts = f", {counted(result)}" if result.steps else ""
        line = f"ends {result.status}{counts} ({duration(result.seconds)})"
        message = f": {one_line(result.message)}" if result.message else ""
        said = {step.output for step in result.steps}
        self._note(host, line + message, "" if result.output in said else result.output)
        if result.todo:
            self._note(host, f"to do: {one_line(result.todo)}")
        if result.rerun:
            self._note(host, f"run again: {one_line(result.rerun)}")
        self._note_run(f"{host} {result.name} {line}{message}")

    def _note(self, host: str, line: str, *blocks: str) -> None:
        path = self.path(host)
        if path is not None:
            self._append(path, f"[{self._stages.get(host, '')}] {line}", *blocks)

    def _note_run(self, line: str) -> None:
        if self.folder is not None:
            first, *more = safe(line).splitlines() or [""]
            self._append(self.folder / RUN_LOG, first, "\n".join(more))

    def _append(self, path: Path, line: str, *blocks: str) -> None:
        """Add one entry in one piece; blocks are indented, so that no host's words look like an entry."""
        lines = [f"{self._now().isoformat(timespec='milliseconds')} {line}"]
        lines += [f"    {text}" for block in blocks for text in safe(block).splitlines()]
        self._files.add(path, "\n".join(lines) + "\n")


def prune(root: Path, keep: int, current: str) -> None:
    """Remove all but the newest `keep` runs; what is not named like a run is left alone."""
    with contextlib.suppress(OSError):
        runs = sorted(
            entry.name
            for entry in os.scandir(root)
            if RUN_ID.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
        )
        for name in runs[: max(len(runs) - keep, 0)]:
            if name != current:
                shutil.rmtree(root / name, ignore_errors=True)


def _point(link: Path, target: str) -> None:
    """Let `link` lead to `target` at once, without a moment in which it leads nowhere."""
    fresh = link.with_name(f".{link.name}.{target}")
    fresh.symlink_to(target)
    try:
        fresh.replace(link)
    except OSError:
        fresh.unlink()
        raise


def _unexpected(result: MultiResult) -> list[BaseException]:
    """Errors that carry no message for an operator; one of a subtask is listed by itself."""
    errors = [one.exception for one in _flat(result)]
    return [error for error in errors if error and not isinstance(error, (HostError, NornirSubTaskError))]


def _flat(result: MultiResult) -> list[Result]:
    """A subtask with subtasks of its own is a list in the list, which Nornir's types do not say."""
    flat: list[Result] = []
    inner: list[object] = list(result)
    for one in inner:
        if isinstance(one, MultiResult):
            flat += _flat(one)
        elif isinstance(one, Result):
            flat.append(one)
    return flat


class _RunLogHandler(logging.Handler):
    """Brings warnings of Python's own logging into run.log, redacted there as all else is."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(level=logging.WARNING)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a full disk is for the guard to tell of, not for a traceback on the screen."""
        # Nornir logs each failed task with its traceback; the host's own log has that.
        if not record.name.startswith("nornir"):
            with contextlib.suppress(Exception):
                self._note(self.format(record))
