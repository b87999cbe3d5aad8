"""The lab's network on this machine: a bridge, a way out by NAT, and taking both back exactly.

Everything of ours carries the bridge's name: the bridge itself, its ports (BRIDGE-NUMBER), the comment of
each iptables rule. What is machine-wide, ip_forward, is noted under /run by the first lab and put back by the last.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TypedDict

from plugins.errors import UsageError
from plugins.lab.commands import run

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
NOTES = Path("/run/ovn-runbooks-lab")
MARK = "ovn-runbooks-lab:"


@dataclass(frozen=True)
class Network:
    """One lab's network. The machine has its first address, hosts those from the second on."""

    bridge: str
    subnet: IPv4Network

    @property
    def gateway(self) -> IPv4Address:
        """The machine's address in the lab."""
        return self.subnet[1]

    @property
    def comment(self) -> str:
        """The mark on our iptables rules."""
        return f"{MARK}{self.bridge}"

    def port(self, number: int) -> str:
        """Name of the machine's end of a host's cable."""
        return f"{self.bridge}-{number}"

    def rules(self) -> list[list[str]]:
        """Our iptables rules, each as table, chain and match with target."""
        mark = ["-m", "comment", "--comment", self.comment]
        outside = ["-s", str(self.subnet), "!", "-d", str(self.subnet)]
        return [
            ["nat", "POSTROUTING", *outside, *mark, "-j", "MASQUERADE"],
            # A machine that runs other containers often drops what it forwards.
            ["filter", "FORWARD", "-i", self.bridge, *mark, "-j", "ACCEPT"],
            ["filter", "FORWARD", "-o", self.bridge, *mark, "-j", "ACCEPT"],
        ]


def mac_of(name: str) -> str:
    """A locally administered MAC address that is this machine's or device's own."""
    return ":".join(f"{byte:02x}" for byte in (0x02, *hashlib.sha256(name.encode()).digest()[:5]))


def refuse_overlap(network: Network) -> None:
    """Raise UsageError when the machine already has a route into the lab's subnet."""
    if found := overlapping(network, run(["ip", "-json", "-4", "route", "show", "table", "all"]).stdout):
        raise UsageError(
            f"{network.subnet}: this machine already has {found}; name another network: --network ADDRESS/LENGTH"
        )


def overlapping(network: Network, routes: str) -> str:
    """A route of another NIC into the subnet, in words, or an empty text; `routes`: JSON of `ip route`."""
    for route in json.loads(routes or "[]"):
        target = route.get("dst", "default")
        passing = target == "default" or route.get("dev") == network.bridge
        if not passing and IPv4Network(target, strict=False).overlaps(network.subnet):
            return f"a route to {target} by {route.get('dev', '?')}"
    return ""


def ensure(network: Network) -> list[str]:
    """Make what is missing of bridge, address, rules and forwarding. Returns what was made, in words. Idempotent."""
    made = []
    if not exists(network.bridge):
        run(["ip", "link", "add", network.bridge, "type", "bridge", "forward_delay", "0"])
        made.append(f"bridge {network.bridge}")
    run(["ip", "address", "replace", f"{network.gateway}/{network.subnet.prefixlen}", "dev", network.bridge])
    # Of its own: else it is the lowest of its ports', another one when a host boots, and the hosts go on sending to the
    # old one. Such a packet is seen by conntrack as the bridge floods it, and its flow is never translated after that.
    run(["ip", "link", "set", network.bridge, "address", mac_of(network.bridge), "up"])
    # A userspace switch in a host takes packets as they are: their checksums must be whole.
    run(["ethtool", "--offload", network.bridge, "tx", "off"], check=False)
    for table, chain, *rule in network.rules():
        if run(["iptables", "-w", "-t", table, "-C", chain, *rule], check=False).returncode != 0:
            run(["iptables", "-w", "-t", table, "-I", chain, *rule])
            made.append(f"{chain.lower()} rule")
    with _noted() as notes:
        if network.bridge not in notes["labs"]:
            notes["labs"].append(network.bridge)
        FORWARD.write_text("1\n")
    return made


def remove(bridge: str) -> None:
    """Take back all that `ensure` and the hosts' cables made; what is not there is passed over."""
    for table, chain, rule in find_rules(f"{MARK}{bridge}"):
        run(["iptables", "-w", "-t", table, "-D", chain, *rule])
    for link in (*ports(bridge), bridge):
        if exists(link):
            run(["ip", "link", "delete", link], check=False)
    with _noted() as notes:
        if bridge in notes["labs"]:
            notes["labs"].remove(bridge)
            if not notes["labs"]:
                FORWARD.write_text(notes["ip_forward"] + "\n")


def find_rules(comment: str) -> list[tuple[str, str, list[str]]]:
    """Table, chain and words of each iptables rule that carries our comment."""
    found = []
    for table in ("nat", "filter"):
        for line in run(["iptables", "-w", "-t", table, "-S"], check=False).stdout.splitlines():
            words = shlex.split(line)
            if words[:1] == ["-A"] and comment in words:
                found.append((table, words[1], words[2:]))
    return found


def plug(network: Network, number: int) -> None:
    """Put a host's cable into the bridge."""
    run(["ip", "link", "set", network.port(number), "master", network.bridge, "up"])


def ports(bridge: str) -> list[str]:
    """The machine's ends of all cables of this lab, in the bridge or not."""
    return sorted(link.name for link in Path("/sys/class/net").glob(f"{bridge}-*"))


def exists(link: str) -> bool:
    """Whether the machine has a NIC of this name."""
    return Path("/sys/class/net", link).exists()


class _Notes(TypedDict):
    """What the first lab of this machine found, and which labs there are."""

    ip_forward: str
    labs: list[str]


@contextmanager
def _noted() -> Iterator[_Notes]:
    """The machine-wide notes, for reading and changing; they go with the last lab."""
    with _held(NOTES):
        file = NOTES / "network.json"
        found = json.loads(file.read_text()) if file.exists() else {}
        notes = _Notes(ip_forward=found.get("ip_forward", FORWARD.read_text().strip()), labs=found.get("labs", []))
        yield notes
        if notes["labs"]:
            file.write_text(json.dumps(notes))
        else:
            file.unlink(missing_ok=True)
            NOTES.rmdir()


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the lock on a folder that comes and goes."""
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # The holder before us may have taken the folder away, and another made it anew.
            if folder.exists() and folder.stat().st_ino == os.fstat(handle).st_ino:
                yield
                return
        finally:
            os.close(handle)
