"""The in-memory connection: the same shell as SSH's for whoever uses it, with no network under it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from waiting import eventually

from plugins.connections import memory
from plugins.connections.base import Completed, Holder, Shell
from plugins.errors import UnreachableError
from plugins.inventory.model import HostSettings
from plugins.scripts import assemble
from plugins.simulate.host import Timing
from plugins.simulate.in_memory import MemoryHosts
from plugins.steps import Transcript, parse_line

MARK = "@feedc0defeedc0de "
QUICK = Timing(until_reboot=0.05, reboot=0.1, network_change=0.1, take_back=2)
Connect = Callable[..., memory.MemoryShell]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect to a host of the current hosts, and disconnect at the end."""
    opened: list[memory.Memory] = []

    def connect(name: str = "linux-1", role: str = "linux", address: str = "10.142.0.3") -> memory.MemoryShell:
        connection = memory.Memory()
        settings = HostSettings(name=name, role=role, address=address, transport="memory")
        connection.open(None, None, None, None, None, {"settings": settings})
        opened.append(connection)
        return connection.connection

    yield connect
    for each in opened:
        each.close()


def run(shell: Shell, body: str, *, deadline: float = 10, dry_run: bool = False) -> tuple[Completed, Transcript]:
    """Run a body and give how it ended and what it said."""
    transcript = Transcript()
    script = assemble(body, marker=MARK, dry_run=dry_run, wait=5, owner="tester, install")
    done = shell.run(script.encode(), deadline=deadline, on_line=lambda raw: transcript.add(parse_line(raw, MARK)))
    return done, transcript


def statuses(transcript: Transcript) -> list[str]:
    return [step.status.value for step in transcript.steps]


def test_a_script_changes_a_host_once(connect: Connect) -> None:
    """Fresh hosts for each context: what one test changed, the next does not see."""
    for _ in range(2):
        with memory.simulated_hosts() as hosts:
            shell = connect()
            assert statuses(run(shell, "package a\n", dry_run=True)[1]) == ["would-change"]
            assert statuses(run(shell, "package a\n")[1]) == ["changed"]
            done, transcript = run(shell, "package a\n")
            assert (done.exit_status, statuses(transcript), transcript.ended) == (0, ["ok"], True)
            assert "a" in hosts.state("linux-1")["packages"]


def test_it_is_a_shell() -> None:
    """Static types hold that it can stand wherever SSH's shell can."""
    shell: type[Shell] = memory.MemoryShell
    holder: type[Holder] = memory.MemoryHolder
    assert (shell, holder) == (memory.MemoryShell, memory.MemoryHolder)


def test_what_is_no_script_is_refused(connect: Connect) -> None:
    """Status 2 and words on standard error."""
    with memory.simulated_hosts():
        done = connect().run(b"reboot\n", deadline=5, on_line=print)
    assert done.exit_status == 2
    assert b"simulated host" in done.stderr


@pytest.mark.parametrize("fault", ["linux-1:closed", "linux-1:silent", "linux-1:refuse-login"])
def test_a_host_that_is_not_reached(connect: Connect, fault: str) -> None:
    """The same error type as SSH's, and others are reached."""
    with memory.simulated_hosts([fault]):
        with pytest.raises(UnreachableError, match="linux-1"):
            connect()
        assert run(connect("linux-2", address="10.142.0.4"), "package a\n")[0].exit_status == 0


def test_the_deadline_holds(connect: Connect) -> None:
    """A script that hangs is ended with status 124, and the next one runs."""
    with memory.simulated_hosts(["linux-1:package*:hang:times=1"]):
        shell = connect()
        done, transcript = run(shell, "package a\n", deadline=0.3)
        assert (done.exit_status, transcript.running) == (124, "package a")
        assert statuses(run(shell, "package a\n")[1]) == ["changed"]


def test_a_lost_connection_does_not_end_the_script(connect: Connect) -> None:
    """The client hears that it was lost; a new connection finds the work done."""
    with memory.simulated_hosts(["linux-1:package b:cut:times=1"]):
        shell = connect()
        done, transcript = run(shell, "package a\npackage b\n")
        assert (done.exit_status, statuses(transcript)) == (None, ["changed"])
        assert "lost" in done.lost
        assert run(shell, "package a\n")[0].exit_status is None
        assert statuses(run(connect(), "package a\npackage b\n")[1])[-2:] == ["ok", "ok"]


