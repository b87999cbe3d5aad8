"""What the checks of one host compare its facts with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from plugins.checks.facts import HostFacts, Nic
from plugins.inventory.model import ClusterSettings, HostSettings, Role
from plugins.inventory.networks import GENEVE_PORT
from plugins.releases import Release, Requirements

KUBELET_PORT = "tcp:10250"
# Outer IPv4 20, UDP 8, Geneve 8 with OVN's one option 8, inner Ethernet 14.
GENEVE_OVERHEAD = 58
# What a pod must be able to send in one packet, and what a cloud with an MTU of 1460 still has room for.
POD_MTU = 1400
# The kernel's modules of a release are loaded later; these are what scripts themselves need. Each with its package.
TOOLS = {"flock": "util-linux", "timeout": "coreutils", "perl": "perl-base", "ip": "iproute2"}


@dataclass(frozen=True)
class Expected:
    """One host of the inventory, with the cluster and the release; `master` is the master's address.

    `hybrid` says that the inventory has Windows hosts.
    """

    settings: HostSettings
    cluster: ClusterSettings
    release: Release
    master: IPv4Address
    hybrid: bool = False

    @property
    def packages(self) -> tuple[str, ...]:
        """What will be installed here: NAME or NAME=VERSION."""
        return self.release.packages_for(self.settings.role, kubernetes=self.cluster.kubernetes)

    @property
    def modules(self) -> tuple[str, ...]:
        """Kernel modules that this host's datapath needs."""
        return self.release.kernel_modules if self.settings.datapath == "system" else ()

    @property
    def requirements(self) -> Requirements:
        """The least that the host must have."""
        found = self.release.requirements.get(self.settings.role)
        if found is None:
            raise ValueError(f"release {self.release.name} has no requirements for the role {self.settings.role}")
        return found

    @property
    def databases(self) -> tuple[str, ...]:
        """Ports of OVN's databases, which the master serves."""
        return f"tcp:{self.cluster.northbound_port}", f"tcp:{self.cluster.southbound_port}"

    @property
    def ports(self) -> Mapping[str, str]:
        """Ports that this host will serve, each with the program that does; none where the kernel or OVS does."""
        master = self.settings.role is Role.MASTER
        served = dict.fromkeys(self.databases, "ovsdb-server") if master else {}
        if self.cluster.kubernetes:
            api = {f"tcp:{self.cluster.api_port}": "kube-apiserver", "tcp:2379": "etcd", "tcp:2380": "etcd"}
            served |= (api if master else {}) | {KUBELET_PORT: "kubelet"}
        if self.hybrid and self.cluster.kubernetes:
            served |= {f"udp:{self.cluster.vxlan_port}": ""}
        return served | {f"udp:{GENEVE_PORT}": ""}


def tunnel_nic(facts: HostFacts, wanted: str | None) -> Nic | None:
    """Give the NIC that carries the tunnels: the wanted one, else the default route's; None when there is none.

    When the NIC is already in its bridge (breth0 for eth0), the default route is the bridge's.
    """
    nics = facts.nics
    name = wanted or facts.may_be_empty("default_nic")
    inside = name.removeprefix("br")
    return nics.get(inside if name != inside and inside in nics else name)


def tunnel_mtu(facts: HostFacts, settings: HostSettings) -> int | None:
    """Give the greatest packet that the host sends between hosts, in bytes; None without a NIC."""
    nic = tunnel_nic(facts, None if settings.role is Role.WINDOWS else settings.nic)
    return None if nic is None else min(nic.mtu, settings.mtu or nic.mtu)
