"""Threads of this process, which is the default: up to some thousand hosts nothing else is faster."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from nornir.core import Nornir

from plugins.attempts import Attempt, Attempts
from plugins.connections import close_shell, open_shell
from plugins.context import RunContext
from plugins.gathered import Gathered
from plugins.graph import Pair


class Threads:
    """An executor of `workers` threads (see Executor)."""

    def __init__(self, attempts: Attempts, nornir: Nornir, context: RunContext, workers: int) -> None:
        self._attempts, self._hosts, self._context = attempts, nornir.inventory.hosts, context
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="host")

    def connect(self, host: str) -> None:
        """See Executor."""
        self._threads.submit(open_shell, self._hosts[host], self._context)

    def submit(self, pair: Pair) -> Future[Attempt]:
        """See Executor."""
        return self._threads.submit(self._attempts.make, pair)

    def share(self, stage: str, gathered: Gathered) -> None:
        """See Executor; threads have it already."""

    def release(self, host: str) -> None:
        """See Executor."""
        close_shell(self._hosts[host])

    def close(self) -> None:
        """See Executor; a thread that waits for its host ends when the host's connection is closed."""
        self._threads.shutdown(wait=False, cancel_futures=True)
