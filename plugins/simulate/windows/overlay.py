"""What hybrid-overlay-node does on a simulated Windows host: its network, and what it writes on the node."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from plugins.simulate.api import NoAnswerError, ask, key_of, unit_of
from plugins.simulate.windows.nodes import options_of, register_nodes
from plugins.windows import ANNOTATED_MAC, ANNOTATED_SUBNET, HYBRID_OVERLAY, OVERLAY

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
