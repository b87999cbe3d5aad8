"""What distance costs: `python -m benchmarks.distance`, with delay between operator and hosts, and turns counted."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import peers
from benchmarks.local_hosts import check_machine, local_hosts
from benchmarks.looks import LOOKS
from benchmarks.measure import check_nothing_to_do, plain_ssh, run_once
from benchmarks.project_copy import copy_project
from benchmarks.report import aligned, command, document, spread, this_machine, write
from benchmarks.slow_line import Counter, slow_line
from benchmarks.tools import Peers
from benchmarks.turns import PLAIN, Side, in_turns

OURS, MORE = "ours", "ours, three tasks"
WHAT = """Compare a re-run of one task of forty looks over a slow line. Turns are how often the client speaks after the
host did; what three tasks turn more often than one is what a task turns beyond the handshake."""


@dataclass
class Distance:
    """One side at one delay: `delay` is a round trip in ms; turns of a whole run, by host; seconds of wall time."""

    delay: int
    hosts: int
    side: str
    seconds: list[float]
    turns: list[float]


def counting(side: Side, counter: Counter, hosts: int, turns: list[float]) -> Side:
    """Note a side's turns a host each time that it is measured."""

    def run() -> float:
        counter.counted()
        seconds = side()
        turns.append(counter.counted()[1] / hosts)
        return seconds

    return run


def compare(given: argparse.Namespace, tools: Peers) -> list[Distance]:
    """Measure at each delay."""
    found = []
    with tempfile.TemporaryDirectory(prefix="ovn-runbooks-benchmark-") as name:
        folder = Path(name)
        project = copy_project(folder)
        with local_hosts(folder, given.hosts) as hosts:
            run_once(project, folder / "inventory")
            check_nothing_to_do(project, folder / "inventory", hosts)
            for delay in given.delay:
                with slow_line(hosts, delay / 1000, folder / f"{delay}ms") as (slow, counter):
                    inventory = slow[0].folder / "inventory"
                    sides: dict[str, Side] = {
                        OURS: partial(run_once, project, inventory),
                        PLAIN: partial(plain_ssh, slow),
                        MORE: partial(run_once, project, inventory, "--times", "3"),
                        **peers.sides(tools, slow, given.peers),
                    }
                    turns: dict[str, list[float]] = {side: [] for side in sides}
                    counted = {side: counting(run, counter, len(hosts), turns[side]) for side, run in sides.items()}
                    seconds = in_turns(len(hosts), counted, given.repeat, dict(given.rounds)).seconds
                    found += [Distance(delay, len(hosts), side, seconds[side], turns[side][1:]) for side in sides]
    return found


def per_task(results: Sequence[Distance]) -> dict[int, float]:
    """Give the turns of one task beyond the handshake, by delay."""
    turns = {(each.delay, each.side): median(each.turns) for each in results}
    return {delay: (turns[delay, MORE] - turns[delay, OURS]) / 2 for delay, side in turns if side == OURS}


def table(results: Sequence[Distance]) -> str:
    """One line for each delay and side."""
    rows = [("round trip", "side", "rounds", "median (fastest-slowest)", "turns a host")]
    rows += [
        (f"{each.delay} ms", each.side, str(len(each.seconds)), spread(each.seconds), f"{median(each.turns):.1f}")
        for each in results
    ]
    tasks = ", ".join(f"{turns:.1f} at {delay} ms" for delay, turns in per_task(results).items())
    return f"{aligned(rows)}\nturns a task of ours beyond the handshake: {tasks}"


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distance", description=WHAT)
    parser.add_argument("--hosts", type=int, default=3, metavar="N", help="how many hosts (3)")
    parser.add_argument("--delay", type=int, nargs="+", default=[20, 100], metavar="MS", help="round trips (20 100)")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="measurements of each kind (5)")
    peers.options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement to this file")
    given = parser.parse_args(words)
    if min(given.hosts, given.repeat, *given.delay) < 1:
        parser.error("--hosts, --delay and --repeat: write numbers from 1")
    return given


def distance() -> None:
    """Measure, and show what was measured."""
    given = arguments()
    check_machine()
    machine = this_machine()
    with peers.wanted(given) as tools:
        print(machine, *(f"{name} {version}" for name, version in tools.versions.items()), sep=", ")
        print(f"{given.hosts} hosts, {LOOKS} looks, median (fastest-slowest) of {given.repeat}", flush=True)
        results = compare(given, tools)
    print(table(results))
    more = {"looks": LOOKS, "repeat": given.repeat, "rounds": dict(given.rounds), "peers": tools.versions}
    more["turns_a_task"] = per_task(results)
    write(given.json, document("distance", machine, results, **more))


if __name__ == "__main__":
    sys.exit(command(distance))
