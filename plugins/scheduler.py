"""Runs the pairs of a graph on an executor: one loop in the main thread, no thread ever waits on a need."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Container
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from nornir.core import Nornir
from nornir.core.inventory import Host
from nornir.core.processor import Processors
from nornir.core.task import AggregatedResult, MultiResult, Task

from plugins.connections import close_shell
from plugins.context import RunContext
from plugins.errors import HostError, RunbookError, UnreachableError
from plugins.gathered import Gathered
from plugins.graph import Blocked, Graph, Pair
from plugins.inventory import host_settings
from plugins.looks import Looks
from plugins.processors.base import RunProcessor
from plugins.results import StageResult, StageStatus
from plugins.stages import Runbook, Stage
from plugins.steps import Status, Step, StepsResult

logger = logging.getLogger("runbooks")
TICK = 0.5  # seconds between looks at the stop flag


@dataclass
class Outcome:
    """What all pairs came to: results for the reader by pair, and the tasks' own results by stage and host."""

    stages: dict[Pair, StageResult] = field(default_factory=dict)
    gathered: dict[str, Gathered] = field(default_factory=dict)


class Scheduler:
    """One run: hands ready pairs to `executor` and settles them as they end."""

    def __init__(
        self,
        runbook: Runbook,
        graph: Graph,
        nornir: Nornir,
        context: RunContext,
        executor: Executor,
        rerun: Callable[[Pair], str],
        keep_open: Container[str] = (),
    ) -> None:
        self._stages = {stage.name: stage for stage in runbook.stages}
        self._graph, self._nornir, self._context, self._executor, self._rerun = graph, nornir, context, executor, rerun
        self._processors = nornir.processors
        self._keep_open = keep_open
        self._looks = Looks(self._run_task)
        self._left = Counter(pair.stage for pair in graph.pairs)
        self._left_on = Counter(pair.host for pair in graph.pairs)
        self._aggregated: dict[str, AggregatedResult] = {}
        self._pending = False  # something would change, on whatever host
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Run everything; on KeyboardInterrupt what is settled so far stands in `outcome`."""
        running: dict[Future[_Attempt], Pair] = {}
        # concurrent.futures.wait() would go through all that run each time that one of them ends.
        ended: SimpleQueue[Future[_Attempt]] = SimpleQueue()
        while not self._graph.finished:
            if self._context.stop.is_set():
                raise KeyboardInterrupt
            for pair in self._graph.take():
                if reason := self._pointless(pair):
                    self._settle(pair, StageResult(pair.stage, StageStatus.SKIPPED, message=reason))
                    continue
                self._stage_started(pair)
                future = self._executor.submit(self._attempt, pair)
                running[future] = pair
                future.add_done_callback(ended.put)
            if not running:
                continue
            try:
                future = ended.get(timeout=TICK)
            except Empty:
                continue
            self._take_in(running.pop(future), future.result())
        return self.outcome

    def run_only(self, pairs: set[Pair], executor: Executor) -> None:
        """Go on with these pairs alone after an interruption, whatever became of their needs."""
        roles = {name: host_settings(host).role for name, host in self._nornir.inventory.hosts.items()}
        stages = [stage for stage in self._stages.values() if stage.always]
        among = {stage.name for stage in stages}
        kept = [replace(each, needs=tuple(need for need in each.needs if need.stage in among)) for each in stages]
        self._graph, self._executor = Graph(kept, roles, pairs), executor
        self._context.stop.clear()
        self.run()

    def _pointless(self, pair: Pair) -> str:
        """Say why there is nothing to look at yet in a dry run, where that is so."""
        stage = self._stages[pair.stage]
        if not self._context.dry_run or stage.after_changes:
            return ""
        return "a dry run: nothing to look at before the changes above are made" if self._pending else ""

    def _attempt(self, pair: Pair) -> _Attempt:
        """Run one pair, in a thread of the executor."""
        began, started = monotonic(), datetime.now(UTC)
        stage = self._stages[pair.stage]
        outside = self._graph.outside(pair)
        multi = self._run_task(stage, pair.host, dry_run=self._context.dry_run or bool(outside))
        unmet: list[Pair] = []
        if outside and not _ok(multi) and not isinstance(multi[0].exception, UnreachableError):
            # Needs outside the selection matter only where there is something to do.
            unmet = [each for each in outside if not _ok(self._looks.at(self._stages[each.stage], each.host))]
            if not unmet and not self._context.dry_run:
                multi = self._run_task(stage, pair.host, dry_run=False)
        result = stage_result(stage.name, multi, dry_run=self._context.dry_run)
        result = replace(result, seconds=monotonic() - began, started=started)
        return _Attempt(multi, self._with_unmet(result, unmet))

    def _with_unmet(self, result: StageResult, unmet: list[Pair]) -> StageResult:
        if not unmet:
            return result
        named = ", ".join(f"{pair.stage} on {pair.host}" for pair in unmet)
        first = unmet[0]
        return replace(
            result,
            status=StageStatus.FAILED,
            steps=(),
            message=f"needs {named} first, which is not in this selection and not done yet",
            output="",
            todo=f"run `{self._rerun(first)}` first",
        )

    def _run_task(self, stage: Stage, host: str, *, dry_run: bool) -> MultiResult:
        parameters: dict[str, Any] = {}
        if stage.gathers:
            parameters["gathered"] = self.outcome.gathered.get(stage.gathers) or Gathered()
        heard = _Heard()
        task = Task(
            stage.task,
            self._nornir,
            global_dry_run=dry_run,
            processors=Processors([*self._processors, heard]),
            name=stage.name,
            **parameters,
        )
        multi = task.start(self._nornir.inventory.hosts[host])
        # Checks that a task makes in Python are steps, too, and nobody has heard of them yet.
        for step in getattr(multi[0], "steps", ()):
            if step not in heard.steps:
                for processor in self._listeners():
                    processor.step_completed(task, task.host, step)
        return multi

    def _take_in(self, pair: Pair, attempt: _Attempt) -> None:
        first = attempt.multi[0]
        if isinstance(first, StepsResult) and not attempt.result.status.bad:
            self.outcome.gathered.setdefault(pair.stage, Gathered())[pair.host] = first
        self._aggregated.setdefault(pair.stage, AggregatedResult(pair.stage))[pair.host] = attempt.multi
        result = attempt.result
        if result.status.bad:
            result = replace(result, rerun=self._rerun(pair))
        self._settle(pair, result)

    def _settle(self, pair: Pair, result: StageResult) -> None:
        self._record(pair, result)
        for blocked in self._graph.settle(pair, result.status):
            self._record(blocked.pair, StageResult(blocked.pair.stage, StageStatus.SKIPPED, message=_why(blocked)))

    def _record(self, pair: Pair, result: StageResult) -> None:
        self.outcome.stages[pair] = result
        self._pending = self._pending or result.status is StageStatus.WOULD_CHANGE
        for processor in self._listeners():
            processor.stage_settled(pair.host, result)
        self._left[pair.stage] -= 1
        self._left_on[pair.host] -= 1
        if not self._left[pair.stage] and pair.stage in self._aggregated:
            task = self._plain_task(pair.stage)
            self._processors.task_completed(task, self._aggregated[pair.stage])
        if not self._left_on[pair.host] and pair.host not in self._keep_open:
            close_shell(self._nornir.inventory.hosts[pair.host])

    def _stage_started(self, pair: Pair) -> None:
        if pair.stage not in self._aggregated:
            self._aggregated[pair.stage] = AggregatedResult(pair.stage)
            self._processors.task_started(self._plain_task(pair.stage))

    def _plain_task(self, stage: str) -> Task:
        return Task(self._stages[stage].task, self._nornir, self._context.dry_run, self._processors, name=stage)

    def _listeners(self) -> list[RunProcessor]:
        return [processor for processor in self._processors if isinstance(processor, RunProcessor)]


class _Heard(RunProcessor):
    """Remembers the steps that were told of while the task ran."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def step_completed(self, task: Task, host: Host, step: Step) -> None:  # noqa: ARG002
        self.steps.append(step)


@dataclass(frozen=True)
class _Attempt:
    multi: MultiResult
    result: StageResult


def _why(blocked: Blocked) -> str:
    return f"needs {blocked.need.stage} on {blocked.host}: {blocked.need.reason}"


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
