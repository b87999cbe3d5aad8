"""Who probes whom, and what the answers mean."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.checks.facts import HostFacts
from plugins.checks.model import Check, Grade, judge_all
from plugins.checks.reach import REACH_RULES, Ports, Reach, expected_probes, plan
from plugins.checks.ring import Cluster, Member, Ring

MASTER, TUNNEL, NODE = ("tcp:6641", "tcp:6642", "tcp:6443"), "udp:6081", "tcp:10250"
PORTS = Ports(MASTER, TUNNEL, (NODE,))


def member(number: int, **changes: str) -> Member:
    """Host h<number>, listening; h0 is the master. Underscores in the keys of `changes` stand for spaces."""
    texts = {f"listen {port}": "listening" for port in (*MASTER, TUNNEL, NODE)}
    texts |= {"listen_token": f"t{number}", "tunnel_mtu": "1500"}
    texts |= {name.replace("listen_", "listen ", 1) if ":" in name else name: text for name, text in changes.items()}
    return Member(f"h{number}", IPv4Address(0x0A000001 + number), number == 0, HostFacts(texts))


def ring(count: int) -> tuple[Member, ...]:
    return tuple(member(number) for number in range(count))


def planned(members: tuple[Member, ...], number: int) -> Reach:
    return plan(Cluster(members[number], Ring(members)), PORTS)


def judged(reach: Reach, **answers: str) -> dict[str, Check]:
    """All reach checks by id; every probe is open, but for those of `answers` by host and port."""
    texts = {probe.fact: answers.get(f"{probe.to.name} {probe.port}", "open") for probe in reach.probes}
    return {check.id: check for check in judge_all(REACH_RULES, HostFacts(texts), reach)}


def test_a_worker_probes_the_master_and_its_neighbours():
    """Databases and API of the master, tunnels of the master and both neighbours, each small and in full size."""
    reach = planned(ring(5), 2)
    assert [probe.target for probe in reach.master] == [f"tcp:10.0.0.1:{port}:t0" for port in (6641, 6642, 6443)]
    assert reach.nodes == ()
    assert [probe.to.name for probe in reach.tunnels] == ["h0", "h3", "h1"]
    assert [probe.target for probe in reach.full][:2] == ["udp:10.0.0.1:6081:t0:1500", "udp:10.0.0.4:6081:t3:1500"]
    assert reach.full[0].fact == "probe udp:10.0.0.1:6081:1500"
    assert reach.tunnels[0].fact == "probe udp:10.0.0.1:6081"


def test_the_master_probes_its_neighbours_and_every_kubelet():
    """It needs nobody's databases; logs and commands in pods come through the kubelet of any node."""
    reach = planned(ring(5), 0)
    assert reach.master == ()
    assert [probe.to.name for probe in reach.tunnels] == ["h1", "h4"]
    assert [probe.target for probe in reach.nodes] == [f"tcp:10.0.0.{n + 1}:10250:t{n}" for n in (1, 2, 3, 4)]


def test_an_overlay_alone_has_no_kubelets():
    """Without Kubernetes nobody asks for its ports."""
    members = ring(3)
    for me in members:
        probes = plan(Cluster(me, Ring(members)), Ports(MASTER[:2], TUNNEL)).probes
        assert {probe.port for probe in probes} <= {*MASTER[:2], TUNNEL}


@pytest.mark.parametrize(("count", "names"), [(1, []), (2, ["h0"]), (3, ["h2", "h0"])])
def test_small_rings(count: int, names: list[str]):
    """One host has nobody to ask, two have each other, three have both others."""
    members = ring(count)
    assert [each.name for each in Ring(members).neighbours(f"h{min(1, count - 1)}")] == names


@given(st.integers(2, 30))
def test_every_link_is_probed_both_ways_and_the_cost_is_bounded(count: int):
    """Whoever I probe as a neighbour probes me; a worker makes at most 3 + 3 x 2 probes, the master more."""
    members = ring(count)
    for number, me in enumerate(members):
        assert len(planned(members, number).probes) <= (9 if number else 4 + count - 1)
        for other in Ring(members).neighbours(me.name):
            back = planned(members, int(other.name[1:])).tunnels
            assert me.name in [probe.to.name for probe in back]


