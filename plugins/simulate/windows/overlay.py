"""What hybrid-overlay-node and kube-proxy do on a simulated Windows host, and how services say that they are."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import yaml

from plugins.simulate.api import NoAnswerError, ask, key_of, unit_of
from plugins.simulate.windows.nodes import options_of, register_nodes
from plugins.simulate.windows.state import where
from plugins.windows import ANNOTATED_MAC, ANNOTATED_SUBNET, HEALTH, HYBRID_OVERLAY, KUBE_PROXY, OVERLAY, SOURCE_VIP

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost

GATEWAY = "hybrid-overlay-cluster-subnets"
TUNNELS = "hybrid-overlay-vxlan-port"


def make_network(host: SimulatedHost) -> str:
    """Let hybrid-overlay-node do its work; say why there is no network, empty where there is one."""
    register_nodes(host)
    options = options_of(host, HYBRID_OVERLAY)
    if options is None:
        return f"{HYBRID_OVERLAY} does not run"
    try:
        master = ask(host, options["k8s-kubeconfig"])
    except NoAnswerError as error:
        return str(error)
    node = master.state.objects.get(key_of("Node", options["node"]))
    if node is None:
        return f"the API knows no node {options['node']}"
    switches = unit_of(master, "ovnkube").options
    if not master.well("ovnkube") or GATEWAY not in switches:
        return "no subnet is handed out"
    if switches[TUNNELS] != options[TUNNELS]:
        return "the tunnels' ports differ"
    network, _, prefix = switches[GATEWAY].rpartition("/")
    place = [name for name, each in host.world.hosts.items() if each.state.windows is not None].index(host.name)
    first = int(IPv4Network(network).network_address) + (place << 32 - int(prefix))
    subnet = str(IPv4Network((first, int(prefix))))
    host.state.windows_part.networks[OVERLAY] = subnet
    annotations = node["metadata"].setdefault("annotations", {})
    annotations |= {ANNOTATED_SUBNET: subnet, ANNOTATED_MAC: f"00:15:5d:00:00:{place + 1:02x}"}
    return ""


def unwell(host: SimulatedHost, url: str) -> str:
    """Say what a service says instead of being well; empty where it is."""
    name = next((name for name, place in HEALTH.items() if place == url), "")
    options = options_of(host, name)
    if options is None or host.ailing(name):
        return f"No connection could be made to port {urlsplit(url).port}: the target machine actively refused it"
    return _why_no_services(host, options["config"]) if name == KUBE_PROXY else ""


def _why_no_services(host: SimulatedHost, path: str) -> str:
    """Say why kube-proxy programs no service: it cannot ask the API, or lacks its network or its source VIP."""
    config = yaml.safe_load(host.state.files.text(where(path)) or "{}")
    try:
        ask(host, config["clientConnection"]["kubeconfig"])
    except NoAnswerError as error:
        return f"(503): {error}"
    wanted = config["winkernel"]
    make_network(host)
    if wanted["networkName"] not in host.state.windows_part.networks:
        return f"(503): HNS has no network {wanted['networkName']}"
    endpoint = host.state.windows_part.endpoints.get(SOURCE_VIP)
    here = f"{wanted['sourceVip']} in {wanted['networkName']}"
    return "" if endpoint == here else f"(503): no endpoint has the source VIP {wanted['sourceVip']}"
