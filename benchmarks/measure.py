"""The two sides of the comparison: our run of one task, and plain ssh with a script written by hand."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.local_hosts import LocalHost
from benchmarks.project_copy import environment
from plugins.errors import RunbookError

LOOKS = 40
MINIMAL = Path(__file__).with_name("minimal.sh")
_LIMIT = 120.0  # seconds for one run
_ANSWER = re.compile(r"run (\d+) ([0-9.e-]+)\n")  # a line of warm.py: exit status, seconds


@dataclass
class Seconds:
    """What was measured with one number of hosts, in seconds of wall time, in the order of measuring."""

    hosts: int
    process: list[float] = field(default_factory=list)
    """Ours, from the start of Python to its end."""
    run: list[float] = field(default_factory=list)
    """Ours again, in a process that has made the same run before."""
    ssh: list[float] = field(default_factory=list)
    """ssh HOST bash -s, to all hosts at once."""

    def ratio(self, ours: Sequence[float]) -> float:
        """Give how many times as long as plain ssh ours takes: median by median."""
        return median(ours) / median(self.ssh)


def measure(project: Path, hosts: Sequence[LocalHost], repeat: int) -> Seconds:
    """Prepare the hosts, then time ours and plain ssh in turns; RunbookError when a run is not as it should be."""
    seconds = Seconds(len(hosts))
    inventory = hosts[0].folder / "inventory"
    run_once(project, inventory)
    check_nothing_to_do(project, inventory, hosts)
    with _warm(project, inventory) as warm:
        for turn in range(repeat + 1):
            ours, raw, again = run_once(project, inventory), plain_ssh(hosts), _ask(warm)
            if turn:  # the first one fills caches
                seconds.process.append(ours)
                seconds.ssh.append(raw)
                seconds.run.append(again)
    check_nothing_to_do(project, inventory, hosts)
    return seconds


def run_once(project: Path, inventory: Path, *more: str) -> float:
    """Run our task in a process of its own, and give its seconds."""
    command = [sys.executable, "-m", "benchmarks.forty_looks", "--inventory", str(inventory), *more]
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=project, env=environment(), capture_output=True, text=True, timeout=_LIMIT, check=False
    )
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise RunbookError(f"our own run failed (exit status {done.returncode}):\n{done.stdout}{done.stderr}")
    return took


def check_nothing_to_do(project: Path, inventory: Path, hosts: Sequence[LocalHost]) -> None:
    """Make sure by the report that every host has all looks and nothing to change."""
    report = inventory.parent / "report.json"
    run_once(project, inventory, "--report", str(report))
    seen = json.loads(report.read_text(encoding="utf-8"))["hosts"]
    for host in hosts:
        statuses = [step["status"] for stage in seen[host.name]["stages"] for step in stage["steps"]]
        if statuses != ["ok"] * LOOKS:
            raise RunbookError(f"{host.name}: expected {LOOKS} steps without a change, saw {statuses}")


def plain_ssh(hosts: Sequence[LocalHost]) -> float:
    """Send the script written by hand to all hosts at once, and give the seconds until the last one has answered."""
    with contextlib.ExitStack() as stack:
        inputs = [stack.enter_context(MINIMAL.open("rb")) for _ in hosts]
        began = time.perf_counter()
        clients = [
            subprocess.Popen(host.ssh("bash", "-s"), stdin=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            for host, script in zip(hosts, inputs, strict=True)
        ]
        try:
            answers = [client.communicate(timeout=_LIMIT)[0].decode(errors="replace") for client in clients]
        finally:
            for client in clients:
                client.kill()
        took = time.perf_counter() - began
    for host, client, answer in zip(hosts, clients, answers, strict=True):
        if client.returncode != 0 or answer != f"{LOOKS} looks\n":
            raise RunbookError(f"{host.name}: plain ssh failed (exit status {client.returncode}):\n{answer}")
    return took


@contextlib.contextmanager
def _warm(project: Path, inventory: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.warm", str(inventory)]
    process = subprocess.Popen(
        command,
        cwd=project,
        env=environment(),
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _ask(warm: subprocess.Popen[str]) -> float:
    """Have the warm process make a run, and give its seconds."""
    assert warm.stdin is not None
    assert warm.stderr is not None
    warm.stdin.write("\n")
    warm.stdin.flush()
    said: list[str] = []
    for line in warm.stderr:
        if answer := _ANSWER.fullmatch(line):
            if answer[1] == "0":
                return float(answer[2])
            raise RunbookError(f"our own run failed in the warm process (exit status {answer[1]}):\n{''.join(said)}")
        said.append(line)
    raise RunbookError(f"the warm process ended:\n{''.join(said)}")
