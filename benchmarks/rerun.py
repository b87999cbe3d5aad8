"""What a re-run with nothing to change costs, ours and others': `python -m benchmarks.rerun`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import peers
from benchmarks.local_hosts import check_machine, local_hosts
from benchmarks.looks import LOOKS
from benchmarks.measure import check_nothing_to_do, plain_ssh, run_once, warm
from benchmarks.project_copy import copy_project
from benchmarks.report import aligned, command, document, spread, this_machine, write
from benchmarks.tools import Peers
from benchmarks.turns import PLAIN, Side, Turns, in_turns

MOST_HOSTS = 200
OURS, WARM = "ours", "ours, warm"
WHAT = """Compare a re-run of one task of forty looks, with nothing to change, with `ssh HOST bash -s` and a script
written by hand that makes the same looks, and with other tools."""
HOW = """Starts SSH servers of its own on loopback addresses (root, openssh-server) and takes them away again. All
sides look at the same hosts in turns, so that whatever else the machine does meets all of them. Other tools are
installed into a virtual environment of their own, with pip."""


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rerun", description=WHAT, epilog=HOW)
    parser.add_argument("--hosts", type=int, nargs="+", default=[3, 10], metavar="N", help="how many hosts (3 10)")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="measurements of each kind (5)")
    peers.options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement to this file")
    given = parser.parse_args(words)
    if min(given.hosts) < 1 or max(given.hosts) > MOST_HOSTS:
        parser.error(f"--hosts: write numbers from 1 to {MOST_HOSTS}")
    if given.repeat < 1:
        parser.error("--repeat: write 1 or more")
    return given


def compare(count: int, repeat: int, installed: Peers, names: Sequence[str], rounds: Mapping[str, int]) -> Turns:
    """Measure with so many hosts, on fresh servers and in a fresh folder."""
    with tempfile.TemporaryDirectory(prefix="ovn-runbooks-benchmark-") as name:
        folder = Path(name)
        project = copy_project(folder)
        with local_hosts(folder, count) as hosts:
            inventory = folder / "inventory"
            run_once(project, inventory)
            check_nothing_to_do(project, inventory, hosts)
            with warm(project, inventory) as again:
                sides: dict[str, Side] = {
                    OURS: lambda: run_once(project, inventory),
                    PLAIN: lambda: plain_ssh(hosts),
                    WARM: again,
                }
                sides |= peers.sides(installed, hosts, names)
                turns = in_turns(count, sides, repeat, rounds)
            check_nothing_to_do(project, inventory, hosts)
    return turns


def table(results: Sequence[Turns]) -> str:
    """One line for each number of hosts and side: the median, and how many times as long as plain ssh."""
    rows = [("hosts", "side", "rounds", "median (fastest-slowest)", "ratio")]
    for each in results:
        for side, seconds in each.seconds.items():
            rows.append((str(each.hosts), side, str(len(seconds)), spread(seconds), f"{each.ratio(side):.2f}"))
    return aligned(rows)


def rerun() -> None:
    """Measure, and show what was measured."""
    given = arguments()
    check_machine()
    machine = this_machine()
    with peers.wanted(given) as installed:
        versions = installed.versions
        print(machine, *(f"{name} {version}" for name, version in versions.items()), sep=", ")
        print(f"{LOOKS} looks, median (fastest-slowest) of {given.repeat}", flush=True)
        rounds = dict(given.rounds)
        results = [compare(count, given.repeat, installed, given.peers, rounds) for count in given.hosts]
    print(table(results))
    measured = [
        {"hosts": each.hosts, "seconds": each.seconds, "ratios": {side: each.ratio(side) for side in each.seconds}}
        for each in results
    ]
    write(
        given.json,
        document("rerun", machine, measured, looks=LOOKS, repeat=given.repeat, rounds=rounds, peers=versions),
    )


if __name__ == "__main__":
    sys.exit(command(rerun))
