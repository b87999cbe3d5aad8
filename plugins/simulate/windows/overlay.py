"""What hybrid-overlay-node and kube-proxy do on a simulated Windows host, and how services say that they are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import yaml

from plugins.simulate.windows.nodes import options_of
from plugins.simulate.windows.state import where
from plugins.windows import HEALTH, KUBE_PROXY, SOURCE_VIP

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost


def make_network(host: SimulatedHost) -> str:
    """Let hybrid-overlay-node do its work; say why there is no network, empty where there is one."""
    return host.world.plane.make_network(host)


def endpoint_words(host: SimulatedHost, name: str) -> str:
    """Give ADDRESS in NETWORK of one of the host's own endpoints; empty where there is none."""
    words = host.state.windows_part.endpoints.get(name, "")
    there = not words or host.world.plane.has_address(host, words.partition(" ")[0])
    return words if there else f"{words}, on no NIC of the host"


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
    if why := host.world.plane.why_no_api(host, config["clientConnection"]["kubeconfig"]):
        return f"(503): {why}"
    wanted = config["winkernel"]
    make_network(host)
    if wanted["networkName"] not in host.state.windows_part.networks:
        return f"(503): HNS has no network {wanted['networkName']}"
    endpoint = endpoint_words(host, SOURCE_VIP)
    here = f"{wanted['sourceVip']} in {wanted['networkName']}"
    return "" if endpoint == here else f"(503): no endpoint has the source VIP {wanted['sourceVip']}"
