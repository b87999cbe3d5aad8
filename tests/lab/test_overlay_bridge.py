"""The NIC's move into its OVS bridge, with everything that can go wrong in its middle, on a real host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from operating import Cluster
from waiting import eventually

from plugins.lab import unplugged, up
from plugins.lab.host import HostFolder

pytestmark = pytest.mark.lab

HOST = "linux-1"
# As on a host that never had the bridge: its files, the bridge and what an earlier change has left.
UNDO = """
rm -rf /etc/systemd/network/05-ovn-runbooks-* /run/ovn-runbooks/network
ovs-vsctl --if-exists del-br breth0
networkctl reload
until ip -br -4 address show eth0 | grep -q 10; do sleep 0.1; done
"""
STATE = "cat /run/ovn-runbooks/network/state"
# Which device has the host's address, which bridges there are, and what of a change lies about.
NETWORK = r"""
ip -o -4 address | awk '$2 != "lo" {print $2}'
ovs-vsctl list-br | grep breth0
find /etc/systemd /run/systemd/network /var/lib/ovn-runbooks -name '*ovn-runbooks*' 2>/dev/null | sed 's|.*/||' \
  | grep -v '^50-' | sort
"""
OLD = ["eth0"]
NEW = ["breth0", "breth0", "05-ovn-runbooks-breth0.network", "05-ovn-runbooks-eth0.network"]


def network(cluster: Cluster) -> list[str]:
    """What NETWORK says of the host."""
    return cluster.shell(HOST, NETWORK).split()


BEGUN = ("started", "applying")  # the first of them is over in a moment


def reaches(cluster: Cluster, state: str | tuple[str, ...], seconds: float = 60) -> None:
    """Wait until the change stands at `state`, or at one of them."""
    come = eventually(lambda: cluster.shell(HOST, STATE).startswith(state), seconds)
    assert come, f"not {state}: {cluster.shell(HOST, STATE)}"


def changing(cluster: Cluster) -> Callable[[str], bool]:
    """For `kill_at`, told of nothing the host does: true for the line after the host has begun the change."""

    def seen(_: str) -> bool:
        reaches(cluster, BEGUN)
        return True

    return seen


@pytest.fixture
def bare_nic(cluster: Cluster) -> Iterator[Cluster]:
    """An overlay in which one worker's NIC is in no bridge; whole again at the end."""
    cluster.overlay()
    cluster.shell(HOST, UNDO)
    assert network(cluster) == OLD
    yield cluster
    mended = cluster.run("task", "bridge", "--host", HOST)
    assert mended.status == 0, mended.text
    assert network(cluster) == NEW
    assert cluster.run("verify").status == 0


@contextmanager
def unheard(cluster: Cluster) -> Iterator[None]:
    """The host makes its change and nobody can reach it after that."""
    reaches(cluster, BEGUN)
    with unplugged(cluster.lab.folder, HOST):
        yield


def test_a_change_that_cuts_the_host_off_is_taken_back(bare_nic: Cluster) -> None:
    """Not reached over its bridge, the host puts everything back; the operator finds it again and is told why."""
    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(bare_nic.run, "task", "bridge", "--host", HOST)
        with unheard(bare_nic):
            reaches(bare_nic, "waiting")
            reaches(bare_nic, "taken-back", 90)
        ran = running.result()
    assert (ran.status, ran.stages(HOST)["bridge"]) == (1, "failed"), ran.text
    assert "taken back: nobody reached the host over breth0" in ran.text
    assert network(bare_nic) == OLD


def test_a_killed_operator_finds_the_change_made(bare_nic: Cluster) -> None:
    """Killed as the host begins: the same command, given at once, keeps the change that still waits."""
    bare_nic.kill_at(changing(bare_nic), "task", "bridge", "--host", HOST)
    reaches(bare_nic, "waiting")
    ran = bare_nic.run("task", "bridge", "--host", HOST)
    assert (ran.status, ran.steps(HOST, "bridge")["nic bridge"]["status"]) == (0, "changed"), ran.text
    assert network(bare_nic) == NEW
    assert bare_nic.shell(HOST, STATE).startswith("confirmed")


