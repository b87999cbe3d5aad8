"""Cross-checks of the cluster's name, networks and ports with each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

from plugins.inventory.findings import Finding

# kube-apiserver refuses larger service networks: cmd/kube-apiserver/app/options/validation.go, maxCIDRBits.
SHORTEST_SERVICE_PREFIX = 12
# ovnkube ends at once where a network overlaps its own: go-controller/pkg/config/config.go of release-1.1, the
# defaults and completeConfig. Its third, for masquerading, is link-local, which no network may touch anyway.
OVNKUBE_NETWORKS: Mapping[str, IPv4Network] = {
    "join network": IPv4Network("100.64.0.0/16"),
    "transit switch network": IPv4Network("100.88.0.0/16"),
}
# A certificate's subject has room for 64 characters (X.520), and the authorities are called after the cluster:
# "OVN CA of NAME", with Kubernetes "front proxy CA of NAME".
LONGEST_OVERLAY_NAME = 54
LONGEST_CLUSTER_NAME = 46
GENEVE_PORT = 6081  # UDP; IANA's, RFC 8926
SSH_PORT: Mapping[int, str] = {22: "port of SSH"}
FIXED_PORTS: Mapping[int, str] = {
    2379: "port of etcd",
    2380: "port of etcd",
    10250: "port of the kubelet",
    10257: "port of the controller manager",
    10259: "port of the scheduler",
}
NETWORKS: Mapping[str, str] = {
    "pod_network": "pod network",
    "service_network": "service network",
    "host_network": "host network",
    "hybrid_network": "network of the Windows hosts' pods",
}


@dataclass(frozen=True)
class Networks:
    """The cluster's name and networks, as far as they could be read; `finding` places what is wrong with them."""

    finding: Callable[[Sequence[str], str, str], Finding]
    networks: Mapping[str, IPv4Network]
    node_prefix: int | None = None
    dns_address: IPv4Address | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    kubernetes: bool = True
    hybrid_prefix: int | None = None
    name: str = ""


def check_cluster(cluster: Networks, hosts: int, windows: int = 0) -> Iterator[Finding]:
    """Yield everything that is wrong between the cluster's keys; `hosts` is how many there are, `windows` of them."""
    yield from check_cluster_name(cluster)
    yield from check_networks(cluster)
    yield from check_ovnkube_networks(cluster)
    yield from check_node_subnets(cluster, hosts)
    yield from check_hybrid(cluster, windows)
    yield from check_dns(cluster)
    yield from check_ports(cluster)


def check_cluster_name(cluster: Networks) -> Iterator[Finding]:
    """The name fits into the names of the cluster's certificate authorities."""
    longest = LONGEST_CLUSTER_NAME if cluster.kubernetes else LONGEST_OVERLAY_NAME
    if len(cluster.name) > longest:
        problem = f"{cluster.name} has {len(cluster.name)} characters, and certificates have room for {longest}"
        yield cluster.finding(("name",), problem, "choose a shorter name")


def check_networks(cluster: Networks) -> Iterator[Finding]:
    """No two of the networks share an address; none is larger than Kubernetes takes."""
    for one, other in combinations([name for name in NETWORKS if name in cluster.networks], 2):
        if cluster.networks[one].overlaps(cluster.networks[other]):
            problem = f"{cluster.networks[other]} overlaps the {NETWORKS[one]} {cluster.networks[one]}"
            yield cluster.finding((other,), problem, f"choose another {other}, or another {one}")
    service = cluster.networks.get("service_network")
    if service is not None and service.prefixlen < SHORTEST_SERVICE_PREFIX:
        problem = f"{service} is larger than Kubernetes takes"
        yield cluster.finding(
            ("service_network",), problem, f"write a prefix length of {SHORTEST_SERVICE_PREFIX} or more"
        )


def check_ovnkube_networks(cluster: Networks) -> Iterator[Finding]:
    """No network that ovnkube is told of shares an address with those that it has itself."""
    told = ("pod_network", "service_network", "hybrid_network") if cluster.kubernetes else ()
    for key in (key for key in told if key in cluster.networks):
        for name, taken in OVNKUBE_NETWORKS.items():
            if cluster.networks[key].overlaps(taken):
                problem = f"{cluster.networks[key]} overlaps {taken}, the {name} of ovnkube itself"
                yield cluster.finding((key,), problem, f"choose another {key}")