@given(st.integers(1, 20))
def test_each_listener_knows_all_probes_that_will_come(count: int):
    """What a host is told to expect is what the others ask of it, no more and no less."""
    members = ring(count)
    asked: dict[str, list[str]] = {each.name: [] for each in members}
    for number, me in enumerate(members):
        for probe in planned(members, number).probes:
            asked[probe.to.name].append(probe.expectation(me.name))
    for me in members:
        assert sorted(expected_probes(Cluster(me, Ring(members)), PORTS)) == sorted(asked[me.name])


def test_open_ports_pass():
    """All checks that apply are ok: a worker asks the master, the master asks the kubelets."""
    assert {id: check.status for id, check in judged(planned(ring(3), 1)).items()} == {  # noqa: A001
        "reach-master": Grade.OK,
        "reach-tunnels": Grade.OK,
        "path-mtu": Grade.OK,
    }
    assert list(judged(planned(ring(3), 0))) == ["reach-kubelets", "reach-tunnels", "path-mtu"]


def test_a_closed_port_fails_and_names_the_other_host():
    """The message has the port, the host, its address and the answer; large packets are then not asked for."""
    checks = judged(planned(ring(3), 1), **{"h0 tcp:6642": "timeout", "h2 udp:6081": "refused"})
    assert checks["reach-master"].status is Grade.FAILED
    assert checks["reach-master"].seen == "TCP 6642 of h0 (10.0.0.1): timeout"
    assert checks["reach-tunnels"].seen == "UDP 6081 of h2 (10.0.0.3): refused"
    assert "firewalls" in checks["reach-tunnels"].step().message
    assert checks["path-mtu"].status is Grade.OK
    assert "h2" not in checks["path-mtu"].seen


def test_a_wrong_answer_fails():
    """Something else at that address, or in between, answers."""
    checks = judged(planned(ring(2), 1), **{"h0 tcp:6641": "wrong-answer"})
    assert checks["reach-master"].status is Grade.FAILED
    assert "another machine at that address" in checks["reach-master"].step().message


def test_large_packets_that_get_lost_fail_the_path_mtu():
    """Small ones come through, so it is the size."""
    reach = planned((member(0, tunnel_mtu="9000"), member(1, tunnel_mtu="8900")), 1)
    texts = {probe.fact: "timeout" if probe.size else "open" for probe in reach.probes}
    checks = {check.id: check for check in judge_all(REACH_RULES, HostFacts(texts), reach)}
    assert checks["reach-tunnels"].status is Grade.OK
    assert checks["path-mtu"].status is Grade.FAILED
    assert checks["path-mtu"].seen == "UDP 6081 of h0 (10.0.0.1) with packets of 8900 bytes: timeout"


def test_ports_that_ovn_has_already():
    """A database that runs only has to be connected to; UDP is skipped with a note that says why."""
    held = {"listen_tcp:6641": "in-use ovsdb-server", "listen_udp:6081": "in-use the kernel"}
    members = (member(0, **held), member(1))
    reach = planned(members, 1)
    assert [probe.target for probe in reach.probes] == [
        *("tcp:10.0.0.1:6641", "tcp:10.0.0.1:6642:t0", "tcp:10.0.0.1:6443:t0")
    ]
    checks = judged(reach)
    assert checks["reach-master"].status is Grade.OK
    assert checks["reach-tunnels"].status is Grade.NOTE
    assert "UDP 6081 of h0 (10.0.0.1): not asked, in use by the kernel" in checks["reach-tunnels"].seen
    assert expected_probes(Cluster(members[0], Ring(members)), PORTS) == ["h1:tcp:6642", "h1:tcp:6443"]


