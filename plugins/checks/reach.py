"""Ports between hosts: who probes whom, and what the answers mean.

Every Linux host probes the master, and its two neighbours in a ring of all Linux hosts; so each link of the ring is
probed both ways, and the number of probes grows with the hosts and not with their pairs. A Windows host, where nothing
listens for probes, asks the master and two of the ring.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from plugins.checks.facts import HostFacts
from plugins.checks.model import Rule, Verdict, failed, note, ok
from plugins.checks.ring import Cluster, Member
from plugins.words import listed


@dataclass(frozen=True)
class Probe:
    """One question to a port of another host.

    `port` is PROTO:PORT. `token` is what the listener there answers; without one a TCP connection is enough, as OVN
    itself has the port. `size` pads it to an IP packet of that many bytes. `reason` says why it is not asked at all.
    """

    to: Member
    port: str
    token: str = ""
    size: int | None = None
    reason: str = ""

    @property
    def target(self) -> str:
        """The word for the verb `probe`."""
        return self._word(self.token)

    @property
    def fact(self) -> str:
        """The name of the fact with the answer."""
        return f"probe {self._word('')}"

    def expectation(self, me: str) -> str:
        """The word for the verb `unlisten` on the other side."""
        return ":".join([me, self.port, *([str(self.size)] if self.size else [])])

    @property
    def words(self) -> str:
        """The port in an operator's words."""
        proto, _, port = self.port.partition(":")
        size = f" with packets of {self.size} bytes" if self.size else ""
        return f"{proto.upper()} {port} of {self.to.name} ({self.to.address}){size}"

    def _word(self, token: str) -> str:
        proto, _, port = self.port.partition(":")
        size = [str(self.size)] if self.size else []
        return ":".join([proto, str(self.to.address), port, *([token] if token else []), *size])


@dataclass(frozen=True)
class Ports:
    """What is probed: `master` ports of the master, `tunnel` of everybody, `node` of all by the master, if any.

    Windows hosts ask for `api` of the master, and for `hybrid`, where their tunnels end, of everybody.
    """

    master: tuple[str, ...]
    tunnel: str
    node: tuple[str, ...] = ()
    api: tuple[str, ...] = ()
    hybrid: str = ""


@dataclass(frozen=True)
class Reach:
    """What one host probes: `master` ports, `tunnels` of master and neighbours, small and full, and `nodes`."""

    master: tuple[Probe, ...] = ()
    tunnels: tuple[Probe, ...] = ()
    full: tuple[Probe, ...] = ()
    nodes: tuple[Probe, ...] = ()

    @property
    def probes(self) -> tuple[Probe, ...]:
        """All that are really asked."""
        return tuple(probe for probe in (*self.master, *self.tunnels, *self.full, *self.nodes) if not probe.reason)


def plan(cluster: Cluster, ports: Ports) -> Reach:
    """Decide what `cluster.me` probes; made once, as those who are probed ask, too."""
    kept = cluster.ring.kept
    if (name := (cluster.me.name, ports)) not in kept:
        kept[name] = _plan(cluster, ports)
    reach: Reach = kept[name]
    return reach


def _plan(cluster: Cluster, ports: Ports) -> Reach:
    me, ring = cluster.me, cluster.ring
    masters = [master for master in ring.masters if master.name != me.name]
    near = ring.near_windows[me.name] if me.windows else ring.neighbours(me.name)
    tunnel, wanted = (ports.hybrid, ports.api) if me.windows else (ports.tunnel, ports.master)
    peers = {member.name: member for member in (*masters, *near)}
    tunnels = tuple(_probe(peer, tunnel) for peer in peers.values())
    return Reach(
        master=tuple(_probe(master, port) for master in masters for port in wanted if not me.master),
        tunnels=tunnels,
        full=tuple(_full(me, probe) for probe in tunnels if not probe.reason),
        nodes=tuple(_nodes(cluster.others, ports) if me.master else ()),
    )


def _nodes(others: Iterable[Member], ports: Ports) -> Iterator[Probe]:
    for other in others:
        for port in ports.node:
            if other.listens:
                yield _probe(other, port)
            elif other.windows and ports.hybrid:
                yield _served(other, port)


