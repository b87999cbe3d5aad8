"""Packets over a real overlay: between all hosts, past faults that are made in it, and with nothing left of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from operating import Cluster, Ran

pytestmark = pytest.mark.lab

GENEVE = "udp,tp_dst=6081"


@pytest.fixture
def overlay(cluster: Cluster) -> Iterator[Cluster]:
    """The lab's cluster with an overlay; nothing of a probe is left before the test, and after it."""
    cluster.overlay()
    assert cluster.leftovers() == {}
    yield cluster
    assert cluster.leftovers() == {}


@contextmanager
def flows(cluster: Cluster, host: str, *added: str) -> Iterator[None]:
    """Open vSwitch of a host treats what comes from its NIC as these flows say."""
    for flow in added:
        cluster.shell(host, f"ovs-ofctl add-flow breth0 'cookie=0x77,{flow}'")
    try:
        yield
    finally:
        cluster.shell(host, "ovs-ofctl del-flows breth0 cookie=0x77/-1")


def answers(ran: Ran, cluster: Cluster) -> dict[tuple[str, str], str]:
    """What each host said of each other: "small 3/3, 1442 bytes 3/3"."""
    return {
        (name, other): ran.steps(name, "traffic")[f"check traffic to {other}"]["message"].split(";")[0]
        for name in cluster.hosts
        for other in cluster.hosts
        if other != name
    }


def test_all_pairs_small_and_large(overlay: Cluster) -> None:
    """Every host has every packet of both sizes answered by every other; no step is more than ok."""
    ran = overlay.run("verify", "--traffic")
    assert (ran.status, set(ran.hosts.values()), ran.count("changed")) == (0, {"ok"}, 0), ran.text
    assert len(answers(ran, overlay)) == 6
    assert set(answers(ran, overlay).values()) == {"seen small 3/3, 1442 bytes 3/3"}


def test_a_dry_run_sends_nothing(overlay: Cluster) -> None:
    """It says so, writes nothing, and the stages are ok."""
    before = overlay.disks()
    ran = overlay.run("verify", "--traffic", "--dry-run", "--verbose")
    assert (ran.status, set(ran.hosts.values())) == (0, {"ok"}), ran.text
    assert "no packets are sent" in ran.text
    assert overlay.disks() == before


def test_a_host_behind_a_firewall_is_named(overlay: Cluster) -> None:
    """Tunnel packets to one worker are dropped: both others fail at that one, it fails at both, the rest is fine."""
    with flows(overlay, "linux-2", f"priority=65000,{GENEVE},actions=drop"):
        ran = overlay.run("verify", "--traffic")
    assert (ran.status, set(ran.hosts.values())) == (1, {"failed"}), ran.text
    for pair, answer in answers(ran, overlay).items():
        lost = "seen small 0/3, 1442 bytes 0/3"
        assert answer == (lost if "linux-2" in pair else "seen small 3/3, 1442 bytes 3/3"), ran.text
    assert "check traffic to linux-2" in ran.text
    assert "UDP 6081" in ran.text
    assert {ran.stages(name)["verify"] for name in overlay.hosts} == {"ok"}


def test_large_packets_that_are_dropped_on_the_way(overlay: Cluster) -> None:
    """Small ones come through, so only the full size fails, with advice of its own."""
    narrow = (
        f"priority=65000,{GENEVE},actions=check_pkt_larger(1400)->NXM_NX_REG0[0],resubmit(,77)",
        "table=77,priority=2,reg0=1,actions=drop",
        "table=77,priority=1,actions=NORMAL",
    )
    with flows(overlay, "linux-1", *narrow):
        ran = overlay.run("verify", "--traffic")
    assert ran.status == 1, ran.text
    for pair, answer in answers(ran, overlay).items():
        assert answer == f"seen small 3/3, 1442 bytes {0 if 'linux-1' in pair else 3}/3", ran.text
    assert "smaller mtu:" in ran.text


def test_what_a_killed_probe_leaves_is_cleared_by_the_next(overlay: Cluster) -> None:
    """Killed when the first ports are open: the switch and ports stay, until the next one, which ends well."""
    overlay.kill_at(lambda line: "traffic-port" in line and " ok " in line, "verify", "--traffic")
    left = overlay.leftovers()
    assert "ovn-runbooks-probe" in left["master"]
    ran = overlay.run("verify", "--traffic")
    assert (ran.status, set(ran.hosts.values())) == (0, {"ok"}), ran.text
