"""A Dask distributed cluster that is there already: `runner: {plugin: dask, options: {address: ...}}`.

Its workers need this project, its config.yaml, the inventory and the state and log folders at the same paths, and
Dask's own `--nthreads` says how many hosts each works on at the same time. Dask itself sends what a lost worker had
to the others.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from distributed import Client, get_worker

from plugins.errors import UsageError
from plugins.executors.remote import WorkerLostError
from plugins.executors.worker import Record, Worker
from plugins.graph import Pair

PATIENCE = 10.0  # seconds for the cluster to answer
_FRESH = 1.0  # seconds for which the list of workers holds


class Dask:
    """The workers of a Dask cluster as a crew (see Crew). Raises UsageError when it is not reached."""

    def __init__(self, run_id: str, address: str) -> None:
        self._run_id = run_id
        try:
            self._client = Client(address, timeout=PATIENCE, set_as_default=False, name="ovn-runbooks")
        except (OSError, ValueError) as error:
            raise UsageError(f"config.yaml: runner.options.address: no Dask scheduler at {address} ({error})") from None
        self._seen: tuple[float, list[str]] = (0.0, [])
        self._asked: set[Any] = set()

    def workers(self) -> Sequence[str]:
        """See Crew."""
        at, there = self._seen
        if time.monotonic() - at > _FRESH:
            there = list(self._client.scheduler_info(n_workers=-1)["workers"])
            self._seen = (time.monotonic(), there)
        return there

    def attempt(self, worker: str, pair: Pair) -> Future[Record]:
        """See Crew."""
        return self._ask(worker, "attempt", pair.host, pair.stage)

    def release(self, worker: str, host: str) -> None:
        """See Crew."""
        self._ask(worker, "release", host)

    def _ask(self, worker: str, *request: str) -> Future[Any]:
        answer: Future[Any] = Future()
        # No data is worth keeping, and a host is better run elsewhere than not at all.
        there = self._client.submit(
            on_worker, self._run_id, *request, workers=[worker], allow_other_workers=True, pure=False, retries=0
        )
        self._asked.add(there)  # Dask forgets what nobody holds

        def ended(done: Any) -> None:
            self._asked.discard(done)
            if done.cancelled():
                answer.cancel()
            elif done.status == "error":
                answer.set_exception(WorkerLostError(f"{type(done.exception()).__name__}: {done.exception()}"))
            else:
                answer.set_result(done.result())

        there.add_done_callback(ended)
        return answer

    def close(self) -> None:
        """See Crew."""
        with contextlib.suppress(Exception):
            self._client.cancel(list(self._asked), force=True)
            self._client.run(forget, self._run_id, on_error="ignore")
        self._client.close(timeout=PATIENCE)


_workers: dict[str, Worker] = {}
_lock = threading.Lock()


def on_worker(run_id: str, what: str, host: str, *more: str) -> Any:
    """Do on a worker what is asked of it: run a pair, or close a host's connection."""
    with _lock:
        if run_id not in _workers:
            _workers[run_id] = Worker(run_id)
    if what == "release":
        return _workers[run_id].release(host)
    [stage] = more
    return _workers[run_id].attempt(host, stage, name=get_worker().address)


def forget(run_id: str) -> None:
    """Close a run's connections on a worker."""
    worker = _workers.pop(run_id, None)
    if worker is not None:
        worker.close()
