"""What executors elsewhere have in common: a host stays with its worker, and moves when that is lost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

from nornir.core import Nornir
from nornir.core.task import Task

from plugins.attempts import Attempt, listeners
from plugins.context import RunContext
from plugins.executors.ticket import remove_ticket, write_gathered
from plugins.executors.worker import Record, retold
from plugins.gathered import Gathered
from plugins.graph import Pair
from plugins.results import StageResult, StageStatus
from plugins.stages import Runbook

TRIES = 3  # workers that a pair may lose


class WorkerLostError(Exception):
    """A worker has ended, or cannot be reached, before it answered; the text says what is known of why."""


class Crew(Protocol):
    """Workers, and how one is asked."""

    def workers(self) -> Sequence[str]:
        """Name those that are there now."""

    def attempt(self, worker: str, pair: Pair) -> Future[Record]:
        """Have a pair run; WorkerLostError is in the future when the worker is lost."""

    def release(self, worker: str, host: str) -> None:
        """Have a host's connection closed."""

    def close(self) -> None:
        """End all that runs."""


class Remote:
    """An executor whose pairs are run by a crew (see Executor). A lost worker's hosts go to others.

    That is safe: a script that still runs on a host holds its lock there, and the next one waits for it.
    """

    def __init__(self, crew: Crew, runbook: Runbook, nornir: Nornir, context: RunContext) -> None:
        self._crew, self._nornir, self._context = crew, nornir, context
        self._tasks = {stage.name: stage.task for stage in runbook.stages}
        self._places: dict[str, str] = {}
        self._words = "none was there"
        self._lock = threading.Lock()

    def connect(self, host: str) -> None:
        """See Executor; the host's worker connects with its first pair."""

    def submit(self, pair: Pair) -> Future[Attempt]:
        """See Executor."""
        attempt: Future[Attempt] = Future()
        task, host = self._task(pair), self._nornir.inventory.hosts[pair.host]
        self._nornir.processors.task_instance_started(task, host)
        for listener in listeners(self._nornir.processors):
            listener.script_started(task, host)
        self._send(pair, attempt, 1)
        return attempt

    def _send(self, pair: Pair, attempt: Future[Attempt], tries: int) -> None:
        worker = self._place(pair.host)
        if not worker:
            self._tell(pair, attempt, _lost(pair, f"no worker is left ({self._words})"))
            return

        def ended(answer: Future[Record]) -> None:
            if answer.cancelled():
                attempt.cancel()
            elif (error := answer.exception()) is None:
                self._tell(pair, attempt, answer.result())
            elif isinstance(error, WorkerLostError) and tries < TRIES:
                self._leave(pair.host, worker)
                self._words = str(error)
                self._send(pair, attempt, tries + 1)
            else:
                self._tell(pair, attempt, _lost(pair, str(error) or type(error).__name__))

        self._crew.attempt(worker, pair).add_done_callback(ended)

    def _place(self, host: str) -> str:
        """Give a host's worker: the one that it has, or else the one with the fewest hosts."""
        with self._lock:
            there = self._crew.workers()
            if self._places.get(host) not in there:
                hosts = Counter(self._places.values())
                self._places[host] = min(there, key=lambda worker: hosts[worker], default="")
            return self._places[host]

    def _leave(self, host: str, worker: str) -> None:
        with self._lock:
            if self._places.get(host) == worker:
                del self._places[host]

    def _tell(self, pair: Pair, attempt: Future[Attempt], record: Record) -> None:
        if record.worker:
            with self._lock:
                self._places[pair.host] = record.worker
        try:
            attempt.set_result(retold(record, self._task(pair), self._nornir.inventory.hosts[pair.host]))
        except Exception as error:  # noqa: BLE001  # it is the scheduler's to raise
            attempt.set_exception(error)

    def _task(self, pair: Pair) -> Task:
        function, processors = self._tasks[pair.stage], self._nornir.processors
        return Task(function, self._nornir, self._context.dry_run, processors, pair.stage)

    def share(self, stage: str, gathered: Gathered) -> None:
        """See Executor."""
        write_gathered(self._context.settings, self._context.run_id, stage, gathered)

    def release(self, host: str) -> None:
        """See Executor."""
        if worker := self._places.get(host):
            self._crew.release(worker, host)

    def close(self) -> None:
        """See Executor."""
        self._crew.close()
        remove_ticket(self._context.settings, self._context.run_id)


def _lost(pair: Pair, why: str) -> Record:
    message = f"the worker that ran it was lost: {why}"
    todo = "look at the workers' own logs; the script goes on to its end on the host, and running again is safe"
    return Record(StageResult(pair.stage, StageStatus.FAILED, message=message, todo=todo), None, ())
