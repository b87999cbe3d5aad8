"""One stage on one host, as a worker runs it: the task itself, looks at needs outside the selection, the result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from nornir.core import Nornir
from nornir.core.inventory import Host
from nornir.core.processor import Processors
from nornir.core.task import MultiResult, Task

from plugins.context import RunContext
from plugins.errors import HostError, RunbookError, UnreachableError, UsageError
from plugins.gathered import Gathered
from plugins.graph import Pair
from plugins.looks import Looks
from plugins.processors.base import RunProcessor
from plugins.results import StageResult, StageStatus
from plugins.stages import Runbook, Stage
from plugins.steps import Status, Step, StepsResult

logger = logging.getLogger("runbooks")


@dataclass(frozen=True)
class Attempt:
    """What one pair came to: Nornir's own result, and the stage's."""

    multi: MultiResult
    result: StageResult


class Attempts:
    """Runs pairs of one run; safe to use from many threads.

    `outside` gives the needs of a pair that the run does not do itself, `gathered` the results of a stage, and
    `command` what does a pair that is needed.
    """

    def __init__(
        self,
        runbook: Runbook,
        nornir: Nornir,
        context: RunContext,
        outside: Callable[[Pair], list[Pair]],
        gathered: Callable[[str], Gathered],
        command: Callable[[Pair], str],
    ) -> None:
        self._stages = {stage.name: stage for stage in runbook.stages}
        self._nornir, self._context, self._command = nornir, context, command
        self._outside, self._gathered = outside, gathered
        self._looks = Looks(self._run_task)

    def make(self, pair: Pair) -> Attempt:
        """Run one pair."""
        began, started = monotonic(), datetime.now(UTC)
        stage = self._stages[pair.stage]
        outside = self._outside(pair)
        multi = self._run_task(stage, pair.host, dry_run=self._context.dry_run or bool(outside))
        unmet: dict[Pair, MultiResult] = {}
        if outside and not _ok(multi) and not isinstance(multi[0].exception, UnreachableError):
            # Needs outside the selection matter only where there is something to do.
            looks = {each: self._looks.at(self._stages[each.stage], each.host) for each in outside}
            unmet = {each: look for each, look in looks.items() if not _ok(look)}
            if not unmet and not self._context.dry_run:
                multi = self._run_task(stage, pair.host, dry_run=False)
        result = stage_result(stage.name, multi, dry_run=self._context.dry_run)
        result = replace(result, seconds=monotonic() - began, started=started)
        return Attempt(multi, self._with_unmet(result, unmet))

    def _with_unmet(self, result: StageResult, unmet: Mapping[Pair, MultiResult]) -> StageResult:
        if not unmet:
            return result
        named = ", ".join(f"{pair.stage} on {pair.host}" for pair in unmet)
        # A look that could not be made, as at a host that is down, tells nothing of what is done there.
        blind = [pair for pair, look in unmet.items() if isinstance(look[0].exception, HostError | UsageError)]
        first = next(iter(blind or unmet))
        message = f"needs {named} first, which is not in this selection and not done yet"
        todo = f"run `{self._command(first)}` first"
        if blind:  # that command would end in the same way
            where, seen = f"{first.stage} on {first.host}", stage_result(first.stage, unmet[first], dry_run=True)
            away = isinstance(unmet[first][0].exception, UnreachableError)
            looked = f"{where} {'could not be looked at' if away else 'fails'}: {seen.message}"
            message = f"needs {named} first, which is not in this selection; {looked}"
            todo = seen.todo or f"mend what {where} fails at, then run the same command again"
        return replace(
            result,
            status=StageStatus.FAILED,
            steps=(),
            message=message,
            output="",
            todo=todo,
        )

    def _run_task(self, stage: Stage, host: str, *, dry_run: bool) -> MultiResult:
        parameters: dict[str, Any] = {}
        if stage.gathers:
            parameters["gathered"] = self._gathered(stage.gathers)
        heard = _Heard()
        task = Task(
            stage.task,
            self._nornir,
            global_dry_run=dry_run,
            processors=Processors([*self._nornir.processors, heard]),
            name=stage.name,
            **parameters,
        )
        multi = task.start(self._nornir.inventory.hosts[host])
        # Checks that a task makes in Python are steps, too, and nobody has heard of them yet.
        for step in getattr(multi[0], "steps", ()):
            if step not in heard.steps:
                for processor in listeners(self._nornir.processors):
                    processor.step_completed(task, task.host, step)
        return multi


def listeners(processors: Processors) -> list[RunProcessor]:
    """Give the processors that hear of more than Nornir's own events."""
    return [processor for processor in processors if isinstance(processor, RunProcessor)]


class _Heard(RunProcessor):
    """Remembers the steps that were told of while the task ran."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def step_completed(self, task: Task, host: Host, step: Step) -> None:  # noqa: ARG002
        self.steps.append(step)


def _ok(multi: MultiResult) -> bool:
    first = multi[0]
    return not multi.failed and not getattr(first, "would_change", False)


def stage_result(name: str, multi: MultiResult, *, dry_run: bool) -> StageResult:
    """Turn what a task returned, or raised, into the stage's result."""
    first = multi[0]
    if isinstance(first, StepsResult):
        return _from_steps(name, first, dry_run=dry_run)
    match first.exception:
        case UnreachableError() as error:
            return StageResult(name, StageStatus.UNREACHABLE, message=f"{error.step}: {error.seen}", todo=error.todo)
        case HostError() as error:
            return StageResult(name, StageStatus.FAILED, message=f"{error.step}: {error.seen}", todo=error.todo)
        case RunbookError() as error:
            return StageResult(name, StageStatus.FAILED, message=str(error))
        case None:
            return StageResult(
                name, StageStatus.FAILED if first.failed else StageStatus.OK, message=str(first.result or "")
            )
        case error:
            logger.error("%s: %s", name, first.result)
            message = f"a mistake in this program: {type(error).__name__}: {error}"
            return StageResult(name, StageStatus.FAILED, message=message, todo="the traceback is in the run's log")


def _from_steps(name: str, result: StepsResult, *, dry_run: bool) -> StageResult:
    failed = [step for step in result.steps if step.status is Status.FAILED]
    if failed:
        first = failed[0]
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        message = f"{first.name}: {first.message or 'failed'}{more}"
        return StageResult(
            name, StageStatus.FAILED, steps=result.steps, message=message, output=first.output, todo=result.todo
        )
    status = StageStatus.CHANGED if result.changed else StageStatus.OK
    if result.would_change:
        status = StageStatus.WOULD_CHANGE if dry_run else StageStatus.FAILED
    return StageResult(name, status, steps=result.steps)
