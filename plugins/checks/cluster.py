"""Checks that compare hosts with each other. Each host judges itself; whoever it differs from is named."""

from __future__ import annotations

from collections.abc import Callable

from plugins.checks.clock import offset
from plugins.checks.facts import HostFacts
from plugins.checks.model import Rule, Verdict, failed, note, ok
from plugins.checks.ring import Cluster, Member
from plugins.checks.system import CLOCK_LIMIT, CLOCK_NOTE
from plugins.words import listed

SHOWN = 3  # clocks


def clock_skew(facts: HostFacts, cluster: Cluster) -> Verdict:
    """Fail where a host disagrees with half of the cluster or more: one wrong clock stops one host, not all."""
    mine, ring = offset(facts), cluster.ring
    near = ring.clocks_apart(mine, CLOCK_NOTE)
    far = {name: their for name, their in near.items() if mine.certain(their) > CLOCK_LIMIT}
    seen = listed([mine.words(their, name) for name, their in list((far or near).items())[:SHOWN]])
    known = len(ring.clocks)
    if far:
        return (failed if 2 * (known - len(far)) <= known else note)(seen)
    if near:
        return note(seen)
    return ok(f"clocks of {known - 1} other hosts" if known > 1 else "no other host")


def unique(fact: str, *, may_lack: bool = False) -> Callable[[HostFacts, Cluster], Verdict]:
    """Judge that no other host has the same text for `fact`, upper and lower case being the same."""

    def judge(facts: HostFacts, cluster: Cluster) -> Verdict:
        mine = facts.may_be_empty(fact) if may_lack else facts.text(fact)
        if not mine:
            return ok("none yet")
        same = _besides(cluster.me, cluster.ring.by_text(fact).get(mine.lower(), []))
        return failed(f"{mine} here and on {listed(same, 8)}") if same else ok(mine)

    return judge


def unique_address(facts: HostFacts, cluster: Cluster) -> Verdict:
    """Neither has another host this one's address, nor this one another's."""
    me, ring = cluster.me, cluster.ring
    seen = [f"{me.address} is on {name}, too" for name in _besides(me, ring.by_found_address.get(str(me.address), []))]
    for mine in dict.fromkeys(found for _, found in facts.addresses):
        seen += [f"{mine} of {name} is on {me.name}, too" for name in _besides(me, ring.by_address.get(str(mine), []))]
    return failed(listed(seen, 8)) if seen else ok(me.address)


def same_mtu(facts: HostFacts, cluster: Cluster) -> Verdict:
    """Hosts with a greater MTU than others send packets that those may not take."""
    mine = facts.number("tunnel_mtu")
    counts = [(mtu, number) for mtu, number in cluster.ring.mtus.most_common() if mtu != mine]
    if not counts:
        return ok(mine)
    return note(f"{mine} here, " + ", ".join(f"{mtu} on {number} others" for mtu, number in counts[:4]))


def _besides(me: Member, names: list[str]) -> list[str]:
    return [name for name in names if name != me.name]


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
