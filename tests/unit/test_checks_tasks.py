"""check_host and check_network as tasks, against simulated hosts in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from memory_hosts import nornir_on
from nornir.core import Nornir
from nornir.core.processor import Processors
from nornir.core.task import Task

from plugins.connections import close_shell
from plugins.connections.memory import simulated_hosts
from plugins.gathered import Gathered
from plugins.simulate.in_memory import MemoryHosts
from plugins.steps import Status, StepsResult
from tasks.check_host import check_host
from tasks.check_network import check_network

ROLES = {"master-1": "master", "linux-1": "linux", "linux-2": "linux"}


class Preflight:
    """Runs the two tasks as their stages run: one after the other, on all hosts."""

    def __init__(self, nornir: Nornir, hosts: MemoryHosts) -> None:
        self.nornir, self.hosts = nornir, hosts

    def check(self, host: str, dry_run: bool = False) -> StepsResult:
        """Run check_host."""
        return self._run(check_host, "preflight", host, dry_run)

    def compare(self, host: str, gathered: Gathered, dry_run: bool = False) -> StepsResult:
        """Run check_network."""
        return self._run(check_network, "network-checks", host, dry_run, gathered=gathered)

    def both(self, *selected: str) -> dict[str, StepsResult]:
        """Run check_host on all, then check_network on all, with the results that did not fail."""
        names = selected or tuple(self.nornir.inventory.hosts)
        gathered = Gathered({name: result for name in names if not (result := self.check(name)).failed})
        return {name: self.compare(name, gathered) for name in names}

    def _run(
        self, task: Callable[..., StepsResult], name: str, host: str, dry_run: bool, **values: object
    ) -> StepsResult:
        started = Task(task, self.nornir, dry_run, Processors(), name, **values).start(
            self.nornir.inventory.hosts[host]
        )
        if started[0].exception:
            raise started[0].exception
        assert isinstance(started[0], StepsResult)
        return started[0]


@pytest.fixture
def preflight(tmp_path: Path) -> Iterator[Callable[..., Preflight]]:
    """A factory of preflights on three hosts, with faults."""
    opened: list[Nornir] = []

    def make(*faults: str) -> Preflight:
        nornir = nornir_on(tmp_path / "inventory", tmp_path / "state", ROLES)
        opened.append(nornir)
        for fault in faults:
            hosts.add_fault(fault)
        return Preflight(nornir, hosts)

    with simulated_hosts() as hosts:
        yield make
        for nornir in opened:
            for host in nornir.inventory.hosts.values():
                close_shell(host)


def failed(result: StepsResult) -> dict[str, str]:
    return {step.name.removeprefix("check "): step.message for step in result.steps if step.status is Status.FAILED}


def test_bare_hosts_pass(preflight: Callable[..., Preflight]) -> None:
    """Facts travel on, nothing changes, every check says what it saw, and the listeners are gone in the end."""
    run = preflight()
    result = run.check("master-1")
    assert not failed(result)
    assert not result.changed
    assert not result.would_change
    assert result.facts["tunnel_mtu"].isdecimal()
    names = [step.name for step in result.steps]
    assert len(names) == len(set(names)) > 15
    for name, compared in run.both().items():
        assert not failed(compared), name
        assert not compared.changed
        assert compared.facts[f"probe udp:{'10.142.0.2' if name != 'master-1' else '10.142.0.3'}:6081"] == "open"


def test_a_dry_run_looks_just_the_same(preflight: Callable[..., Preflight]) -> None:
    """Both tasks make the same checks with the same outcome."""
    run = preflight()
    real, dry = run.check("linux-1"), run.check("linux-1", dry_run=True)
    assert [(step.name, step.status) for step in real.steps] == [(step.name, step.status) for step in dry.steps]
    gathered = Gathered({name: run.check(name, dry_run=True) for name in run.nornir.inventory.hosts})
    assert not failed(run.compare("linux-1", gathered, dry_run=True))


def test_all_that_is_wrong_is_shown_at_once(preflight: Callable[..., Preflight]) -> None:
    """Three faults of one host are three failed checks of one result, and the others' checks are there, too."""
    run = preflight("linux-1:fact:memory_mib=100", "linux-1:fact:os_id=arch", "linux-1:fact:cpus=?")
    result = run.check("linux-1")
    assert set(failed(result)) == {"memory", "os", "cpus"}
    assert "check disk" in [step.name for step in result.steps]
    assert "run this again" in result.todo


def test_a_script_that_fails_is_not_judged(preflight: Callable[..., Preflight]) -> None:
    """Where the facts are incomplete because the script broke off, its own step says so and no check adds to it."""
    result = preflight("linux-1:listen*:fail").check("linux-1")
    assert result.failed
    assert not [step for step in result.steps if step.name.startswith("check ")]


def test_a_firewall_fails_whoever_probes_and_names_the_host(preflight: Callable[..., Preflight]) -> None:
    """Tunnels to the closed host fail on both others; the closed host itself reaches them."""
    results = preflight("linux-2:firewall:port=udp/6081").both()
    assert "UDP 6081 of linux-2 (10.142.0.4): timeout" in failed(results["linux-1"])["reach-tunnels"]
    assert "linux-2" in failed(results["master-1"])["reach-tunnels"]
    assert not failed(results["linux-2"])


def test_a_closed_database_port_fails_the_workers(preflight: Callable[..., Preflight]) -> None:
    """The master's own preflight is fine, and both workers say which port does not answer."""
    results = preflight("master-1:firewall:port=tcp/6642").both()
    assert not failed(results["master-1"])
    for name in ("linux-1", "linux-2"):
        assert "TCP 6642 of master-1 (10.142.0.2): timeout" in failed(results[name])["reach-master"]


def test_a_host_that_failed_preflight_is_left_out(preflight: Callable[..., Preflight]) -> None:
    """The others are compared without it, and it hears that it has nothing to be compared with."""
    results = preflight("linux-2:fact:systemd=no").both()
    assert not failed(results["linux-1"])
    assert [step.name for step in results["linux-2"].steps] == ["check network"]
    assert results["linux-2"].steps[0].status is Status.OK


def test_a_wrong_clock_fails_its_host(preflight: Callable[..., Preflight]) -> None:
    """Against this machine's clock in the preflight already."""
    result = preflight("linux-1:clock-skew:seconds=90").check("linux-1")
    assert list(failed(result)) == ["clock"]
    assert "ahead of this machine" in failed(result)["clock"]


def test_a_shared_machine_id_fails_both(preflight: Callable[..., Preflight]) -> None:
    """Cloned machines name each other."""
    results = preflight("linux-*:fact:machine_id=cloned").both()
    assert "linux-2" in failed(results["linux-1"])["machine-id"]
    assert "linux-1" in failed(results["linux-2"])["machine-id"]
    assert not failed(results["master-1"])


def test_one_selected_host_is_compared_with_the_master(preflight: Callable[..., Preflight]) -> None:
    """Its gathered results are its own and the master's."""
    results = preflight().both("master-1", "linux-2")
    assert not failed(results["linux-2"])
    assert "probe tcp:10.142.0.2:6641" in results["linux-2"].facts
