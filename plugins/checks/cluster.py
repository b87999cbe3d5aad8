"""Checks that compare hosts with each other. Each host judges itself; whoever it differs from is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address
from typing import TypeVar

from plugins.checks.clock import offset
from plugins.checks.facts import HostFacts
from plugins.checks.model import Rule, Verdict, failed, note, ok
from plugins.checks.system import CLOCK_LIMIT, CLOCK_NOTE
from plugins.words import listed

SHOWN = 3  # clocks


@dataclass(frozen=True)
class Member:
    """One host of those that are compared."""

    name: str
    address: IPv4Address
    master: bool
    facts: HostFacts

    @property
    def listens(self) -> bool:
        """Whether its preflight has listened for other hosts' probes."""
        return "listen_token" in self.facts.texts


@dataclass(frozen=True)
class Ring:
    """All hosts that are compared, in the inventory's order; those that listen for probes are in a ring.

    The last one of the ring is the first one's neighbour.
    """

    members: tuple[Member, ...]

    @cached_property
    def listening(self) -> tuple[Member, ...]:
        """The ring."""
        return tuple(member for member in self.members if member.listens)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where in the ring each host is, by name."""
        return {member.name: place for place, member in enumerate(self.listening)}

    @cached_property
    def masters(self) -> tuple[Member, ...]:
        """The hosts that serve the databases."""
        return tuple(member for member in self.members if member.master)

    def neighbours(self, name: str) -> tuple[Member, ...]:
        """Give the next host and the one before; fewer than three hosts have one or none."""
        place, count = self.places[name], len(self.listening)
        around = dict.fromkeys(((place + 1) % count, (place - 1) % count))
        return tuple(self.listening[there] for there in around if there != place)


@dataclass(frozen=True)
class Cluster:
    """One host among the others."""

    me: Member
    ring: Ring

    @cached_property
    def others(self) -> tuple[Member, ...]:
        """All but this host."""
        return tuple(member for member in self.ring.members if member.name != self.me.name)


def clock_skew(facts: HostFacts, cluster: Cluster) -> Verdict:
    """Fail where a host disagrees with half of the cluster or more: one wrong clock stops one host, not all."""
    mine = offset(facts)
    theirs = {other.name: found for other in cluster.others if (found := _told(other, offset)) is not None}
    apart = {name: mine.certain(their) for name, their in theirs.items()}
    far = [name for name, seconds in apart.items() if seconds > CLOCK_LIMIT]
    near = [name for name, seconds in apart.items() if CLOCK_NOTE < seconds <= CLOCK_LIMIT]
    seen = listed([mine.words(theirs[name], name) for name in (far or near)[:SHOWN]])
    if far:
        known = len(apart) + 1
        return (failed if 2 * (known - len(far)) <= known else note)(seen)
    if near:
        return note(seen)
    return ok(f"clocks of {len(apart)} other hosts" if apart else "no other host")


def unique(fact: str, *, may_lack: bool = False) -> Callable[[HostFacts, Cluster], Verdict]:
    """Judge that no other host has the same text for `fact`, upper and lower case being the same."""

    def judge(facts: HostFacts, cluster: Cluster) -> Verdict:
        mine = facts.may_be_empty(fact) if may_lack else facts.text(fact)
        if not mine:
            return ok("none yet")
        theirs = {other.name: other.facts.texts.get(fact, "").strip() for other in cluster.others}
        same = [name for name, text in theirs.items() if text.lower() == mine.lower()]
        return failed(f"{mine} here and on {listed(same, 8)}") if same else ok(mine)

    return judge


def unique_address(facts: HostFacts, cluster: Cluster) -> Verdict:
    """Neither has another host this one's address, nor this one another's."""
    mine = {found for _, found in facts.addresses}
    seen = []
    for other in cluster.others:
        # As text: reading all addresses of all hosts on every host takes its time.
        if f" {cluster.me.address}/" in other.facts.texts.get("addresses", ""):
            seen.append(f"{cluster.me.address} is on {other.name}, too")
        if other.address in mine:
            seen.append(f"{other.address} of {other.name} is on {cluster.me.name}, too")
    return failed(listed(seen, 8)) if seen else ok(cluster.me.address)


def same_mtu(facts: HostFacts, cluster: Cluster) -> Verdict:
    """Hosts with a greater MTU than others send packets that those may not take."""
    mine = facts.number("tunnel_mtu")
    told = [_told(other, lambda them: them.number("tunnel_mtu")) for other in cluster.others]
    counts = Counter(mtu for mtu in told if mtu is not None and mtu != mine)
    if not counts:
        return ok(mine)
    return note(f"{mine} here, " + ", ".join(f"{mtu} on {number} others" for mtu, number in counts.most_common(4)))


Value = TypeVar("Value")


def _told(member: Member, read: Callable[[HostFacts], Value]) -> Value | None:
    """Read a fact of another host; None when it cannot be read, which fails that host's own check."""
    try:
        return read(member.facts)
    except ValueError:
        return None


COMPARE_RULES: tuple[Rule[Cluster], ...] = (
    Rule(
        "clock-skew",
        f"within {CLOCK_LIMIT:g} s of the other hosts' clocks (a note above {CLOCK_NOTE:g} s)",
        "set the wrong clock and start a time service on it",
        clock_skew,
    ),
    Rule(
        "machine-id",
        "a machine id of its own",
        "on one of them (a cloned image?): rm -f /etc/machine-id /var/lib/dbus/machine-id, "
        "systemd-machine-id-setup, reboot; on Windows: sysprep /generalize",
        unique("machine_id"),
    ),
    Rule(
        "unique-hostname",
        "a host name of its own",
        "rename one of them: hostnamectl set-hostname NAME; on Windows: Rename-Computer NAME",
        unique("hostname"),
    ),
    Rule(
        "system-id",
        "an OVN system id of its own",
        "on one of them (a cloned image?): rm /etc/openvswitch/system-id.conf, systemctl restart openvswitch-switch",
        unique("system_id", may_lack=True),
    ),
    Rule(
        "unique-address",
        "an address that no other host has",
        "take the address from one of them, or correct the inventory (two entries for one machine?)",
        unique_address,
    ),
    Rule("same-mtu", "the same MTU on all hosts", "write mtu: in the defaults, or make the NICs alike", same_mtu),
)