def test_the_unit_that_waits_is_killed(bare_nic: Cluster) -> None:
    """Kill -9 of the operator, and of what waits on the host for a confirmation: all is taken back at once."""
    bare_nic.kill_at(changing(bare_nic), "task", "bridge", "--host", HOST)
    reaches(bare_nic, "waiting")
    bare_nic.shell(HOST, "systemctl kill --signal=KILL ovn-runbooks-network.service")
    reaches(bare_nic, "taken-back", 20)
    assert network(bare_nic) == OLD


@pytest.mark.parametrize("moved", [False, True], ids=["unconfirmed", "half-confirmed"])
def test_a_power_cut_before_the_confirmation(bare_nic: Cluster, *, moved: bool) -> None:
    """The host comes back with the network that it had, also where the cut fell into the confirmation itself."""
    bare_nic.kill_at(changing(bare_nic), "task", "bridge", "--host", HOST)
    reaches(bare_nic, "waiting")
    if moved:
        bare_nic.shell(HOST, "cp /run/systemd/network/05-ovn-runbooks-* /etc/systemd/network/; sync")
    HostFolder(bare_nic.lab.paths.host(HOST)).kill()
    up(bare_nic.options, lambda _: None)
    assert network(bare_nic) == OLD
    assert bare_nic.shell(HOST, "systemctl is-failed ovn-runbooks-network-guard.service") == "inactive"


def test_the_bridge_outlives_a_power_cut(cluster: Cluster) -> None:
    """Once confirmed it is there after the next boot, and the chassis is back, without a hand on the host."""
    cluster.overlay()
    assert network(cluster) == NEW
    HostFolder(cluster.lab.paths.host(HOST)).kill()
    up(cluster.options, lambda _: None)
    assert network(cluster) == NEW
    ran = cluster.run("verify", "--traffic")
    assert ran.status == 0, ran.text


def test_what_others_put_on_the_bridge_outlives_a_restart_of_networkd(cluster: Cluster) -> None:
    """As an update of systemd makes one: ovnkube gives the bridge an address and routes as it starts, and only then."""
    cluster.overlay()
    theirs = "ip address {0} 169.254.0.2/17 dev breth0; ip route {0} 198.51.100.0/24 via 169.254.0.4 dev breth0"
    look = "ip -o -4 address show dev breth0 | awk '{print $4}'; ip route show dev breth0"
    cluster.shell(HOST, theirs.format("add"))
    before = cluster.shell(HOST, look)
    assert {"169.254.0.2/17", "198.51.100.0/24"} < set(before.split())
    cluster.shell(HOST, "systemctl restart systemd-networkd; networkctl status breth0; sleep 2")
    assert cluster.shell(HOST, look) == before
    cluster.shell(HOST, theirs.format("del"))


def test_a_nic_of_another_manager_is_left_alone(bare_nic: Cluster) -> None:
    """A NIC that systemd-networkd does not configure is refused, in a dry run too, with what to do instead."""
    file = "/etc/systemd/network/10-eth0.network"
    bare_nic.shell(HOST, f"mv {file} {file}.off; networkctl reload; sleep 0.5")
    address = next(str(host.address) for host in bare_nic.lab.hosts if host.name == HOST)
    gateway = bare_nic.options.network[1]
    bare_nic.shell(
        HOST, f"ip address add {address}/24 dev eth0; ip link set eth0 up; ip route add default via {gateway}"
    )
    try:
        ran = bare_nic.run("task", "bridge", "--host", HOST, "--dry-run")
        assert (ran.status, ran.stages(HOST)["bridge"]) == (1, "failed"), ran.text
        assert "nic_bridge: false" in ran.text
    finally:
        bare_nic.shell(HOST, f"mv {file}.off {file}; networkctl reload; networkctl reconfigure eth0; sleep 2")
