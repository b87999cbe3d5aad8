"""Checks that compare hosts with each other. Each host judges itself; whoever it differs from is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TypeVar

from plugins.checks.clock import offset
from plugins.checks.facts import HostFacts
from plugins.checks.model import Rule, Verdict, failed, note, ok
from plugins.checks.system import CLOCK_LIMIT, CLOCK_NOTE
from plugins.words import listed


@dataclass(frozen=True)
class Member:
    """One host of those that are compared."""

    name: str
    address: IPv4Address
    master: bool
    facts: HostFacts


@dataclass(frozen=True)
class Cluster:
    """One host among the others; `ring` has all of them, in the inventory's order."""

    me: Member
    ring: tuple[Member, ...]

    @property
    def others(self) -> tuple[Member, ...]:
        """All but this host."""
        return tuple(member for member in self.ring if member.name != self.me.name)


def clock_skew(facts: HostFacts, cluster: Cluster) -> Verdict:
    """Fail where a host disagrees with half of the cluster or more: one wrong clock stops one host, not all."""
    mine = offset(facts)
    apart: dict[str, float] = {}
    words: dict[str, str] = {}
    for other in cluster.others:
        theirs = _told(other, offset)
        if theirs is not None:
            apart[other.name], words[other.name] = mine.certain(theirs), mine.words(theirs, other.name)
    far = [name for name, seconds in apart.items() if seconds > CLOCK_LIMIT]
    near = [name for name, seconds in apart.items() if CLOCK_NOTE < seconds <= CLOCK_LIMIT]
    if far:
        verdict = failed if 2 * (len(apart) + 1 - len(far)) <= len(apart) + 1 else note
        return verdict(listed([words[name] for name in far], 3))
    if near:
        return note(listed([words[name] for name in near], 3))
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
        theirs = _told(other, lambda them: {found for _, found in them.addresses}) or set()
        if cluster.me.address in theirs:
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
        "on one of them: rm /etc/machine-id, run systemd-machine-id-setup and reboot (a cloned image?)",
        unique("machine_id"),
    ),
    Rule(
        "unique-hostname",
        "a host name of its own",
        "rename one of them: hostnamectl set-hostname NAME",
        unique("hostname"),
    ),
    Rule(
        "system-id",
        "an OVN system id of its own",
        "on one of them: rm /etc/openvswitch/system-id.conf and restart openvswitch-switch (a cloned image?)",
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
