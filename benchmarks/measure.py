"""The two sides of the comparison: our run of one task, and plain ssh with a script written by hand."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.local_hosts import LocalHost
from benchmarks.looks import LOOKS
from benchmarks.project_copy import environment
from plugins.errors import RunbookError

MINIMAL = Path(__file__).with_name("minimal.sh")
_LIMIT = 120.0  # seconds for one run
_ANSWER = re.compile(r"run (\d+) ([0-9.e-]+)\n")  # a line of warm.py: exit status, seconds


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
def warm(project: Path, inventory: Path) -> Iterator[Callable[[], float]]:
    """Lend a function that makes our run in a process that has made it before."""
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
        yield lambda: _ask(process)
    finally:
        process.kill()
        process.communicate()


def _ask(process: subprocess.Popen[str]) -> float:
    """Have the warm process make a run, and give its seconds."""
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write("\n")
    process.stdin.flush()
    said: list[str] = []
    for line in process.stderr:
        if answer := _ANSWER.fullmatch(line):
            if answer[1] == "0":
                return float(answer[2])
            raise RunbookError(f"our own run failed in the warm process (exit status {answer[1]}):\n{''.join(said)}")
        said.append(line)
    raise RunbookError(f"the warm process ended:\n{''.join(said)}")
