"""A bootstrap by processes, or by a Dask cluster, is the same bootstrap, also when a worker is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from waiting import eventually

from benchmarks.project_copy import copy_project, environment
from plugins.simulate.cluster import Options, SimulatedCluster

HOSTS = 5
SLOW = "*:join/start:hang:seconds=5,times=1"  # long enough to be in the middle of it
PROCESSES = {"plugin": "processes", "options": {"processes": 2}}


class Run:
    """A bootstrap of a project of its own, in a process of its own."""

    def __init__(self, project: Path, cluster: SimulatedCluster) -> None:
        self.project, self.cluster = project, cluster
        self.variables = environment() | cluster.environment | {"PYTHONWARNINGS": "ignore"}
        self.report = project / "report.json"

    def start(self) -> subprocess.Popen[str]:
        """Start it."""
        command = [sys.executable, "-m", "runbooks.bootstrap", "--report", str(self.report)]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.project, env=self.variables, stdout=pipe, stderr=subprocess.STDOUT, text=True
        )

    def steps(self) -> dict[str, list[tuple[str, str, list[str]]]]:
        """Give what was done, by host: stages, their status and steps."""
        hosts: dict[str, Any] = json.loads(self.report.read_text())["hosts"]
        return {
            name: [(s["name"], s["status"], [step["name"] for step in s["steps"]]) for s in host["stages"]]
            for name, host in hosts.items()
        }

    def in_the_middle(self) -> None:
        """Wait until a script hangs on every host, beside the one that holds the cluster's lock."""

        def hang() -> bool:
            return self.cluster.running_scripts() > HOSTS

        assert eventually(lambda: hang() and not time.sleep(0.5) and hang(), seconds=120)

    def leaves_nothing(self) -> bool:
        """Whether the workers' own folders are gone."""
        return not list((self.project.parent / "logs").glob("*/.workers"))


@contextmanager
def prepared(folder: Path, runner: dict[str, Any] | None, *faults: str) -> Iterator[Run]:
    folder.mkdir()
    with SimulatedCluster(Options(count=HOSTS, faults=faults)) as cluster:
        yield Run(copy_project(folder, runner), cluster)


def ended(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    return said


@contextmanager
def dask_worker(project: Path, address: str, variables: dict[str, str]) -> Iterator[int]:
    """A worker with its process id."""
    words = ["-m", "dask", "worker", address, "--no-nanny", "--nthreads", "10", "--no-dashboard"]
    with quiet(project, words, variables) as process:
        yield process.pid


@contextmanager
def quiet(project: Path, words: list[str], variables: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    null = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *words], cwd=project, env=variables, stdout=null, stderr=null)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


Start = Callable[..., tuple[Run, Callable[[], list[int]]]]


@pytest.fixture(params=["processes", "dask"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Prepare a run, and give the process ids of its workers when it is asked for them."""
    with ExitStack() as stack:

        def with_processes(*faults: str) -> tuple[Run, Callable[[], list[int]]]:
            run = stack.enter_context(prepared(tmp_path / "remote", PROCESSES, *faults))
            return run, lambda: spawned(os.getpid())

        def with_dask(*faults: str) -> tuple[Run, Callable[[], list[int]]]:
            file = tmp_path / "scheduler.json"
            options = {"address": f"file:{file}"}
            run = stack.enter_context(prepared(tmp_path / "remote", {"plugin": "dask", "options": options}, *faults))
            scheduler = ["-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
            stack.enter_context(quiet(run.project, [*scheduler, "--scheduler-file", str(file)], run.variables))
            assert eventually(lambda: file.exists() and file.read_text(), seconds=60)
            address = json.loads(file.read_text())["address"]
            config = run.project / "config.yaml"
            config.write_text(config.read_text().replace(f"file:{file}", address))
            pids = [stack.enter_context(dask_worker(run.project, address, run.variables)) for _ in range(2)]
            return run, lambda: pids

        yield with_dask if request.param == "dask" else with_processes


def spawned(pid: int) -> list[int]:
    """Find worker processes below `pid`."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
            found += spawned(child)
    return found


def test_a_run_elsewhere_does_what_a_run_in_threads_does(start: Start, tmp_path: Path) -> None:
    """The same stages, steps and statuses on every host; logs are here, and nothing is left behind."""
    with prepared(tmp_path / "threads", None) as threads:
        ended(threads.start())
    run, _ = start()
    said = ended(run.start())
    assert run.steps() == threads.steps()
    assert f"All well on {HOSTS} hosts" in said
    assert "package openvswitch-switch" in (tmp_path / "remote" / "logs" / "latest" / "linux-1.log").read_text()
    assert run.leaves_nothing()


def test_a_killed_worker_s_hosts_are_run_again_elsewhere(start: Start) -> None:
    """Kill -9 while every host joins: all hosts end well, and no step is missing or made twice."""
    run, workers = start(SLOW)
    process = run.start()
    run.in_the_middle()
    os.kill(workers()[0], signal.SIGKILL)
    ended(process)
    for host, stages in run.steps().items():
        assert {status for _, status, _ in stages} <= {"ok", "changed"}, host
        assert "verify" in [name for name, _, _ in stages]
    assert run.leaves_nothing()
