"""traffic_ping for real, between two network namespaces; and the traffic verbs where there is no Open vSwitch."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from netns import Host, pair

pytestmark = pytest.mark.root

# The namespace that the verb enters is the host's own one here.
NAMED = "mkdir /run/netns && cd /run/netns && touch ovn-runbooks-probe && mount -B /proc/self/ns/net ovn-runbooks-probe"
# As on a host before OVN is installed.
BARE = "for tool in ovs-vsctl ovn-nbctl; do rm -f /usr/bin/$tool /usr/sbin/$tool /usr/local/bin/$tool; done"


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts on one link."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    with pair(tmp_path) as both:
        yield both


def ping(asker: Host, *targets: str, count: int = 3) -> dict[str, str]:
    """Answers by target."""
    ran = asker.run(f"traffic_ping {count} {' '.join(targets)}", prefix=NAMED)
    assert (set(ran.statuses), ran.status, ran.transcript.ended) == ({"ok"}, 0, True), ran
    return {name.removeprefix("ping "): answer for name, answer in ran.transcript.facts.items()}


def ip(host: Host, *words: str) -> None:
    subprocess.run(["ip", "-n", host.namespace, *words], check=True)


def test_every_packet_of_each_size_is_answered(hosts: tuple[Host, Host]) -> None:
    """The kernel of the other side answers, as large as it was asked; an odd size has the right checksum, too."""
    a, b = hosts
    targets = [f"{b.address}:{size}" for size in (84, 1499, 1500)]
    assert ping(a, *targets) == dict.fromkeys(targets, "3/3")


def test_large_packets_that_are_dropped_on_the_way(hosts: tuple[Host, Host]) -> None:
    """A link that silently takes small packets only is seen in the large ones, and only there."""
    a, b = hosts
    ip(b, "link", "set", "eth0", "mtu", "1400")
    assert ping(a, f"{b.address}:84", f"{b.address}:1400", f"{b.address}:1500", count=2) == {
        f"{b.address}:84": "2/2",
        f"{b.address}:1400": "2/2",
        f"{b.address}:1500": "0/2",
    }


def test_packets_that_do_not_even_leave(hosts: tuple[Host, Host]) -> None:
    """Nothing is divided: what is too large for the own NIC is not sent, and what has no route neither."""
    a, b = hosts
    ip(a, "link", "set", "eth0", "mtu", "1400")
    ip(a, "route", "del", "default")
    assert ping(a, f"{b.address}:1500", "192.0.2.1:84", count=1) == {
        f"{b.address}:1500": "0/1 Message too long",
        "192.0.2.1:84": "0/1 Network is unreachable",
    }


def test_what_others_say_is_told_and_holds_up_nobody(hosts: tuple[Host, Host]) -> None:
    """A router without a way on, or a narrow one, is quoted; who answers is counted in full all the same."""
    a, b = hosts
    b.command("sysctl", "-q", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=0")
    b.command("sysctl", "-q", "net.ipv4.conf.eth0.send_redirects=0")
    ip(b, "route", "add", "unreachable", "192.0.2.1/32")
    ip(b, "route", "add", "192.0.2.2/32", "via", a.address, "mtu", "lock", "600")
    targets = ("192.0.2.1:84", "192.0.2.2:1000", "10.99.0.77:84", f"{b.address}:84")
    ran = a.run(f"traffic_ping 3 {' '.join(targets)}", prefix=NAMED)
    assert ran.transcript.facts == {
        "ping 192.0.2.1:84": f"0/3 {b.address} says unreachable, code 1",
        "ping 192.0.2.2:1000": f"0/3 {b.address} asks for packets of 600 bytes",
        "ping 10.99.0.77:84": f"0/3 {a.address} says unreachable, code 1",
        f"ping {b.address}:84": "3/3",
    }
    assert 5 < ran.steps[0].seconds < 15, "the three were waited for one after the other"


def test_a_port_that_comes_late_is_waited_for(hosts: tuple[Host, Host]) -> None:
    """Packets before the first answer do not count: flows to a new port take a moment to reach every node."""
    a, b = hosts
    ip(b, "link", "set", "eth0", "down")
    late = f"(sleep 1.5; ip -n {b.namespace} link set eth0 up) &"
    with subprocess.Popen(["bash", "-c", late]):
        assert ping(a, f"{b.address}:84") == {f"{b.address}:84": "3/3"}


def test_a_port_that_is_not_open(hosts: tuple[Host, Host]) -> None:
    """Without the namespace the step fails and says what is missing."""
    ran = hosts[0].run("traffic_ping 3 10.99.0.2:84")
    assert ran.statuses == ["failed"]
    assert "no network namespace ovn-runbooks-probe" in ran.steps[0].message


@pytest.mark.parametrize("verb", ["traffic_port_gone", "traffic_switch_gone"])
def test_a_bare_host_has_nothing_to_take_away(hosts: tuple[Host, Host], verb: str) -> None:
    """Tidying up is fine where nothing was ever put up."""
    assert hosts[0].run(verb, prefix=BARE).statuses == ["ok"]


def test_a_dry_run_sends_and_makes_nothing(hosts: tuple[Host, Host]) -> None:
    """Every traffic verb says so and is ok, also on a bare host; nothing is written."""
    body = (
        "traffic_switch probe-a '0e:0b:00:00:00:01 100.64.0.1'\n"
        "traffic_port probe-a 0e:0b:00:00:00:01 100.64.0.1/24 10.99.0.1 58 5\n"
        "traffic_ping 3 10.99.0.2:84\ntraffic_port_gone\ntraffic_switch_gone"
    )
    ran = hosts[0].run(body, dry_run=True, prefix=BARE)
    assert ran.statuses == ["ok"] * 5
    assert {step.message for step in ran.steps} == {"dry run: no packets are sent"}
    assert (ran.written, ran.status) == ([], 0)


def test_a_switch_needs_ovn(hosts: tuple[Host, Host]) -> None:
    """On a host without OVN putting up a port or a switch fails, and says what is not installed."""
    switch = hosts[0].run("traffic_switch probe-a '0e:0b:00:00:00:01 100.64.0.1'", prefix=BARE)
    port = hosts[1].run("traffic_port probe-a 0e:0b:00:00:00:01 100.64.0.1/24 10.99.0.2 58 5", prefix=BARE)
    assert [(each.statuses, each.steps[0].message) for each in (switch, port)] == [
        (["failed"], "ovn-nbctl is not installed"),
        (["failed"], "ovs-vsctl is not installed"),
    ]
