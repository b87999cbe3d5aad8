"""Cross-checks: what no single key can show to be wrong. Pure functions over hosts and networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from plugins.inventory.fields import NAME, unusable
from plugins.inventory.findings import Finding
from plugins.inventory.layers import Layer
from plugins.inventory.model import HostData, Role
from plugins.inventory.networks import NETWORKS, Networks, check_cluster
from plugins.inventory.winrm import contradictions
from plugins.words import listed, quoted

LONGEST_WINDOWS_NAME = 15  # NetBIOS
LONGEST_NODE_NAME = 52  # system:node:NAME in a certificate's subject, which has room for 64 characters (X.520)
LONGEST_NIC_NAME = 15  # IFNAMSIZ of the Linux kernel, less the final zero
BRIDGE_PREFIX = "br"  # the bridge that holds eth0 is breth0


@dataclass(frozen=True)
class Member:
    """One host as far as it could be read. `layers` are the strongest first; roles are its role groups."""

    name: str
    layers: tuple[Layer, ...]
    roles: tuple[Role, ...]
    hostname: str | None
    port: int | None
    data: HostData
    named: bool = True
    """Whether all its groups are known; if not, a missing role has its cause there."""

    @property
    def role(self) -> Role | None:
        """The role, when there is exactly one."""
        return self.roles[0] if len(self.roles) == 1 else None

    @property
    def transport(self) -> str:
        """How scripts reach the host."""
        return self.data.transport or ("winrm" if self.role is Role.WINDOWS else "ssh")

    @property
    def address(self) -> IPv4Address | None:
        """The underlay address: the one that is written, else the hostname, when that is an address."""
        if self.data.address is not None or self.broken(("data", "address")):
            return self.data.address
        try:
            return IPv4Address(self.hostname or "")
        except ValueError:
            return None

    @property
    def address_key(self) -> tuple[str, ...]:
        """Where the address is written."""
        return ("data", "address") if self.data.address is not None else ("hostname",)

    def finding(self, path: Sequence[str], problem: str, todo: str) -> Finding:
        """Say what is wrong at a key, in the layer that it was inherited from."""
        layer = next((layer for layer in self.layers if layer.has(path)), self.layers[0])
        return layer.finding(path, problem, todo)

    def broken(self, path: Sequence[str]) -> bool:
        """Whether something wrong was already found at this key, or at the host as a whole."""
        keys = {"", ".".join(path)}
        layers = self.layers[:1] if path[-1] == "address" else self.layers
        return any(found.key in keys for layer in layers for found in layer.findings)


def check(members: Sequence[Member], cluster: Networks) -> Iterator[Finding]:
    """Yield everything that is wrong between keys, hosts and networks."""
    for member in members:
        yield from check_name(member, kubernetes=cluster.kubernetes)
        yield from check_role(member)
        yield from check_connection(member)
        yield from check_winrm(member)
        yield from check_nic(member)
        yield from check_nic_bridge(member, kubernetes=cluster.kubernetes)
        yield from check_address(member, cluster.networks)
    yield from check_masters(members)
    yield from check_doubles(members)
    windows = [member for member in members if member.role is Role.WINDOWS]
    yield from check_cluster(cluster, len(members), len(windows))


def check_name(member: Member, *, kubernetes: bool) -> Iterator[Finding]:
    """Names become those of Kubernetes nodes, certificates and OVN chassis; Windows takes shorter ones."""
    name = member.name
    if not NAME.fullmatch(name):
        problem = "the name is not an RFC 1123 name"
        todo = "write at most 63 lower-case letters, digits and hyphens; the DNS name goes under hostname"
        yield member.layers[0].finding((), problem, todo)
    elif member.role is Role.WINDOWS and len(name) > LONGEST_WINDOWS_NAME:
        problem = f"the name has {len(name)} characters, and Windows takes at most {LONGEST_WINDOWS_NAME} (NetBIOS)"
        yield member.layers[0].finding((), problem, "choose a shorter name")
    elif kubernetes and len(name) > LONGEST_NODE_NAME:
        problem = f"the name has {len(name)} characters, and a node's certificate has room for {LONGEST_NODE_NAME}"
        yield member.layers[0].finding((), problem, "choose a shorter name")
    elif member.role is Role.WINDOWS and name.isdigit():
        yield member.layers[0].finding((), "Windows takes no name of digits alone", "put a letter in front")


def check_role(member: Member) -> Iterator[Finding]:
    """Exactly one of a host's groups is a role."""
    names = [role.value for role in member.roles]
    if len(names) > 1:
        yield member.finding(("groups",), f"more than one role: {listed(names)}", "keep one of them")
    elif not names and member.named and not member.broken(("groups",)):
        todo = f"add exactly one of {listed([role.value for role in Role])}"
        yield member.finding(("groups",), "no role among the groups", todo)


def check_masters(members: Sequence[Member]) -> Iterator[Finding]:
    """Exactly one host is the master."""
    masters = [member for member in members if Role.MASTER in member.roles]
    if not masters and members and all(member.roles for member in members):
        document = members[0].layers[0].document
        yield Finding(document.file, "", "", "no host has the role master", "write groups: [master] at one host")
    for member in masters[1:]:
        problem = f"a second master: {masters[0].name} is one already"
        yield member.finding(
            ("groups",), problem, "give one of the two another role; several masters are not supported"
        )