def _compared(prefix: int, network: IPv4Network, *, kubernetes: bool) -> str:
    """Say how a host's subnet is too large for its network; an empty text where it is not.

    ovnkube takes none as large as the whole network: go-controller/pkg/config/utils.go of release-1.1,
    ParseClusterSubnetEntriesWithDefaults.
    """
    if prefix < network.prefixlen:
        return "larger than"
    return "as large as" if kubernetes and prefix == network.prefixlen else ""


def check_node_subnets(cluster: Networks, hosts: int) -> Iterator[Finding]:
    """The pod network has a subnet for every host."""
    pods, prefix = cluster.networks.get("pod_network"), cluster.node_prefix
    if pods is None or prefix is None:
        return
    if compared := _compared(prefix, pods, kubernetes=cluster.kubernetes):
        problem = f"a host's subnet /{prefix} is {compared} the whole pod network {pods}"
        yield cluster.finding(
            ("node_prefix",), problem, f"write a number above {pods.prefixlen}, or a larger pod_network"
        )
    elif 2 ** (prefix - pods.prefixlen) < hosts:
        subnets, longest = 2 ** (prefix - pods.prefixlen), prefix - (hosts - 1).bit_length()
        problem = f"{pods} holds {subnets} subnets of /{prefix}, too few for {hosts} hosts"
        todo = f"write a pod_network with a prefix length of at most {longest}, or a larger node_prefix"
        yield cluster.finding(("pod_network",), problem, todo)


def check_hybrid(cluster: Networks, windows: int) -> Iterator[Finding]:
    """Pods on Windows hosts have a network of their own, with a subnet for every such host."""
    if not windows or not cluster.kubernetes:
        return
    pods, prefix = cluster.networks.get("hybrid_network"), cluster.hybrid_prefix
    if pods is None:
        yield cluster.finding(
            ("hybrid_network",), "missing, and there is a Windows host", "write a network for its pods"
        )
    elif prefix is not None and (compared := _compared(prefix, pods, kubernetes=True)):
        problem = f"a host's subnet /{prefix} is {compared} the whole network {pods}"
        todo = f"write a number above {pods.prefixlen}, or a larger hybrid_network"
        yield cluster.finding(("hybrid_prefix",), problem, todo)
    elif prefix is not None and 2 ** (prefix - pods.prefixlen) < windows:
        problem = f"{pods} holds too few subnets of /{prefix} for {windows} Windows hosts"
        yield cluster.finding(("hybrid_network",), problem, "write a larger network, or a larger hybrid_prefix")


def check_dns(cluster: Networks) -> Iterator[Finding]:
    """The DNS service's address is one that a service can have; the first one is the API's."""
    service, dns = cluster.networks.get("service_network"), cluster.dns_address
    if service is None or dns is None:
        return
    example = (
        f"write another one, such as {service.network_address + 10}"
        if service.num_addresses > 16
        else "write another one"
    )
    if dns not in service:
        yield cluster.finding(("dns_address",), f"{dns} lies outside the service network {service}", example)
    elif dns in {service.network_address, service.broadcast_address}:
        problem = f"{dns} is the first or last address of the service network {service}, which no service can have"
        yield cluster.finding(("dns_address",), problem, example)
    elif dns == service.network_address + 1:
        problem = f"{dns} is the first address of the service network {service}, which Kubernetes gives to its API"
        yield cluster.finding(("dns_address",), problem, example)


def check_ports(cluster: Networks) -> Iterator[Finding]:
    """What the master serves has a port each, and none of SSH's and of Kubernetes' other parts; tunnels have two."""
    taken = {**SSH_PORT, **(FIXED_PORTS if cluster.kubernetes else {})}
    for name in ("northbound_port", "southbound_port", *(["api_port"] if cluster.kubernetes else [])):
        port = cluster.ports.get(name)
        if port is not None and port in taken:
            yield cluster.finding((name,), f"{port} is also the {taken[port]}", "give each its own port")
        elif port is not None:
            taken[port] = name
    if cluster.kubernetes and cluster.ports.get("vxlan_port") == GENEVE_PORT:
        problem = f"{GENEVE_PORT} is also the port of the tunnels between Linux hosts (Geneve)"
        yield cluster.finding(("vxlan_port",), problem, "give each its own port")
