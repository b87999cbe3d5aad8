"""Packets over the overlay: which addresses the temporary ports have, who pings whom, and what the answers mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from nornir.core.task import Task

from plugins.checks.model import Check, Grade
from plugins.context import context_of
from plugins.errors import HostError
from plugins.inventory import host_settings
from plugins.inventory.model import HostSettings, Role

SWITCH = "ovn-runbooks-probe"
SMALL = 84  # bytes of an IP packet, as ping sends it
COUNT = 3
ALL_PAIRS = 50  # hosts; more than that ping only some of the others
AROUND = 4  # in each direction
GENEVE = "UDP 6081"
# Shared address space (RFC 6598), for benchmarks (RFC 2544), link-local (RFC 3927): nobody's own, and from the end
# of each, as OVN's users take theirs from the beginning.
_CANDIDATES = tuple(map(IPv4Network, ("100.64.0.0/10", "198.18.0.0/15", "169.254.0.0/16")))


@dataclass(frozen=True)
class Peer:
    """One end of a probe: where it is pinged, and the host's own address. `tunnels`: their protocol and port."""

    name: str
    address: IPv4Address
    underlay: IPv4Address
    tunnels: str = GENEVE


@dataclass(frozen=True)
class Node:
    """One host's temporary port: `interface` is its address in the switch's network, `underlay` the host's own."""

    name: str
    interface: IPv4Interface
    underlay: IPv4Address

    @property
    def address(self) -> IPv4Address:
        """Where it is pinged."""
        return self.interface.ip

    @property
    def tunnels(self) -> str:
        """Protocol and port of its tunnels."""
        return GENEVE

    @property
    def port(self) -> str:
        """Name of the logical port, unique in the northbound database."""
        return f"{SWITCH}-{self.name}"

    @property
    def mac(self) -> str:
        """Locally administered, and as unique as the address is."""
        return ":".join(f"{byte:02x}" for byte in (0x0E, 0x0B, *self.address.packed))


def nodes_of(task: Task) -> Mapping[str, Node]:
    """Give every host that can have a port, in the inventory's order, the same for every task of a run.

    Raises HostError where no free network is left for so many.
    """
    cluster = context_of(task).cluster
    hosts = [settings for host in task.nornir.inventory.hosts.values() if _is_node(settings := host_settings(host))]
    used = (cluster.pod_network, cluster.service_network, *([cluster.host_network] if cluster.host_network else []))
    nodes = _nodes(used, tuple((host.name, host.address) for host in hosts))
    if not nodes:
        seen = f"no network for {len(hosts)} ports is free in {', '.join(map(str, _CANDIDATES))}"
        todo = "give the cluster networks that leave some of these free"
        raise HostError(task.host.name, "probe network", seen, todo)
    return nodes


@lru_cache(maxsize=4)  # every task of a run asks for the same
def _nodes(used: tuple[IPv4Network, ...], hosts: tuple[tuple[str, IPv4Address], ...]) -> Mapping[str, Node]:
    network = probe_network(used, [int(address) for _, address in hosts])
    if network is None:
        return {}
    first, length = int(network.network_address) + 1, network.prefixlen
    return {
        name: Node(name, IPv4Interface((first + place, length)), address) for place, (name, address) in enumerate(hosts)
    }


def _is_node(settings: HostSettings) -> bool:
    return settings.role is not Role.WINDOWS


def probe_network(used: Sequence[IPv4Network], hosts: Sequence[int]) -> IPv4Network | None:
    """Choose the smallest network that has room for `hosts` and overlaps neither the networks in use nor a host.

    `hosts` are the hosts' own addresses, as numbers. None when there is none.
    """
    length = 32 - (len(hosts) + 1).bit_length()
    size = 1 << (32 - length)
    taken = [(int(each.network_address), int(each.broadcast_address)) for each in used]
    taken += [(address, address) for address in hosts]
    for block in _CANDIDATES:
        first = int(block.broadcast_address) + 1 - size
        while first >= int(block.network_address):
            hit = next((low for low, high in taken if low < first + size and high >= first), None)
            if hit is None:
                return IPv4Network((first, length))
            first = (hit - size) & -size  # the next one down that this is not in
    return None


def peers(names: Sequence[str], me: str, master: str) -> tuple[str, ...]:
    """Give those that `me` pings: all others of `names`, or of many its neighbours in their ring and the master."""
    if len(names) <= ALL_PAIRS:
        return tuple(name for name in names if name != me)
    here = names.index(me)
    around = [names[(here + step) % len(names)] for step in range(-AROUND, AROUND + 1)]
    return tuple(name for name in dict.fromkeys([*([master] if master in names else []), *around]) if name != me)


def targets(sizes: Mapping[Node, int] | Mapping[Peer, int]) -> list[str]:
    """Say what to ping, as words of the verbs: each end with small packets and with those of its size."""
    return [f"{peer.address}:{each}" for peer, size in sizes.items() for each in dict.fromkeys((SMALL, size))]


def plan(hosts: int, chosen: int) -> str:
    """Say whom one of `hosts` pings."""
    if not chosen:
        return "no other host has an end, so no packets are sent"
    if hosts <= ALL_PAIRS:
        return f"{hosts} hosts: all pairs"
    return f"{hosts} hosts: not all pairs, each pings {chosen} of them: the master and its neighbours in a ring of all"


def judge(me: Node | Peer, peer: Node | Peer, size: int, facts: Mapping[str, str], what: str = "traffic") -> Check:
    """Judge the answers of one peer to small packets and to those of `size` bytes; `facts` are of the verb's."""
    wanted = f"{COUNT} of {COUNT} packets of each size answered, undivided"
    small, large = (facts.get(f"ping {peer.address}:{each}", "not sent") for each in (SMALL, size))
    seen = f"small {small}, {size} bytes {large}"
    bad = [answer for answer in (small, large) if answer.split()[0] != f"{COUNT}/{COUNT}"]
    grade = Grade.FAILED if bad else Grade.OK
    todo = _todo(me, peer, small, large) if bad else ""
    return Check(grade, seen, wanted, todo, f"{what} to {peer.name}")


def _todo(me: Node | Peer, peer: Node | Peer, small: str, large: str) -> str:
    ends = f"{me.name} ({me.underlay}) and {peer.name} ({peer.underlay})"
    if small.startswith("0/"):
        way = next((end.tunnels for end in (me, peer) if end.tunnels != GENEVE), GENEVE)
        return (
            f"let {way} through between {ends}, both ways: firewalls, security groups, routes; "
            "`ovs-vsctl show` names each tunnel's remote_ip"
        )
    if large.startswith("0/"):
        return (
            f"find what drops large packets between {ends} (VPN, tunnel, switch), "
            "or write a smaller mtu: for them in the inventory"
        )
    return f"find what loses packets between {ends}: load, errors of the NICs, the switches between them"
