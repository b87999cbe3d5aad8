"""Hosts that go away in the middle: in a reboot and in a network change a lost line is expected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from memory_hosts import nornir_on
from nornir.core.processor import Processors
from nornir.core.task import MultiResult, Result, Task

from plugins.connections import close_shell
from plugins.connections.base import Completed
from plugins.connections.memory import MemoryShell, simulated_hosts
from plugins.errors import SudoError, UnreachableError
from plugins.simulate.host import Timing
from plugins.simulate.in_memory import MemoryHosts
from plugins.simulate.windows.state import WindowsState
from plugins.steps import Status, StepsResult
from tasks.configure_bridges import configure_bridges
from tasks.install_features import install_features
from tasks.install_ovn import install_ovn
from tasks.reboot_host import reboot_host
from tasks.run_script import run_script

ROLES = {"master-1": "master", "linux-1": "linux", "windows-1": "windows"}
QUICK = Timing(until_reboot=0.05, reboot=0.1, network_change=0.1, take_back=20)
LOST = UnreachableError("linux-1", "sudo", "the connection was lost", "run again")
REFUSED = SudoError("linux-1", "sudo", "sudo refused: sorry", "check sudo.password")


@pytest.fixture
def hosts() -> Iterator[MemoryHosts]:
    """Simulated hosts that are quick."""
    with simulated_hosts(timing=QUICK) as found:
        yield found


@pytest.fixture
def run(
    hosts: MemoryHosts,  # noqa: ARG001
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., MultiResult]]:
    """Run a task on a host, linux-1 unless another is named, with deadlines of some seconds."""
    seconds = getattr(request, "param", 20.0)
    limits = {"reboot_deadline": seconds, "network_confirm_deadline": 20.0}
    nornir = nornir_on(tmp_path / "inventory", tmp_path / "state", ROLES, **limits)

    def start(task: Callable[..., Result], host: str = "linux-1", **values: object) -> MultiResult:
        return Task(task, nornir, False, Processors(), "test", **values).start(nornir.inventory.hosts[host])

    yield start
    for host in nornir.inventory.hosts.values():
        close_shell(host)


def lose(monkeypatch: pytest.MonkeyPatch, word: bytes, error: UnreachableError) -> list[bytes]:
    """Have the first two scripts with this word meet an error before they start; gives all that have it."""
    met: list[bytes] = []
    plain = MemoryShell.run

    def run(shell: MemoryShell, script: bytes, **options: object) -> Completed:
        if word in script:
            met.append(script)
            if len(met) <= 2:
                raise error
        return plain(shell, script, **options)

    monkeypatch.setattr(MemoryShell, "run", run)
    return met


def boot_id(hosts: MemoryHosts, host: str = "linux-1") -> str:
    return str(hosts.state(host)["boot_id"])


def test_a_line_that_is_lost_before_the_look_is_part_of_a_reboot(
    hosts: MemoryHosts, run: Callable[..., MultiResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host is looked at again until it has come back."""
    run(run_script, template="linux/gather_boot.sh.j2")
    before = boot_id(hosts)
    looks = lose(monkeypatch, b"gather boot_id", LOST)
    result = run(reboot_host, boot_id=before)[0]
    assert isinstance(result, StepsResult), result.exception
    assert [step.status.value for step in result.steps] == ["changed"]
    assert boot_id(hosts) == result.facts["boot_id"] != before
    assert len(looks) == 3


def test_a_refusing_sudo_ends_the_wait_for_a_reboot(
    hosts: MemoryHosts, run: Callable[..., MultiResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each new connection would be one more wrong password."""
    run(run_script, template="linux/gather_boot.sh.j2")
    looks = lose(monkeypatch, b"gather boot_id", REFUSED)
    assert run(reboot_host, boot_id=boot_id(hosts))[0].exception is REFUSED
    assert len(looks) == 1


def test_a_line_that_is_lost_before_the_confirmation_is_part_of_a_network_change(
    hosts: MemoryHosts, run: Callable[..., MultiResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is confirmed over the next connection, and so is not taken back."""
    run(install_ovn)
    tries = lose(monkeypatch, b"\nnetwork_confirm ", LOST)
    result = run(configure_bridges)[0]
    assert isinstance(result, StepsResult), result.exception
    assert not result.failed, result.steps
    assert hosts.state("linux-1")["network"] == "confirmed"
    assert len(tries) >= 3


def test_a_refusing_sudo_ends_the_confirmation(
    run: Callable[..., MultiResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host takes the change back by itself."""
    run(install_ovn)
    tries = lose(monkeypatch, b"\nnetwork_confirm ", REFUSED)
    assert run(configure_bridges)[0].exception is REFUSED
    assert len(tries) == 1


def test_a_reboot_that_does_not_help_is_made_once(
    hosts: MemoryHosts, run: Callable[..., MultiResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that asks for one again after it gets none."""
    monkeypatch.setattr(WindowsState, "boot", lambda *_: None)
    result = run(install_features, "windows-1")[0]
    assert hosts.state("windows-1")["counters"]["reboots"] == 1
    assert [(step.name, step.message) for step in result.steps if step.status is Status.FAILED] == [
        ("reboot for the feature", "the host asks for it again and again")
    ]


def test_what_a_host_does_at_boot_is_not_waited_for(
    hosts: MemoryHosts, run: Callable[..., MultiResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The boot task of a Windows host has the host's lock for minutes; that the host is back is seen at once."""
    busy = "plugins.simulate.windows.boot.start_tasks"
    monkeypatch.setattr(busy, lambda host: host.lock("the boot task", "the boot task"))
    run(run_script, "windows-1", template="windows/gather_boot.ps1.j2")
    before = boot_id(hosts, "windows-1")
    result = run(reboot_host, "windows-1", boot_id=before)[0]
    assert isinstance(result, StepsResult), result.exception
    assert [step.status for step in result.steps] == [Status.CHANGED], result.steps
    assert result.facts["boot_id"] == boot_id(hosts, "windows-1") != before


@pytest.mark.parametrize("run", [2.0], indirect=True)
def test_a_look_that_fails_is_not_taken_for_the_boot_before(run: Callable[..., MultiResult]) -> None:
    """The host's own words are repeated."""
    with simulated_hosts(["linux-1:gather:fail"], QUICK) as hosts:
        run(run_script, template="linux/gather_boot.sh.j2")
        result = run(reboot_host, boot_id=boot_id(hosts))[0]
    assert result.steps[0].message == "not back after 2 s: gather boot_id: the change failed"