def check_connection(member: Member) -> Iterator[Finding]:
    """A host has somewhere to connect to, in a way that fits its role."""
    if member.hostname is None and not member.broken(("hostname",)):
        todo = "write it: IPv4 address or DNS name to connect to"
        yield member.finding(("hostname",), "missing", todo)
    if member.role is None or member.transport == "memory":
        return
    fitting = "winrm" if member.role is Role.WINDOWS else "ssh"
    if member.transport != fitting:
        problem = f"{member.transport} does not reach hosts of the role {member.role}"
        yield member.finding(("data", "transport"), problem, f"write {fitting}, or leave transport out")


def check_winrm(member: Member) -> Iterator[Finding]:
    """What a Windows host's WinRM settings come to goes together."""
    if member.role is Role.WINDOWS and member.transport == "winrm":
        for key, problem, todo in contradictions(member.data.winrm):
            yield member.finding(("data", "winrm", key), problem, todo)


def check_nic(member: Member) -> Iterator[Finding]:
    """A Linux NIC's name fits the kernel, and so does the name of the bridge that it moves into."""
    nic = member.data.nic
    if nic is None or member.role not in {Role.MASTER, Role.LINUX}:
        return
    if "/" in nic or any(c.isspace() for c in nic) or len(nic) > LONGEST_NIC_NAME:
        todo = f"write a Linux NIC's name: at most {LONGEST_NIC_NAME} characters, without spaces and slashes"
        yield member.finding(("data", "nic"), f"{quoted(nic)} is no NIC of a Linux host", todo)
    elif member.data.nic_bridge and len(BRIDGE_PREFIX + nic) > LONGEST_NIC_NAME:
        problem = (
            f"its bridge would be called {BRIDGE_PREFIX}{nic}, and Linux takes at most {LONGEST_NIC_NAME} characters"
        )
        yield member.finding(("data", "nic"), problem, "rename the NIC on the host, or write nic_bridge: false")


def check_nic_bridge(member: Member, *, kubernetes: bool) -> Iterator[Finding]:
    """With Kubernetes the NIC moves into a bridge: it is the pods' way out, and theirs to the API."""
    if kubernetes and not member.data.nic_bridge and member.role in {Role.MASTER, Role.LINUX}:
        problem = "false, and pods would reach neither the API nor anything outside"
        todo = "write true, or kubernetes: false in the defaults, for the overlay alone"
        yield member.finding(("data", "nic_bridge"), problem, todo)


def check_address(member: Member, networks: Mapping[str, IPv4Network]) -> Iterator[Finding]:
    """Other hosts reach a host by its address, and pods and services do not live there."""
    address, key = member.address, member.address_key
    if address is None:
        if member.hostname is not None and not member.broken(("data", "address")):
            problem = f"missing, and hostname {quoted(member.hostname)} is not an address"
            yield member.layers[0].finding(("data", "address"), problem, "write the host's address on the underlay")
        return
    reason = unusable(IPv4Network(address))
    if reason:
        problem = f"{address} lies in {reason}, where other hosts cannot reach it"
        yield member.finding(key, problem, "write the host's address on the underlay as data.address")
    for name in ("pod_network", "service_network"):
        if name in networks and address in networks[name]:
            problem = f"{address} lies in the {NETWORKS[name]} {networks[name]}"
            yield member.finding(key, problem, f"correct the address, or choose another {name}")
    hosts = networks.get("host_network")
    if hosts is None or reason:
        return
    if address not in hosts:
        problem = f"{address} lies outside the host network {hosts}"
        yield member.finding(key, problem, "correct the address, or host_network in defaults.yaml")
    elif hosts.prefixlen < 31 and address in {hosts.network_address, hosts.broadcast_address}:
        problem = f"{address} is the first or last address of the host network {hosts}, which no host can have"
        yield member.finding(key, problem, "correct the address, or host_network in defaults.yaml")


def check_doubles(members: Sequence[Member]) -> Iterator[Finding]:
    """No two hosts have one address, or are reached at one place."""
    addresses: dict[IPv4Address, str] = {}
    endpoints: dict[tuple[str, int], str] = {}
    for member in members:
        address = member.address
        if address is not None and addresses.setdefault(address, member.name) != member.name:
            problem = f"{address} is also the address of {addresses[address]}"
            yield member.finding(member.address_key, problem, "give each host its own")
            continue  # the same hostname would only say it again
        if member.hostname is None or member.transport == "memory" or member.broken(("port",)):
            continue
        port = member.port or (member.data.winrm.default_port if member.role is Role.WINDOWS else 22)
        endpoint = (member.hostname.lower(), port)
        if endpoints.setdefault(endpoint, member.name) != member.name:
            problem = f"{endpoint[0]}, port {endpoint[1]}, is also where {endpoints[endpoint]} is reached"
            yield member.finding(("hostname",), problem, "give each host its own hostname or port")