def expected_probes(cluster: Cluster, ports: Ports) -> list[str]:
    """Name all probes that others make of `cluster.me`, as words for the verb `unlisten`."""
    me, ring = cluster.me, cluster.ring
    near = {member.name: member for member in (*ring.masters, *ring.neighbours(me.name)) if member.name != me.name}
    askers = tuple(other for other in cluster.others if other.listens) if me.master else tuple(near.values())
    if ports.hybrid:
        askers += tuple(ring.named[name] for name in ring.windows_near.get(me.name, ()))
    return [
        probe.expectation(asker.name)
        for asker in askers
        for probe in plan(Cluster(asker, ring), ports).probes
        if probe.to.name == me.name and probe.token
    ]


def _probe(to: Member, port: str) -> Probe:
    token = to.facts.texts.get("listen_token", "")
    try:
        listen = to.facts.listen(port)
    except ValueError as error:
        return Probe(to, port, reason=str(error))
    if listen.listening:
        return Probe(to, port, token) if token else Probe(to, port, reason="nothing for listen_token")
    # Open vSwitch answers to no UDP question; a connection to a database that is there proves enough.
    return Probe(to, port) if port.startswith("tcp:") else Probe(to, port, reason=f"in use by {listen.holder}")


def _served(to: Member, port: str) -> Probe:
    """Ask a Windows host for what it serves already: its firewall lets in nothing else."""
    try:
        there = port.replace(":", " ") in to.facts.may_be_empty("listening").splitlines()
    except ValueError as error:
        return Probe(to, port, reason=str(error))
    return Probe(to, port) if there else Probe(to, port, reason="nothing listens on it yet")


def _full(me: Member, probe: Probe) -> Probe:
    """The same question as large as both ends send their packets."""
    try:
        size = min(me.facts.number("tunnel_mtu"), probe.to.facts.number("tunnel_mtu"))
    except ValueError as error:
        return Probe(probe.to, probe.port, reason=str(error))
    return Probe(probe.to, probe.port, probe.token, size)


def _answers(facts: HostFacts, probes: tuple[Probe, ...]) -> Iterator[tuple[Probe, str]]:
    for probe in probes:
        yield probe, probe.reason or facts.text(probe.fact)


def _judged(facts: HostFacts, probes: tuple[Probe, ...]) -> Verdict | None:
    if not probes:
        return None
    answers = list(_answers(facts, probes))
    bad = [f"{probe.words}: {answer}" for probe, answer in answers if answer != "open" and not probe.reason]
    skipped = [f"{probe.words}: not asked, {answer}" for probe, answer in answers if probe.reason]
    if bad:
        return failed(listed([*bad, *skipped], 6))
    if skipped:
        return note(listed(skipped, 6), todo="what is not asked here is looked at when the cluster is verified")
    return ok(f"open: {listed([probe.words for probe in probes], 4)}")


def master(facts: HostFacts, reach: Reach) -> Verdict | None:
    """A chassis reaches the master's databases, and a node the API."""
    return _judged(facts, reach.master)


def nodes(facts: HostFacts, reach: Reach) -> Verdict | None:
    """The API reaches every kubelet, for logs and for commands in pods."""
    return _judged(facts, reach.nodes)


def tunnels(facts: HostFacts, reach: Reach) -> Verdict | None:
    """Tunnel packets come through."""
    return _judged(facts, reach.tunnels)


def path_mtu(facts: HostFacts, reach: Reach) -> Verdict | None:
    """Tunnel packets of full size come through, where small ones do."""
    small = {probe.to.name for probe, answer in _answers(facts, reach.tunnels) if answer == "open"}
    return _judged(facts, tuple(probe for probe in reach.full if probe.to.name in small))


REACH_RULES: tuple[Rule[Reach], ...] = (
    Rule(
        "reach-master",
        "the ports of the master's databases and API open from every other host",
        "let these ports through: firewalls, security groups; wrong-answer: is another machine at that address?",
        master,
    ),
    Rule(
        "reach-kubelets",
        "TCP 10250 (the kubelet) of every other host open from the master",
        "let TCP 10250 through from the master: firewalls, security groups",
        nodes,
    ),
    Rule(
        "reach-tunnels",
        "UDP 6081 (Geneve) open to the master and to both neighbours in a ring of all hosts; from Windows, vxlan_port",
        "let UDP 6081, and vxlan_port where there is Windows, through both ways: firewalls, security groups, routes",
        tunnels,
    ),
    Rule(
        "path-mtu",
        "packets as large as both NICs send, undivided",
        "find what drops large packets on the way (VPN, tunnel, switch), or write a smaller mtu: in the inventory",
        path_mtu,
    ),
)
