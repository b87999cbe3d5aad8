"""Cross-checks of the cluster's networks and ports with each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from itertools import combinations

from plugins.inventory.findings import Finding

# kube-apiserver refuses larger service networks: cmd/kube-apiserver/app/options/validation.go, maxCIDRBits.
SHORTEST_SERVICE_PREFIX = 12
NETWORKS: Mapping[str, str] = {
    "pod_network": "pod network",
    "service_network": "service network",
    "host_network": "host network",
}


@dataclass(frozen=True)
class Networks:
    """The cluster's networks by key, as far as they could be read; `finding` places what is wrong with them."""

    finding: Callable[[Sequence[str], str, str], Finding]
    networks: Mapping[str, IPv4Network]
    node_prefix: int | None = None
    dns_address: IPv4Address | None = None
    ports: Mapping[str, int] = field(default_factory=dict)


def check_cluster(cluster: Networks, hosts: int) -> Iterator[Finding]:
    """Yield everything that is wrong between the cluster's keys; `hosts` is how many there are."""
    yield from check_networks(cluster)
    yield from check_node_subnets(cluster, hosts)
    yield from check_dns(cluster)
    yield from check_ports(cluster)


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


def check_node_subnets(cluster: Networks, hosts: int) -> Iterator[Finding]:
    """The pod network has a subnet for every host."""
    pods, prefix = cluster.networks.get("pod_network"), cluster.node_prefix
    if pods is None or prefix is None:
        return
    if prefix < pods.prefixlen:
        problem = f"a host's subnet /{prefix} is larger than the whole pod network {pods}"
        yield cluster.finding(
            ("node_prefix",), problem, f"write a number above {pods.prefixlen}, or a larger pod_network"
        )
    elif 2 ** (prefix - pods.prefixlen) < hosts:
        subnets, longest = 2 ** (prefix - pods.prefixlen), prefix - (hosts - 1).bit_length()
        problem = f"{pods} holds {subnets} subnets of /{prefix}, too few for {hosts} hosts"
        todo = f"write a pod_network with a prefix length of at most {longest}, or a larger node_prefix"
        yield cluster.finding(("pod_network",), problem, todo)


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
    """OVN's two databases listen on two ports."""
    north, south = cluster.ports.get("northbound_port"), cluster.ports.get("southbound_port")
    if north is not None and north == south:
        yield cluster.finding(("southbound_port",), f"{south} is also the northbound_port", "give each its own port")
