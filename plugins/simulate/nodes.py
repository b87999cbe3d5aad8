"""Simulated hosts as nodes: kubelets that register at the master's API, what makes a node ready, and its pods."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from plugins.simulate.api import NoAnswerError, Object, ask, key_of, read_yaml, token_of, unit_of
from plugins.simulate.overlay import why_not_connected
from plugins.simulate.windows.nodes import why_not_ready

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost

_LINKED_TOKEN = re.compile(r"/ln -sfn (\S+) /run/secrets/kubernetes\.io/serviceaccount/token")
_POD = 5  # which address of its node's subnet a temporary pod has
_VERSION = re.compile(r"/(v[0-9][0-9.]*)/")
_NO_NETWORK = (
    "False KubeletNotReady: container runtime network not ready: NetworkReady=false "
    "reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"
)


def register_node(host: SimulatedHost) -> None:
    """Let the host's kubelet do its work: its node is in the API, if that answers."""
    options = unit_of(host, "kubelet").options
    if not host.well("kubelet") or not host.state.running("containerd"):
        return
    try:
        master = ask(host, options["kubeconfig"])
    except NoAnswerError:
        return
    name, config = options["hostname-override"], read_yaml(host.state.files.text(options["config"]) or "{}")
    node: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "spec": {"taints": list(config.get("registerWithTaints", []))},
        "status": {"addresses": [{"type": "InternalIP", "address": options["node-ip"]}], "nodeInfo": _info(host)},
    }
    master.state.objects.setdefault(key_of("Node", name), node)


def _info(host: SimulatedHost) -> Object:
    """Give the kubelet's version, which stands in the address that it was downloaded from."""
    found = _VERSION.search(host.state.files.text(unit_of(host, "kubelet").program) or "")
    return {"kubeletVersion": found[1] if found else ""}


def condition(master: SimulatedHost, name: str) -> str:
    """Give a node's condition Ready, as STATUS REASON: MESSAGE."""
    host = master.world.hosts.get(name)
    if host is not None and host.state.windows is not None:
        return why_not_ready(host) or "True KubeletReady: kubelet is posting ready status"
    if host is None or not host.well("kubelet"):
        return "Unknown NodeStatusUnknown: Kubelet stopped posting node status."
    if not (_plugs_in_pods(host, master) and _plugs_in_pods(master, master)):
        return _NO_NETWORK
    return "True KubeletReady: kubelet is posting ready status"


def _plugs_in_pods(host: SimulatedHost, master: SimulatedHost) -> bool:
    """Whether the host's ovnkube works: the API knows its token, and its chassis has joined."""
    linked = _LINKED_TOKEN.search(unit_of(host, "ovnkube").before)
    shown = linked and host.state.files.text(linked[1])
    secrets = [key.removeprefix("Secret ").split("/") for key in master.state.objects if key.startswith("Secret ")]
    known = {token_of(master, namespace, name) for namespace, name in secrets}
    return host.well("ovnkube") and shown in known and not why_not_connected(host)


def available(master: SimulatedHost, namespace: str, name: str) -> int:
    """Count the pods of a deployment that run: all of them as soon as there is a ready node that takes any."""
    deployment = master.state.objects.get(key_of("Deployment", name, namespace))
    if deployment is None or not master.well("kube-controller-manager") or not master.well("kube-scheduler"):
        return 0
    nodes = {key.removeprefix("Node /"): node for key, node in master.state.objects.items() if key.startswith("Node /")}
    takes = any(
        not node["spec"]["taints"] and condition(master, name).startswith("True") for name, node in nodes.items()
    )
    return int(deployment["spec"]["replicas"]) if takes else 0


def resolve(master: SimulatedHost, server: str, name: str) -> str:
    """Say what the DNS at a service address answers: the API's own service address, or that it knows no such name."""
    service = master.state.objects.get(key_of("Service", "kube-dns", "kube-system"), {})
    if service.get("spec", {}).get("clusterIP") != server or not available(master, "kube-system", "coredns"):
        return f"no answer from {server}"
    return api_service(master) if name.startswith("kubernetes.default.svc.") else "error 3 from the DNS server"


def api_service(master: SimulatedHost) -> str:
    """Give the service address of the API."""
    return str(IPv4Network(unit_of(master, "kube-apiserver").options["service-cluster-ip-range"])[1])


def pod_address(host: SimulatedHost) -> IPv4Address:
    """Give the address that the host's temporary pod has: in a subnet of its own, by the host's place in the world."""
    network, prefix = _subnets(host)
    return network[(list(host.world.hosts).index(host.name) << 32 - prefix) + _POD]


def pod_at(host: SimulatedHost, address: str) -> SimulatedHost | None:
    """Find the host whose temporary pod has an address, as seen from another one's."""
    network, prefix = _subnets(host)
    place, left = divmod(int(IPv4Address(address)) - int(network[_POD]), 1 << 32 - prefix)
    hosts = list(host.world.hosts.values())
    return hosts[place] if not left and 0 <= place < len(hosts) else None


def _subnets(host: SimulatedHost) -> tuple[IPv4Network, int]:
    network, _, prefix = unit_of(host, "ovnkube").options["cluster-subnets"].rpartition("/")
    return IPv4Network(network), int(prefix)


def pod_mtu(host: SimulatedHost) -> int:
    """Give the MTU of a pod's NIC, in bytes."""
    return int(unit_of(host, "ovnkube").options["mtu"])
