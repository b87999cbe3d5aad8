"""A worker away from the scheduler: it loads inventory and secrets itself, and answers with plain records."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from nornir.core.inventory import Host
from nornir.core.task import MultiResult, Result, Task

from plugins.attempts import Attempt, Attempts, listeners
from plugins.connections import close_shell
from plugins.executors.ticket import gathered_count, read_gathered, read_ticket
from plugins.filters import select
from plugins.gathered import Gathered
from plugins.graph import Graph, Pair
from plugins.inventory import host_settings, read_secrets
from plugins.prepare import prepare
from plugins.processors.base import RunProcessor
from plugins.results import StageResult
from plugins.selection import first_command, pairs_of
from plugins.settings import ROOT, init, load_settings
from plugins.steps import StepsResult


@dataclass(frozen=True)
class Record:
    """What a pair came to. `facts` is None where the task raised an error; `said` are the host's other lines."""

    result: StageResult
    facts: dict[str, str] | None
    said: tuple[str, ...]
    worker: str = ""


class Worker:
    """Runs pairs of one run; safe to use from many threads. Raises what a run's own start would raise."""

    def __init__(self, run_id: str) -> None:
        settings = load_settings(ROOT / "config.yaml")
        ticket = read_ticket(settings, run_id)
        runbook, options = ticket.runbook, ticket.options
        self._nornir = init(options.inventory, settings)
        context = self._context = prepare(self._nornir, settings, options, run_id, ticket.owner)
        hosts = self._nornir.inventory.hosts
        pairs = pairs_of(
            runbook, self._nornir, select(self._nornir, options.hosts, options.roles, options.expression), options
        )
        read_secrets(hosts[host] for host in {pair.host for pair in pairs})
        self._compared = {stage.gathers for stage in runbook.stages}
        self._said = _Said()
        self._nornir.processors.append(self._said)
        graph = Graph(runbook.stages, {name: host_settings(host).role for name, host in hosts.items()}, set(pairs))
        self._facts: dict[str, Gathered] = {}
        self._lock = threading.Lock()
        self._settings, self._run_id = settings, run_id
        self._attempts = Attempts(
            runbook,
            self._nornir,
            context,
            graph.outside,
            self._gathered,
            lambda pair: first_command(runbook, pair, options),
        )

    def _gathered(self, stage: str) -> Gathered:
        with self._lock:
            known, count = self._facts.get(stage), gathered_count(self._settings, self._run_id, stage)
            if known is None or len(known) != count:
                known = self._facts[stage] = read_gathered(self._settings, self._run_id, stage)
            return known

    def attempt(self, host: str, stage: str, *, name: str = "") -> Record:
        """Run one pair; `name` is the worker's own."""
        attempt = self._attempts.make(Pair(stage, host))
        first, said = attempt.multi[0], self._said.pop(host)
        if isinstance(first, StepsResult):
            # Facts that nobody compares stay here.
            return Record(attempt.result, first.facts if stage in self._compared else {}, said, name)
        return Record(attempt.result, None, (*said, *str(first.result or "").splitlines()), name)

    def release(self, host: str) -> None:
        """Close a host's connection."""
        close_shell(self._nornir.inventory.hosts[host])

    def close(self) -> None:
        """Close all connections, and what was served to hosts."""
        self._context.serving.close()
        for host in self._nornir.inventory.hosts:
            self.release(host)


class _Said(RunProcessor):
    """Keeps the lines that a host says beside its steps."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def output_line(self, task: Task, host: Host, text: str) -> None:  # noqa: ARG002
        self._lines.setdefault(host.name, []).append(text)

    def pop(self, host: str) -> tuple[str, ...]:
        """Give the lines since the last time."""
        return tuple(self._lines.pop(host, ()))


def retold(record: Record, task: Task, host: Host) -> Attempt:
    """Tell this process's processors what became of a pair elsewhere, and give it as if it had been run here."""
    processors, steps = task.processors, record.result.steps
    for listener in listeners(processors):
        for line in record.said:
            listener.output_line(task, host, line)
        for step in steps:
            listener.step_started(task, host, step.name)
            listener.step_completed(task, host, step)
    multi = MultiResult(task.name)
    if record.facts is None:
        multi.append(Result(host, result=record.result.message, failed=record.result.status.bad))
    else:
        multi.append(StepsResult(host, steps, record.facts, record.result.todo))
    processors.task_instance_completed(task, host, multi)
    return Attempt(multi, record.result)
