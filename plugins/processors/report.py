"""The JSON report: fields listed one by one, never a dump of objects. docs/output.md has its schema."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from plugins.output.text import safe
from plugins.paths import check_output, is_new_or_file
from plugins.processors.base import RunProcessor
from plugins.results import HostResult, RunResult, StageResult, StageStatus
from plugins.steps import Status, Step

VERSION = 1


class Report(RunProcessor):
    """Writes the report when the run is over, also when it was interrupted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written = False

    def run_completed(self, result: RunResult) -> None:
        """Write the report."""
        write_report(self.path, result)
        self.written = True


def check_report_path(path: Path) -> None:
    """Make the report's folder; UsageError before the run when the report could not be written after it."""
    check_output("--report", path)


def write_report(path: Path, result: RunResult) -> None:
    """Write the report with mode 0600; whoever reads `path` sees the old one or the whole new one.

    A device or pipe, and what is behind /dev/stdout, is added to. Raises OSError.
    """
    text = json.dumps(report(result), indent=2, ensure_ascii=False) + "\n"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_new_or_file(path):
        # A link goes on leading to its file.
        _replace(path.resolve(), text)
    else:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)


def report(result: RunResult) -> dict[str, Any]:
    """Build the report: ISO 8601 times with zone, seconds with three decimals, texts redacted."""
    plan = result.plan
    return {
        "version": VERSION,
        "run": {
            "id": plan.run_id,
            "runbook": plan.runbook,
            "release": plan.release,
            "dry_run": plan.dry_run,
            "started": _time(result.started),
            "finished": _time(result.finished),
            "seconds": _seconds(result.seconds),
            "exit_code": result.exit_code,
            "critical_path": [
                {"stage": link.stage, "host": link.host, "seconds": _seconds(link.seconds)}
                for link in result.critical_path
            ],
        },
        "hosts": {name: _host(host) for name, host in result.hosts.items()},
    }


def _host(host: HostResult) -> dict[str, Any]:
    return {
        "role": host.role,
        "status": host.status.value,
        "seconds": _seconds(host.seconds),
        "stages": [_stage(stage) for stage in host.stages],
    }


def _stage(stage: StageResult) -> dict[str, Any]:
    return {
        "name": stage.name,
        "status": stage.status.value,
        "seconds": _seconds(stage.seconds),
        "started": None if stage.started is None else _time(stage.started),
        "steps": [_step(step, stage) for step in (*stage.steps, *_reason(stage))],
    }


def _step(step: Step, stage: StageResult) -> dict[str, Any]:
    said = step.message or (stage.message if step.status is Status.FAILED else "")
    return {
        "name": safe(step.name),
        "status": step.status.value,
        "seconds": _seconds(step.seconds),
        "diff": safe(step.diff),
        "message": safe(said),
    }


def _reason(stage: StageResult) -> list[Step]:
    """Say why, as a step, where no step of the host says it: the listed fields have no other place."""
    if stage.status is StageStatus.SKIPPED:
        return [Step("skipped", Status.OK, message=stage.message)]
    if stage.status.bad and not stage.count(Status.FAILED):
        name = "connect" if stage.status is StageStatus.UNREACHABLE else stage.name
        return [Step(name, Status.FAILED, message=stage.message)]
    return []


def _seconds(seconds: float) -> float:
    # A host can say NaN, which Python writes and no other reader takes.
    return round(seconds, 3) if math.isfinite(seconds) else 0.0


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _replace(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  # a descriptor, not a path
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
