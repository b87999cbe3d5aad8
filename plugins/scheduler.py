"""Runs the pairs of a graph on an executor: one loop in the main thread, no thread ever waits on a need."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue

from nornir.core import Nornir
from nornir.core.task import AggregatedResult, Task

from plugins.attempts import Attempt, listeners
from plugins.context import RunContext
from plugins.executors.base import Executor
from plugins.gathered import Gathered
from plugins.graph import Blocked, Graph, Pair
from plugins.inventory import host_settings
from plugins.results import StageResult, StageStatus
from plugins.stages import Runbook
from plugins.steps import StepsResult

TICK = 0.5  # seconds between looks at the stop flag


@dataclass
class Outcome:
    """What all pairs came to: results for the reader by pair, and the tasks' own results by stage and host."""

    stages: dict[Pair, StageResult] = field(default_factory=dict)
    gathered: defaultdict[str, Gathered] = field(default_factory=lambda: defaultdict(Gathered))


class Scheduler:
    """One run: hands ready pairs to `executor` and settles them as they end."""

    def __init__(
        self,
        runbook: Runbook,
        graph: Graph,
        nornir: Nornir,
        context: RunContext,
        executor: Executor,
        outcome: Outcome,
        rerun: Callable[[Pair], str],
        keep_open: Container[str] = (),
    ) -> None:
        self._stages = {stage.name: stage for stage in runbook.stages}
        self._graph, self._nornir, self._context, self._executor, self._rerun = graph, nornir, context, executor, rerun
        self._processors = nornir.processors
        self._keep_open = keep_open
        self._left = Counter(pair.stage for pair in graph.pairs)
        self._left_on = Counter(pair.host for pair in graph.pairs)
        self._aggregated: dict[str, AggregatedResult] = {}
        self._pending = False  # something would change, on whatever host
        self._shared: Counter[str] = Counter()  # of how many hosts the executor knows what a stage gathered
        self.outcome = outcome

    def run(self) -> Outcome:
        """Run everything; on KeyboardInterrupt what is settled so far stands in `outcome`."""
        running: dict[Future[Attempt], Pair] = {}
        # concurrent.futures.wait() would go through all that run each time that one of them ends.
        ended: SimpleQueue[Future[Attempt]] = SimpleQueue()
        while not self._graph.finished:
            if self._context.stop.is_set():
                raise KeyboardInterrupt
            for pair in self._graph.take():
                if reason := self._pointless(pair):
                    self._settle(pair, StageResult(pair.stage, StageStatus.SKIPPED, message=reason))
                    continue
                self._stage_started(pair)
                future = self._executor.submit(pair)
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

    def _take_in(self, pair: Pair, attempt: Attempt) -> None:
        first = attempt.multi[0]
        if isinstance(first, StepsResult) and not attempt.result.status.bad:
            self.outcome.gathered[pair.stage][pair.host] = first
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
        for processor in listeners(self._processors):
            processor.stage_settled(pair.host, result)
        self._left[pair.stage] -= 1
        self._left_on[pair.host] -= 1
        if not self._left[pair.stage] and pair.stage in self._aggregated:
            task = self._plain_task(pair.stage)
            self._processors.task_completed(task, self._aggregated[pair.stage])
        if not self._left_on[pair.host] and pair.host not in self._keep_open:
            self._executor.release(pair.host)

    def _stage_started(self, pair: Pair) -> None:
        gathers = self._stages[pair.stage].gathers
        if gathers and self._shared[gathers] != len(gathered := self.outcome.gathered[gathers]):
            self._shared[gathers] = len(gathered)
            self._executor.share(gathers, gathered)
        if pair.stage not in self._aggregated:
            self._aggregated[pair.stage] = AggregatedResult(pair.stage)
            self._processors.task_started(self._plain_task(pair.stage))

    def _plain_task(self, stage: str) -> Task:
        return Task(self._stages[stage].task, self._nornir, self._context.dry_run, self._processors, name=stage)


def _why(blocked: Blocked) -> str:
    return f"needs {blocked.need.stage} on {blocked.host}: {blocked.need.reason}"
