"""How runs grow with the number of hosts: `python -m benchmarks.many`, against simulated hosts."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.project_copy import copy_project, environment
from benchmarks.report import aligned, command, document, this_machine, write
from plugins.errors import RunbookError
from plugins.simulate.cluster import Options, SimulatedCluster

WHAT = """Measure one task, and the whole bootstrap with nothing to change, against many simulated hosts in a process of
their own: wall time, processor time a host of ours and of theirs, peak memory and threads."""
RUNS = {"one task": ("runbooks.task", "install"), "bootstrap": ("runbooks.bootstrap",)}
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


@dataclass
class Growth:
    """All runs of one kind against so many hosts."""

    what: str
    hosts: int
    runs: list[Run] = field(default_factory=list)

    def middle(self, name: str) -> float:
        """Give the median of one of a run's numbers."""
        return median(float(getattr(run, name)) for run in self.runs)


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


def grow(count: int, repeat: int) -> list[Growth]:
    """Measure against so many hosts, which are bootstrapped first, so that there is nothing left to change."""
    found = [Growth(what, count) for what in RUNS]
    with (
        TemporaryDirectory(prefix="ovn-runbooks-benchmark-") as name,
        SimulatedCluster(Options(count=count)) as cluster,
    ):
        project = copy_project(Path(name))
        measure(project, cluster, RUNS["bootstrap"])
        for turn in range(1, repeat + 1):
            for each in found:
                each.runs.append(measure(project, cluster, RUNS[each.what]))
                seconds = each.runs[-1].seconds
                print(f"{count} hosts, {turn} of {repeat}: {each.what} {seconds:.1f} s", file=sys.stderr, flush=True)
    return found


def table(results: Sequence[Growth]) -> str:
    """One line for each kind of run and number of hosts, in medians."""
    rows = [("what", "hosts", "wall", "ours per host", "theirs per host", "memory", "threads")]
    for each in results:
        own, theirs = (1000 * each.middle(name) / each.hosts for name in ("own", "hosts"))
        wall, memory, threads = (each.middle(name) for name in ("seconds", "memory", "threads"))
        rows.append(
            (
                each.what,
                str(each.hosts),
                f"{wall:.1f} s",
                f"{own:.1f} ms",
                f"{theirs:.1f} ms",
                f"{memory:.0f} MB",
                f"{threads:.0f}",
            )
        )
    return aligned(rows)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many", description=WHAT)
    parser.add_argument("--hosts", type=int, nargs="+", default=[100, 1000], metavar="N", help="how many (100 1000)")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="measurements of each kind (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement to this file")
    given = parser.parse_args(words)
    if min(*given.hosts, given.repeat) < 1:
        parser.error("--hosts and --repeat: write numbers from 1")
    return given


def many() -> None:
    """Measure, and show what was measured."""
    given, machine = arguments(), this_machine()
    print(f"{machine}; medians of {given.repeat}; processor time a host of ours and of the simulated hosts", flush=True)
    results = sorted((each for count in given.hosts for each in grow(count, given.repeat)), key=lambda each: each.what)
    print(table(results))
    write(given.json, document("many", machine, results, repeat=given.repeat))


if __name__ == "__main__":
    sys.exit(command(many))