@pytest.mark.parametrize("text", ["", "perhaps", "in-use"])
def test_a_peer_whose_listening_is_not_known_is_not_asked(text: str):
    """Its own preflight fails for that; here it is a note."""
    reach = planned((member(0, **{"listen_udp:6081": text}), member(1)), 1)
    assert [probe.port for probe in reach.probes] == list(MASTER)
    assert judged(reach)["reach-tunnels"].status is Grade.NOTE


def test_a_missing_answer_fails():
    """A probe without an answer is not taken for a success."""
    reach = planned(ring(2), 1)
    checks = list(judge_all(REACH_RULES, HostFacts({}), reach))
    assert {check.status for check in checks} == {Grade.FAILED}
    assert "probe tcp:10.0.0.1:6641" in checks[0].seen


def test_a_peer_without_a_known_mtu_gets_small_probes_only():
    """The size of a full packet is not guessed."""
    reach = planned((member(0, tunnel_mtu="?"), member(1)), 1)
    assert [probe.size for probe in reach.probes] == [None] * 4


HYBRID = "udp:4789"
MIXED = Ports(MASTER, TUNNEL, (NODE,), MASTER[2:], HYBRID)


def windows(number: int, **facts: str) -> Member:
    """A Windows host w<number>, which does not listen for probes."""
    texts = {"tunnel_mtu": "1500", "listening": "tcp 5986", **facts}
    return Member(f"w{number}", IPv4Address(0x0A000101 + number), master=False, facts=HostFacts(texts), windows=True)


def mixed(linux: int, others: int) -> tuple[Member, ...]:
    """Linux hosts that have the port for tunnels to Windows, too, and Windows hosts."""
    listens = {f"listen_{HYBRID}": "listening"}
    return (*(member(number, **listens) for number in range(linux)), *map(windows, range(others)))


def test_a_windows_host_asks_for_the_api_and_where_its_tunnels_end():
    """Of the master its API, of master and two others the tunnels' port, small and in full size; nobody's databases."""
    members = mixed(4, 2)
    reach = plan(Cluster(members[5], Ring(members)), MIXED)
    assert [probe.target for probe in reach.master] == ["tcp:10.0.0.1:6443:t0"]
    assert [probe.target for probe in reach.tunnels] == [f"udp:10.0.0.{n}:4789:t{n - 1}" for n in (1, 3, 4)]
    assert [probe.size for probe in reach.full] == [1500] * 3
    assert reach.nodes == ()


@given(st.integers(1, 9), st.integers(0, 40))
def test_each_listener_knows_the_probes_of_windows_hosts_too(linux: int, others: int):
    """And no host but the master is asked by more than its share."""
    members = mixed(linux, others)
    compared = Ring(members)
    asked: dict[str, list[str]] = {each.name: [] for each in members}
    for me in members:
        for probe in plan(Cluster(me, compared), MIXED).probes:
            asked[probe.to.name].append(probe.expectation(me.name))
    for me in members[:linux]:
        assert sorted(expected_probes(Cluster(me, compared), MIXED)) == sorted(asked[me.name])
    share = [sum(word.endswith(":4789") for word in asked[each.name]) for each in members[1:linux]]
    assert max(share, default=0) <= 2 * others / linux + 2


def test_a_windows_kubelet_is_asked_for_once_it_runs():
    """Before, its firewall lets nothing in: a note says so, and verify asks."""
    fresh, running = windows(0), windows(1, listening="tcp 10250\ntcp 5986")
    members = (*mixed(2, 0), fresh, running)
    reach = plan(Cluster(members[0], Ring(members)), MIXED)
    assert [probe.target for probe in reach.nodes if not probe.reason] == [
        "tcp:10.0.0.2:10250:t1",
        "tcp:10.0.1.2:10250",
    ]
    check = judged(reach)["reach-kubelets"]
    assert check.status is Grade.NOTE
    assert "TCP 10250 of w0 (10.0.1.1): not asked, nothing listens on it yet" in check.seen
    assert judged(reach, **{"w1 tcp:10250": "timeout"})["reach-kubelets"].status is Grade.FAILED
