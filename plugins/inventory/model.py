"""What an inventory says: the typed form of hosts.yaml, groups.yaml and defaults.yaml.

The entries mirror the files; HostSettings and ClusterSettings are what tasks read.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictStr
from pydantic_core import PydanticCustomError

from plugins.inventory.base import Model as Model  # noqa: PLC0414  # others take it from here
from plugins.inventory.fields import (
    Address,
    Block,
    ConnectTo,
    DnsName,
    Flag,
    HostAddress,
    KubeletFields,
    LabelKey,
    LabelValue,
    MirrorUrl,
    Name,
    Network,
    Nic,
    Port,
    Word,
)
from plugins.inventory.winrm import WinrmSettings
from plugins.paths import LocatedPath
from plugins.secret import SecretSource

Transport = Literal["ssh", "winrm", "memory"]


class Role(StrEnum):
    """What a host is in the cluster; also the name of exactly one group of every host."""

    MASTER = "master"
    LINUX = "linux"
    WINDOWS = "windows"


def _user_ssh_config() -> Path | None:
    """Find the operator's configuration; a home that is not known, or not open to this user, has none."""
    try:
        file = Path("~/.ssh/config").expanduser()
        return file if file.is_file() else None
    except (OSError, RuntimeError):
        return None


class SshSettings(Model):
    """How to reach a Linux host over SSH."""

    host_keys: Literal["strict", "accept-new"] = Field(
        default="strict",
        description="strict: only keys in known_hosts. accept-new: the first key that a host shows is "
        "remembered in the state folder; a changed key is refused in both.",
    )
    known_hosts: LocatedPath = Field(
        default=Path("~/.ssh/known_hosts"), validate_default=True, description="File with the known host keys."
    )
    key_file: LocatedPath | None = Field(
        default=None, description="Private key; none: those of the agent and of ~/.ssh."
    )
    agent: Flag = Field(default=True, description="Whether keys of the SSH agent are offered.")
    password: SecretSource | None = Field(default=None, description="Where the login password comes from.")
    key_passphrase: SecretSource | None = Field(
        default=None, description="Where the passphrase of key_file comes from."
    )
    config_file: LocatedPath | None = Field(
        default_factory=_user_ssh_config,
        description="OpenSSH client configuration: HostName, Port, User, ProxyCommand, ProxyJump count, not Include. "
        "Left out: ~/.ssh/config when there is one; null: none.",
    )
    connect_timeout: Annotated[float, Field(strict=True, gt=0, le=600)] = Field(
        default=15.0, description="Seconds to wait for the connection, and again for the login."
    )


class SudoSettings(Model):
    """How to become root on a Linux host where the user is another."""

    password: SecretSource | None = Field(
        default=None, description="Where sudo's password comes from; none: sudo asks for none."
    )


class ContainerdSettings(Model):
    """How containerd runs pods on a Linux host."""

    snapshotter: Word | None = Field(default=None, description="Snapshotter; none: containerd's own choice.")
    systemd_cgroup: Flag = Field(default=True, description="Whether systemd keeps the pods' control groups.")
    restrict_oom_score_adj: Flag = Field(
        default=False, description="Whether pods may not lower their out-of-memory score; for hosts in containers."
    )


class SharedData(Model):
    """What `data` may hold everywhere: in defaults, in a group, at a host."""

    nic: Nic | None = Field(default=None, description="NIC that carries the tunnels; none: the default route's.")
    nic_bridge: Flag = Field(
        default=True, description="Whether the NIC moves into an OVS bridge, which lets pods reach the outside."
    )
    datapath: Literal["system", "netdev"] = Field(
        default="system", description="Open vSwitch datapath: system is the kernel's, netdev runs in user space."
    )
    mtu: Annotated[int, Field(strict=True, ge=1280, le=9216)] | None = Field(
        default=None, description="MTU of the NIC in bytes, tunnel overhead included; none: what the NIC has."
    )
    transport: Transport | None = Field(
        default=None, description="How scripts reach the host; none: winrm for the role windows, else ssh."
    )
    ssh: Block[SshSettings] = Field(default_factory=SshSettings, description="SSH connection.")
    sudo: Block[SudoSettings] = Field(default_factory=SudoSettings, description="Becoming root.")
    winrm: Block[WinrmSettings] = Field(default_factory=WinrmSettings, description="WinRM connection.")
    containerd: Block[ContainerdSettings] = Field(
        default_factory=ContainerdSettings, description="Container runtime of a Linux host."
    )
    mirror: MirrorUrl | None = Field(
        default=None, description="URL of the mirror that a Windows host downloads from; none: that of --mirror."
    )
    kubelet: Block[KubeletFields] = Field(
        default={}, description="More fields of the kubelet's KubeletConfiguration, such as maxPods."
    )
    labels: Block[dict[LabelKey, LabelValue]] = Field(
        default={}, description="Free text by key, for --filter label.KEY=VALUE."
    )


