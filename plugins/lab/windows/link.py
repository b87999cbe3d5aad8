"""The network of a simulated Windows host, from inside its namespace: its NIC, and its end of the overlay."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from plugins.errors import RunbookError
from plugins.lab.commands import run

NIC = "eth0"
NIC_SECONDS = 15
OVERLAY_NIC = "overlay"
VNI = 4097
"""Of ovn-kubernetes' tunnels to Windows hosts."""
MTU = 1450
HEADERS = 28  # bytes of IP and ICMP
_RECEIVED = re.compile(r"(\d+) received")


@dataclass(frozen=True)
class Way:
    """How one subnet is reached: by `gateway`, which has `mac`, in a tunnel that ends at `end`."""

    subnet: str
    gateway: str
    mac: str
    end: str


_held: set[Way] = set()
"""The ways that this process has made; they go with it."""


def set_up_nic(address: str, gateway: str) -> None:
    """Await the cable, and give the NIC its address (ADDRESS/PREFIX) and the way out. Raises RunbookError."""
    until = time.monotonic() + NIC_SECONDS
    while not _exists(NIC):
        if time.monotonic() > until:
            raise RunbookError(f"no {NIC} within {NIC_SECONDS} s")
        time.sleep(0.02)
    run(["ip", "link", "set", "lo", "up"])
    run(["ip", "address", "replace", address, "dev", NIC])
    run(["ip", "link", "set", NIC, "up"])
    run(["ip", "route", "replace", "default", "via", gateway])
    # A userspace switch in a Linux host takes packets as they are: their checksums must be whole.
    run(["ethtool", "--offload", NIC, "tx", "off"], check=False)


def _exists(nic: str) -> bool:
    """Whether this network namespace has a NIC; /sys would tell of the machine's."""
    return nic in {name for _, name in socket.if_nameindex()}


def gateway_mac(subnet: str) -> str:
    """The MAC address of a subnet's gateway: the same after each boot, under the prefix of Microsoft's switches."""
    return ":".join(f"{byte:02x}" for byte in (0x00, 0x15, 0x5D, *IPv4Network(subnet).network_address.packed[1:]))


def make_overlay(port: int, mac: str) -> None:
    """Have the tunnels' device; nothing is learned, as with OVN. Raises RunbookError."""
    if not _exists(OVERLAY_NIC):
        tunnel = ["type", "vxlan", "id", str(VNI), "dstport", str(port), "dev", NIC, "nolearning"]
        run(["ip", "link", "add", OVERLAY_NIC, "address", mac, "mtu", str(MTU), *tunnel])
        run(["ip", "link", "set", OVERLAY_NIC, "up"])
        # Ways go with the device that they lead through.
        _held.clear()


def keep_ways(wanted: frozenset[Way]) -> None:
    """Have exactly these ways into other nodes' subnets. Raises RunbookError."""
    device = ["dev", OVERLAY_NIC]
    for way in _held - wanted:
        run(["ip", "route", "del", way.subnet, *device], check=False)
        run(["ip", "neighbour", "del", way.gateway, *device], check=False)
        run(["bridge", "fdb", "del", way.mac, *device, "dst", way.end], check=False)
    for way in wanted - _held:
        run(["ip", "neighbour", "replace", way.gateway, "lladdr", way.mac, *device, "nud", "permanent"])
        run(["bridge", "fdb", "replace", way.mac, *device, "dst", way.end])
        run(["ip", "route", "replace", way.subnet, "via", way.gateway, *device, "onlink"])
    _held.clear()
    _held.update(wanted)


def add_address(address: str) -> None:
    """Give the tunnels' device an address. Raises RunbookError."""
    run(["ip", "address", "replace", f"{address}/32", "dev", OVERLAY_NIC])


def has_address(address: str) -> bool:
    """Whether the tunnels' device has an address."""
    return bool(run(["ip", "-oneline", "address", "show", "dev", OVERLAY_NIC, "to", address], check=False).stdout)


def ping(source: str, count: int, targets: Sequence[str]) -> Mapping[str, int]:
    """Ping all of `targets` (ADDRESS:BYTES of an IP packet) at once, undivided; give how often each has answered."""
    from_here = ["ping", "-n", "-q", "-I", source, "-M", "do"]
    # Once for each address until it answers, or for 5 seconds: the way to a pod that is new is not known at once.
    first = {target.partition(":")[0] for target in targets}
    _all([[*from_here, "-c", "1", "-w", "5", "-i", "0.25", address] for address in first])
    words = [(address, str(int(size) - HEADERS)) for address, _, size in (each.partition(":") for each in targets)]
    counted = [*from_here, "-c", str(count), "-i", "0.2", "-W", "2"]
    said = _all([[*counted, "-s", size, address] for address, size in words])
    return {
        target: int(found[1]) if (found := _RECEIVED.search(text)) else 0
        for target, text in zip(targets, said, strict=True)
    }


def _all(commands: Sequence[Sequence[str]]) -> list[str]:
    """Run commands side by side; what each printed."""
    running = [subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for each in commands]
    return [process.communicate()[0] for process in running]
