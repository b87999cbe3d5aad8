"""One run against simulated hosts, and what it takes: time, processors, memory, threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.project_copy import environment
from plugins.errors import RunbookError
from plugins.simulate.cluster import SimulatedCluster

_LIMIT = 1800.0  # seconds for one run
_TICK = 0.05
_CLOCK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """One run: `seconds` of wall time, `own` and `hosts` seconds of processor time, `memory` in MB."""

    seconds: float
    own: float
    hosts: float
    memory: float
    threads: int


def measure(project: Path, cluster: SimulatedCluster, words: Sequence[str]) -> Run:
    """Make one run in a process of its own; RunbookError when it does not end well."""
    variables = environment() | cluster.environment
    before, began = _processor_time(cluster.pid), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=project,
        env=variables,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    threads = [0]
    watching = threading.Thread(target=_watch, args=(process.pid, threads), daemon=True)
    watching.start()
    assert process.stdout is not None
    limit = threading.Timer(_LIMIT, process.kill)
    limit.start()
    try:
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
    finally:
        limit.cancel()
        process.stdout.close()
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RunbookError(f"{' '.join(words)} failed (exit status {process.returncode}):\n{said[-4000:]}")
    theirs = _processor_time(cluster.pid) - before
    return Run(seconds, used.ru_utime + used.ru_stime, theirs, used.ru_maxrss / 1024, threads[0])


def _watch(pid: int, most: list[int]) -> None:
    """Remember the greatest number of threads, until the process is gone."""
    try:
        while True:
            most[0] = max(most[0], sum(1 for _ in os.scandir(f"/proc/{pid}/task")))
            time.sleep(_TICK)
    except OSError:
        return


def _processor_time(pid: int) -> float:
    numbers = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / _CLOCK