class HostData(SharedData):
    """What `data` may hold at a host."""

    address: HostAddress | None = Field(
        default=None,
        description="Underlay address, where the host's tunnels end; none: hostname, when that is an address.",
    )


class HostSettings(HostData):
    """One host with everything inherited: defaults, then its groups, then its own keys."""

    name: Name
    role: Role
    address: HostAddress
    transport: Transport


class ClusterSettings(Model):
    """What all hosts share: networks, names and ports."""

    name: Name = Field(
        description="The cluster's name; its state folder is called so. At most 46 characters, without Kubernetes 54."
    )
    release: Name = Field(default="current", description="What to install: a file of inventory/releases/.")
    pod_network: Network = Field(description="Network of all pods; each host gets a subnet of it.")
    node_prefix: Annotated[int, Field(strict=True, ge=8, le=28)] = Field(
        default=24, description="Prefix length of each host's subnet of pod_network; 24 is 256 addresses."
    )
    service_network: Network = Field(description="Network of the services' virtual addresses.")
    host_network: Network | None = Field(
        default=None, description="Network of the hosts' own addresses; when given, every host must be in it."
    )
    dns_address: Address = Field(description="Service address of the cluster's DNS, inside service_network.")
    dns_domain: DnsName = Field(default="cluster.local", description="DNS domain of services.")
    encapsulation: Literal["geneve"] = Field(default="geneve", description="Tunnel protocol between hosts.")
    kubernetes: Flag = Field(default=True, description="Whether Kubernetes is set up; false: the overlay alone.")
    api_port: Port = Field(default=6443, description="TCP port of the Kubernetes API on the master.")
    hybrid_network: Network | None = Field(
        default=None, description="Network of the pods on Windows hosts; needed as soon as there is one."
    )
    hybrid_prefix: Annotated[int, Field(strict=True, ge=8, le=28)] = Field(
        default=24, description="Prefix length of each Windows host's subnet of hybrid_network."
    )
    vxlan_port: Port = Field(default=4789, description="UDP port of the tunnels between Linux and Windows hosts.")
    northbound_port: Port = Field(default=6641, description="TCP port of OVN's northbound database.")
    southbound_port: Port = Field(default=6642, description="TCP port of OVN's southbound database.")


class DefaultsData(SharedData):
    """What `data` may hold in defaults."""

    cluster: ClusterSettings = Field(description="The cluster that the hosts make up.")


def _unique(groups: tuple[str, ...]) -> tuple[str, ...]:
    for group in groups:
        if groups.count(group) > 1:
            raise PydanticCustomError("twice", "{group} is named twice; name it once", {"group": group})
    return groups


Groups = Annotated[tuple[StrictStr, ...], AfterValidator(_unique)]


class Entry(Model):
    """Nornir's own keys, which hosts, groups and defaults have in common."""

    hostname: ConnectTo | None = Field(default=None, description="IPv4 address or DNS name to connect to.")
    port: Port | None = Field(
        default=None, description="Port to connect to; none: 22 for ssh, 5986 for winrm (5985 over http)."
    )
    username: Word | None = Field(default=None, description="User to log in as; none: your own name.")
    platform: Word | None = Field(default=None, description="Nornir's platform; the runbooks do not read it.")


class HostEntry(Entry):
    """One host of hosts.yaml."""

    groups: Groups = Field(
        default=(), description="Groups, the role's among them (master, linux or windows); the first one wins."
    )
    data: Block[HostData] = Field(default_factory=HostData, description="The project's own keys.")


class GroupEntry(Entry):
    """One group of groups.yaml."""

    groups: Groups = Field(default=(), description="Groups that this one inherits from.")
    data: Block[SharedData] = Field(default_factory=SharedData, description="The project's own keys.")


class DefaultsEntry(Entry):
    """defaults.yaml."""

    data: DefaultsData = Field(description="The project's own keys, and the cluster.")
