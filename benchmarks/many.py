"""How runs grow with the number of hosts: `python -m benchmarks.many`, against simulated hosts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.project_copy import copy_project
from benchmarks.report import aligned, command, document, this_machine, write
from benchmarks.watched import Run, measure
from plugins.simulate.cluster import Options, SimulatedCluster

WHAT = """Measure one task, and the whole bootstrap with nothing to change, against many simulated hosts in a process of
their own: wall time, processor time a host of ours and of theirs, peak memory and threads."""
RUNS = {"one task": ("runbooks.task", "install"), "bootstrap": ("runbooks.bootstrap",)}


@dataclass
class Growth:
    """All runs of one kind against so many hosts."""

    what: str
    hosts: int
    runs: list[Run] = field(default_factory=list)

    def middle(self, name: str) -> float:
        """Give the median of one of a run's numbers."""
        return median(float(getattr(run, name)) for run in self.runs)


def grow(count: int, repeat: int, processes: int) -> list[Growth]:
    """Measure against so many hosts, which are bootstrapped first, so that there is nothing left to change."""
    options = Options(count=count)
    with TemporaryDirectory(prefix="ovn-runbooks-benchmark-") as name, SimulatedCluster(options) as cluster:
        projects = {"": copy_project(Path(name) / "threads")}
        if processes:
            runner = {"plugin": "processes", "options": {"processes": processes}}
            projects[f", {processes} processes"] = copy_project(Path(name) / "processes", runner)
        found = {(how, what): Growth(what + how, count) for what in RUNS for how in projects}
        measure(projects[""], cluster, RUNS["bootstrap"])
        for turn in range(1, repeat + 1):
            for (how, what), each in found.items():
                each.runs.append(measure(projects[how], cluster, RUNS[what]))
                seconds = each.runs[-1].seconds
                print(f"{count} hosts, {turn} of {repeat}: {each.what} {seconds:.1f} s", file=sys.stderr, flush=True)
    return list(found.values())


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
    parser.add_argument("--processes", type=int, default=0, metavar="N", help="and the same by so many processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement to this file")
    given = parser.parse_args(words)
    if min(*given.hosts, given.repeat) < 1:
        parser.error("--hosts and --repeat: write numbers from 1")
    return given


def many() -> None:
    """Measure, and show what was measured."""
    given, machine = arguments(), this_machine()
    print(f"{machine}; medians of {given.repeat}; processor time a host of ours and of the simulated hosts", flush=True)
    results = sorted(
        (each for count in given.hosts for each in grow(count, given.repeat, given.processes)),
        key=lambda each: each.what,
    )
    print(table(results))
    write(given.json, document("many", machine, results, repeat=given.repeat))


if __name__ == "__main__":
    sys.exit(command(many))
