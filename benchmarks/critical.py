"""A bootstrap of the lab against its critical path: `python -m benchmarks.critical`.

The critical path, which every run's report has, is the longest chain of stages of which each needs the one before it:
no scheduler can be faster with the same stages.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.project_copy import ROOT
from benchmarks.report import aligned, command, document, this_machine, write
from plugins.errors import RunbookError


@dataclass(frozen=True)
class Chain:
    """One run: its kind, seconds of wall time and of its critical path, and that path as `host stage seconds`."""

    what: str
    wall: float
    critical: float
    links: list[tuple[str, str, float]]


def chain_of(what: str, report: Mapping[str, Any]) -> Chain:
    """Read the critical path out of a run's report."""
    links = [(link["host"], link["stage"], link["seconds"]) for link in report["run"]["critical_path"]]
    return Chain(what, report["run"]["seconds"], sum(seconds for *_, seconds in links), links)


def bootstrap(what: str, folder: Path, mirror: Sequence[str]) -> Chain:
    """Bootstrap the lab as it is now; `mirror` are words of the command line."""
    report = folder / "report.json"
    _run("runbooks.bootstrap", "-i", "inventory/lab", *mirror, "--report", str(report))
    return chain_of(what, json.loads(report.read_text(encoding="utf-8")))


def _run(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RunbookError(f"{' '.join(words)} failed (exit status {done.returncode}):\n{done.stdout[-4000:]}")


def table(results: Sequence[Chain]) -> str:
    """Medians by kind, the ratio's being that of each run's own, and the chain of the run in the middle."""
    rows, chains = [("bootstrap", "wall", "critical path", "ratio")], []
    for what in dict.fromkeys(each.what for each in results):
        runs = sorted((each for each in results if each.what == what), key=lambda each: each.wall)
        wall, critical = median(run.wall for run in runs), median(run.critical for run in runs)
        ratio = median(run.wall / run.critical for run in runs)
        rows.append((what, f"{wall:.1f} s", f"{critical:.1f} s", f"{ratio:.2f}"))
        chain = runs[len(runs) // 2].links
        chains.append(f"{what}: " + ", ".join(f"{stage} on {host} {seconds:.1f} s" for host, stage, seconds in chain))
    return "\n".join([aligned(rows), *chains])


def critical() -> None:
    """Measure, and show what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.critical", description=__doc__)
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="measurements of each kind (5)")
    parser.add_argument("--mirror", metavar="URL_OR_DIR", help="where Kubernetes' programs are; none: overlay alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement to this file")
    given, machine = parser.parse_args(), this_machine()
    print(machine, flush=True)
    results = []
    mirror = ["--mirror", given.mirror] if given.mirror else []
    with TemporaryDirectory(prefix="ovn-runbooks-benchmark-") as name:
        for turn in range(1, given.repeat + 1):
            _run("runbooks.lab", "up", "--fresh", "--windows", "0", "--with-kubernetes" if mirror else "--overlay-only")
            if mirror:
                _run("runbooks.artifacts", "lock", "-i", "inventory/lab", *mirror)
            results += [bootstrap(what, Path(name), mirror) for what in ("bare hosts", "nothing to change")]
            print(f"{turn} of {given.repeat}: {results[-2].wall:.1f} s, {results[-1].wall:.1f} s", file=sys.stderr)
    print(table(results))
    write(given.json, document("critical", machine, results, repeat=given.repeat))


if __name__ == "__main__":
    sys.exit(command(critical))
