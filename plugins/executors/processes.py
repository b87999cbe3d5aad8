"""Processes of this machine, each with threads of its own: `runner: {plugin: processes}`."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from plugins.executors.remote import WorkerLostError
from plugins.executors.worker import Record, Worker
from plugins.graph import Pair


class Processes:
    """A crew of processes (see Crew); they end with this process, however it ends."""

    def __init__(self, run_id: str, processes: int, threads: int) -> None:
        share = max(1, threads // processes)
        self._processes = {f"process {number}": _Process(run_id, share) for number in range(1, processes + 1)}

    def workers(self) -> Sequence[str]:
        """See Crew."""
        return [name for name, process in self._processes.items() if not process.lost]

    def pids(self) -> dict[str, int]:
        """Give the processes' ids by worker."""
        return {name: process.pid for name, process in self._processes.items()}

    def attempt(self, worker: str, pair: Pair) -> Future[Record]:
        """See Crew."""
        return self._processes[worker].ask("attempt", pair.host, pair.stage)

    def release(self, worker: str, host: str) -> None:
        """See Crew."""
        self._processes[worker].ask("release", host)

    def close(self) -> None:
        """See Crew."""
        for process in self._processes.values():
            process.end()
        for process in self._processes.values():
            process.gone()


class _Process:
    def __init__(self, run_id: str, threads: int) -> None:
        context = get_context("spawn")  # a fork would copy locks that other threads hold
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, run_id, threads), daemon=True)
        self._process.start()
        theirs.close()
        self.pid = self._process.pid or 0
        self.lost = ""
        self._numbers = itertools.count()
        self._asked: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, name="worker", daemon=True).start()

    def ask(self, *request: str) -> Future[Any]:
        answer: Future[Any] = Future()
        with self._lock:
            if not self.lost:
                number = next(self._numbers)
                self._asked[number] = answer
                with contextlib.suppress(OSError):  # the listener hears of its end, too
                    self._pipe.send((number, *request))
                return answer
        answer.set_exception(WorkerLostError(self.lost))
        return answer

    def _listen(self) -> None:
        words = ""
        try:
            while True:
                number, value = self._pipe.recv()
                if number is None:  # its last words
                    words = str(value)
                    continue
                answer = self._asked.pop(number)
                if isinstance(value, Exception):
                    answer.set_exception(value)
                else:
                    answer.set_result(value)
        except (EOFError, OSError):
            self._process.join(timeout=5)
        with self._lock:
            self.lost = words or f"process {self.pid} ended with exit status {self._process.exitcode}"
            asked, self._asked = list(self._asked.values()), {}
        for waiting in asked:
            waiting.set_exception(WorkerLostError(self.lost))

    def end(self) -> None:
        self._process.terminate()

    def gone(self) -> None:
        self._process.join(timeout=2)


def serve(pipe: Connection, run_id: str, threads: int) -> None:
    """Answer requests until the other side closes; the process then ends at once, whatever still runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that decides
    sending = threading.Lock()

    def send(*answer: object) -> None:
        with sending, contextlib.suppress(OSError):
            pipe.send(answer)

    def answer(number: int, what: str, host: str, *more: str) -> None:
        try:
            send(number, getattr(worker, what)(host, *more))
        except Exception as error:  # noqa: BLE001  # as text: not every error survives being sent
            send(number, RuntimeError(f"{type(error).__name__}: {error}"))

    try:
        worker = Worker(run_id)
        executor = ThreadPoolExecutor(threads, thread_name_prefix="host")
        while True:
            executor.submit(answer, *pipe.recv())
    except EOFError:
        pass
    except Exception as error:  # noqa: BLE001  # said where it can be heard
        send(None, f"{type(error).__name__}: {error}")
    os._exit(0)