def test_closing_from_another_thread_ends_the_wait(connect: Connect) -> None:
    """As Ctrl-C does it: whoever waits for a script is let go at once."""
    with memory.simulated_hosts(["linux-1:hang"]):
        shell = connect()
        threading.Timer(0.2, shell.close).start()
        began = time.monotonic()
        done, _ = run(shell, "package a\n", deadline=30)
        assert done.exit_status is None
        assert time.monotonic() - began < 20


def hold(hosts: Shell, owner: str) -> tuple[Holder, Transcript]:
    """Ask for the cluster's lock; wait for the answer."""
    transcript, answered = Transcript(), threading.Event()

    def on_line(raw: bytes) -> None:
        transcript.add(parse_line(raw, MARK))
        if transcript.steps:
            answered.set()

    script = assemble(f"hold_lock {owner} 60\n", marker=MARK, dry_run=False, wait=5, owner=owner)
    holder = hosts.hold(script.encode(), on_line=on_line)
    assert answered.wait(5)
    return holder, transcript


def test_the_cluster_lock_is_held_beside_other_scripts(connect: Connect) -> None:
    """One holder at a time, who is named to the next; it is free as soon as it is let go."""
    with memory.simulated_hosts():
        shell, other = connect(), connect()
        first, said = hold(shell, "ann@desk")
        assert statuses(said) == ["ok"]
        assert first.beat()
        assert statuses(run(shell, "package a\n")[1]) == ["changed"]
        second, said = hold(other, "bob@desk")
        assert statuses(said) == ["failed"]
        assert said.steps[0].message.startswith("held by ann@desk; last sign of life ")
        assert eventually(second.ended)
        assert second.ended() == Completed(1)
        assert first.ended() is None
        second.close()
        first.close()
        third, said = hold(other, "bob@desk")
        assert statuses(said) == ["ok"]
        third.close()


def wait_for(hosts: MemoryHosts, key: str, value: object) -> None:
    """Wait until the host has come to a state."""
    assert eventually(lambda: hosts.state("linux-1")[key] == value), hosts.state("linux-1")[key]


def come_back(connect: Connect) -> memory.MemoryShell:
    """Connect to the host as soon as it is there again."""
    shells: list[memory.MemoryShell] = []

    def there() -> bool:
        with suppress(UnreachableError):
            shells.append(connect())
        return bool(shells)

    assert eventually(there)
    return shells[0]


BRIDGE = "package openvswitch-switch\nnic_bridge '' system 10.142.0.3 90\n"


def test_a_network_change_is_confirmed_over_a_new_connection(connect: Connect) -> None:
    """It cuts the connection, asks to be confirmed, and then is as wanted."""
    with memory.simulated_hosts(timing=QUICK) as hosts:
        done, transcript = run(connect(), BRIDGE)
        assert (done.exit_status, transcript.steps[-1].asks) == (0, "confirm")
        wait_for(hosts, "network", "waiting")
        token = transcript.facts["confirm_token"]
        assert statuses(run(come_back(connect), f"network_confirm {token}\n{BRIDGE}")[1]) == ["changed", "ok", "ok"]
        time.sleep(2.2)
        assert hosts.state("linux-1")["address_at"] == "breth0"


def test_a_network_change_that_nobody_confirms_is_taken_back(connect: Connect) -> None:
    """The host is away and comes back by itself with the network that it had, and says so."""
    with memory.simulated_hosts(["linux-1:lose-network"], QUICK) as hosts:
        _, transcript = run(connect(), BRIDGE)
        wait_for(hosts, "network", "waiting")
        with pytest.raises(UnreachableError):
            connect()
        wait_for(hosts, "network", "taken-back")
        _, said = run(come_back(connect), f"network_confirm {transcript.facts['confirm_token']}\n")
        assert said.steps[0].message.startswith("the network change was taken back")
        assert hosts.state("linux-1")["address_at"] == "eth0"


def test_no_thread_is_left() -> None:
    """The thread that the hosts live in ends with the context, and scripts that hang with it."""
    before = threading.active_count()
    with memory.simulated_hosts(["linux-1:hang"]) as hosts:
        host = hosts.host("linux-1", "linux", "10.142.0.3")
        script = assemble("package a\n", marker=MARK, dry_run=False, wait=5, owner="x").encode()
        hosts.play(host, script, None, memory._Wire(lambda: None))
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
