"""Benchmarks of distance, of many hosts and of the critical path measure what they say they do."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmarks import critical, distance, many
from benchmarks.local_hosts import LocalHost
from benchmarks.project_copy import copy_project
from benchmarks.slow_line import slow_line
from benchmarks.watched import measure
from plugins.simulate.cluster import Options, SimulatedCluster

DELAY = 0.2  # seconds, a round trip


@pytest.fixture
def echo(tmp_path: Path) -> LocalHost:
    """A server that answers every line with itself, under the name of a host whose keys are there."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        with connection, server:
            while data := connection.recv(1000):
                connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    for name in ("client", "client.pub", "master-1.pub"):
        (tmp_path / name).write_text("ssh-ed25519 AAAA")
    return LocalHost("master-1", "127.0.0.1", server.getsockname()[1], tmp_path)


def test_a_slow_line_takes_its_time_and_counts_turns(echo: LocalHost, tmp_path: Path) -> None:
    """Connecting and each question take a round trip; what is sent in one go is one turn."""
    with slow_line([echo], DELAY, tmp_path / "slow") as ([host], counter):
        began = time.monotonic()
        with socket.create_connection((host.address, host.port), timeout=5) as line:
            for number in (1, 2):
                line.sendall(b"hel")
                line.sendall(b"lo\n")
                answer = b""
                while len(answer) < 6:
                    answer += line.recv(100)
                assert answer == b"hello\n"
                took = time.monotonic() - began
                assert took >= (number + 1) * DELAY
                assert took < (number + 1) * DELAY + 15
        assert counter.counted() == (1, 2)
        assert counter.counted() == (0, 0)
        assert f"port: {host.port}" in (host.folder / "inventory" / "hosts.yaml").read_text()


def test_a_task_turns_what_three_tasks_turn_more_often() -> None:
    """Half of the difference, by delay, of medians."""
    one, three = ([9.0, 9.0, 12.0], [15.0, 15.0, 14.0])
    results = [
        distance.Distance(20, 3, distance.OURS, [1.0], one),
        distance.Distance(20, 3, distance.MORE, [1.0], three),
    ]
    assert distance.per_task(results) == {20: 3.0}
    assert "3.0 at 20 ms" in distance.table(results)


def test_many_measures_a_run_against_simulated_hosts(tmp_path: Path) -> None:
    """Wall time, processor time on both sides, memory and threads of a real run."""
    with SimulatedCluster(Options(count=2)) as cluster:
        run = measure(copy_project(tmp_path), cluster, ("runbooks.bootstrap",))
    assert 0 < run.own < 60
    assert 0 < run.hosts < 60
    assert run.seconds > 0
    assert 20 < run.memory < 500
    assert 2 < run.threads < 50
    shown = many.table([many.Growth("bootstrap", 2, [run])]).splitlines()[1].split()
    assert shown[:2] == ["bootstrap", "2"]


def test_a_bootstrap_is_compared_with_its_critical_path() -> None:
    """The report says which chain of stages it is; the table has both times, their ratio and the chain."""
    links = [
        {"stage": "install", "host": "master-1", "seconds": 9.0},
        {"stage": "join", "host": "linux-1", "seconds": 3},
    ]
    found = critical.chain_of("bare hosts", {"run": {"seconds": 30.0, "critical_path": links}})
    assert (found.wall, found.critical) == (30.0, 12.0)
    shown = critical.table([found])
    assert re.search(r"bare hosts +30.0 s +12.0 s +2.50", shown)
    assert "bare hosts: install on master-1 9.0 s, join on linux-1 3.0 s" in shown


def test_commands_say_what_they_measure() -> None:
    """Each has a --help that starts without root and without servers."""
    for name in ("rerun", "distance", "many", "critical"):
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "--json" in done.stdout
