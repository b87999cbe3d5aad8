"""Addresses of temporary ports, who pings whom, and what is said about the answers."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from plugins.checks.model import Grade
from plugins.traffic import AROUND, GENEVE, Node, Peer, judge, peers, probe_network

PODS, SERVICES = IPv4Network("10.244.0.0/16"), IPv4Network("10.100.0.0/16")
UNDERLAY = int(IPv4Address("10.142.0.2"))


def node(name: str, place: int) -> Node:
    return Node(name, IPv4Interface(f"100.64.0.{place}/24"), IPv4Address(f"10.142.0.{place + 1}"))


ME, PEER = node("linux-1", 1), node("linux-2", 2)


def answers(small: str, large: str) -> dict[str, str]:
    return {"ping 100.64.0.2:84": small, "ping 100.64.0.2:1442": large}


@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 254, 255, 1000])
def test_the_network_is_large_enough_and_not_larger(count: int) -> None:
    """Each host, the network's own address and that for broadcasts fit; half of it would not do."""
    network = probe_network((PODS, SERVICES), tuple(range(UNDERLAY, UNDERLAY + count)))
    assert network is not None
    assert network.num_addresses >= count + 2 > network.num_addresses // 2


def test_the_network_collides_with_nothing() -> None:
    """Pods, services and hosts may have any part of the shared address space, or all of it."""
    inside = int(IPv4Address("100.127.255.250"))
    network = probe_network((IPv4Network("100.127.255.128/26"),), (inside, inside - 500))
    assert network == IPv4Network("100.127.255.252/30")
    shared = IPv4Network("100.64.0.0/10")
    elsewhere = probe_network((shared, PODS), (UNDERLAY, UNDERLAY + 1))
    assert elsewhere is not None
    assert not elsewhere.overlaps(shared)


def test_no_network_is_left() -> None:
    """Said, not guessed."""
    assert probe_network((IPv4Network("0.0.0.0/0"),), (UNDERLAY,)) is None


def test_a_node_is_told_apart_by_port_and_mac() -> None:
    """A logical port's name says whose it is; its MAC is locally administered, and of one host."""
    assert (ME.port, ME.mac) == ("ovn-runbooks-probe-linux-1", "0e:0b:64:40:00:01")
    assert ME.mac != PEER.mac
    assert int(ME.mac[:2], 16) & 0b11 == 0b10


def test_few_hosts_ping_all_others() -> None:
    """All pairs, up to fifty hosts."""
    names = [f"h{number}" for number in range(50)]
    assert set(peers(names, "h7", "h0")) == set(names) - {"h7"}


def test_many_hosts_ping_some_others() -> None:
    """The neighbours in the ring and the master; each is pinged as often as it pings, and nobody pings itself."""
    names = [f"h{number}" for number in range(51)]
    chosen = {name: peers(names, name, "h20") for name in names}
    assert set(chosen["h0"]) == {"h47", "h48", "h49", "h50", "h1", "h2", "h3", "h4", "h20"}
    for name, others in chosen.items():
        assert name not in others
        assert len(others) == len(set(others)) == (2 * AROUND if name in {"h20", *chosen["h20"]} else 2 * AROUND + 1)
        assert sum(name in each for each in chosen.values()) >= 2 * AROUND


def test_a_master_that_has_no_port_is_not_pinged() -> None:
    """Its own failure says enough."""
    assert "h0" not in peers([f"h{number}" for number in range(1, 60)], "h30", "h0")


def test_all_answered_is_ok() -> None:
    """The numbers are shown, and nothing is to be done."""
    check = judge(ME, PEER, 1442, answers("3/3", "3/3"))
    assert (check.status, check.id, check.seen) == (Grade.OK, "traffic to linux-2", "small 3/3, 1442 bytes 3/3")


@pytest.mark.parametrize(
    ("small", "large", "todo"),
    [
        ("0/3", "0/3", "UDP 6081"),
        ("3/3", "0/3", "smaller mtu:"),
        ("3/3", "0/3 10.142.0.1 asks for packets of 1400 bytes", "smaller mtu:"),
        ("3/3", "2/3", "loses packets"),
        ("2/3", "3/3", "loses packets"),
    ],
)
def test_what_to_do_depends_on_what_is_missing(small: str, large: str, todo: str) -> None:
    """Nothing at all, large packets only, or some: each names both ends and its own remedy."""
    check = judge(ME, PEER, 1442, answers(small, large))
    assert check.status is Grade.FAILED
    assert f"small {small}, 1442 bytes {large}" in check.step().message
    assert todo in check.todo
    assert "linux-1 (10.142.0.2) and linux-2 (10.142.0.3)" in check.todo


def test_tunnels_of_windows_hosts_have_a_port_of_their_own() -> None:
    """What to let through is what lies between the two."""
    linux, windows = (
        Peer(name, IPv4Address(f"10.24{last}.0.2"), IPv4Address(f"10.142.0.{last}"), tunnels)
        for name, last, tunnels in (("linux-1", 4, GENEVE), ("windows-1", 5, "UDP 9898"))
    )
    for me, peer in ((linux, windows), (windows, linux)):
        facts = {f"ping {peer.address}:{size}": "0/3" for size in (84, 1400)}
        assert "let UDP 9898 through" in judge(me, peer, 1400, facts, "pod traffic").todo


def test_an_answer_that_is_missing_is_a_failure() -> None:
    """A host that said nothing about a packet has not sent it."""
    assert judge(ME, PEER, 1442, {"ping 100.64.0.2:84": "3/3"}).status is Grade.FAILED
