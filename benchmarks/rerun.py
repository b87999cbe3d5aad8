"""What a re-run with nothing to change costs against plain ssh: `python -m benchmarks.rerun`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.local_hosts import check_machine, local_hosts
from benchmarks.measure import LOOKS, Seconds, measure
from benchmarks.project_copy import copy_project
from plugins.errors import RunbookError, UsageError

SCHEMA_VERSION = 1
INTERRUPTED = 130
MOST_HOSTS = 200
WHAT = """Compare a re-run of one task of forty looks, with nothing to change, with `ssh HOST bash -s` and a script
written by hand that makes the same looks."""
HOW = """Starts SSH servers of its own on loopback addresses (root, openssh-server) and takes them away again. Both
sides look at the same hosts in turns, so that whatever else the machine does meets both."""


@dataclass(frozen=True)
class Machine:
    """Where it was measured; `load` is the number of runnable processes over the last minute, before the start."""

    cores: int
    load: float
    kernel: str
    python: str
    openssh: str


def this_machine() -> Machine:
    """Look at the machine."""
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr.strip()
    cores = len(os.sched_getaffinity(0))
    return Machine(cores, os.getloadavg()[0], platform.release(), platform.python_version(), said)


def compare(counts: list[int], repeat: int) -> list[Seconds]:
    """Measure with each number of hosts, each time with fresh servers and a fresh folder."""
    results = []
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="ovn-runbooks-benchmark-") as name:
            folder = Path(name)
            project = copy_project(folder)
            with local_hosts(folder, count) as hosts:
                results.append(measure(project, hosts, repeat))
    return results


_HEAD = ("hosts", "ours", "without start-up", "plain ssh", "ratio", "ratio without start-up")


def table(results: list[Seconds]) -> str:
    """Medians in milliseconds, with the fastest and the slowest in brackets, and the two ratios."""

    def cell(values: list[float]) -> str:
        low, middle, high = (round(1000 * value) for value in (min(values), median(values), max(values)))
        return f"{middle} ms ({low}-{high})"

    rows = [_HEAD] + [
        (
            str(each.hosts),
            cell(each.process),
            cell(each.run),
            cell(each.ssh),
            f"{each.ratio(each.process):.2f}",
            f"{each.ratio(each.run):.2f}",
        )
        for each in results
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(word.rjust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def document(machine: Machine, repeat: int, results: list[Seconds]) -> dict[str, Any]:
    """Give the result as data: every measurement, in seconds, beside the ratios."""
    measured = [
        asdict(each) | {"ratio_process": each.ratio(each.process), "ratio_run": each.ratio(each.run)}
        for each in results
    ]
    head = {"version": SCHEMA_VERSION, "benchmark": "rerun", "looks": LOOKS, "repeat": repeat}
    return head | {"machine": asdict(machine), "results": measured}


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rerun", description=WHAT, epilog=HOW)
    parser.add_argument("--hosts", type=int, nargs="+", default=[3, 10], metavar="N", help="how many hosts (3 10)")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="measurements of each kind (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement to this file")
    given = parser.parse_args(words)
    if min(given.hosts) < 1 or max(given.hosts) > MOST_HOSTS:
        parser.error(f"--hosts: write numbers from 1 to {MOST_HOSTS}")
    if given.repeat < 1:
        parser.error("--repeat: write 1 or more")
    return given


def rerun(hosts: list[int], repeat: int, file: Path | None) -> None:
    """Measure, and show what was measured."""
    check_machine()
    machine = this_machine()
    print(f"{machine.cores} cores (load {machine.load:.1f}), Linux {machine.kernel}, Python {machine.python}")
    print(f"{machine.openssh}; {LOOKS} looks, median (fastest-slowest) of {repeat}", flush=True)
    results = compare(hosts, repeat)
    print(table(results))
    if file is not None:
        file.write_text(json.dumps(document(machine, repeat, results), indent=2) + "\n", encoding="utf-8")


def main() -> int:
    """Run the command; SIGTERM and SIGHUP end it as Ctrl-C does, with everything taken away."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    given = arguments()
    try:
        rerun(given.hosts, given.repeat, given.json)
    except KeyboardInterrupt:
        print("Interrupted; the servers and their files are gone.", file=sys.stderr)
        return INTERRUPTED
    except RunbookError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
