"""A hybrid-overlay-node whose tunnels are the kernel's: the host's subnet, its gateway, and the way to every node."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from plugins.errors import RunbookError
from plugins.lab.windows import link
from plugins.lab.windows.agent import Agent
from plugins.lab.windows.api import Api, ApiError
from plugins.lab.windows.given import authority, identity, options
from plugins.lab.windows.link import Way, gateway_mac
from plugins.simulate.host import SimulatedHost
from plugins.windows import ANNOTATED_MAC, ANNOTATED_SUBNET, HYBRID_OVERLAY, OVERLAY

NODES = "/api/v1/nodes"
LINUX_SUBNETS = "k8s.ovn.org/node-subnets"
LINUX_GATEWAY = "k8s.ovn.org/hybrid-overlay-distributed-router-gateway-ip"
LOOK_SECONDS = 0.5


class Overlay(Agent):
    """The service hybrid-overlay-node."""

    def __init__(self, host: SimulatedHost) -> None:
        needed = ("node", "k8s-kubeconfig", "k8s-cacert", "hybrid-overlay-vxlan-port")
        given = options(host, HYBRID_OVERLAY, *needed)
        authority(host, given["k8s-cacert"])
        self._name, self._port = given["node"], int(given["hybrid-overlay-vxlan-port"])
        super().__init__(host, identity(host, given["k8s-kubeconfig"]))

    async def serve(self, api: Api) -> None:
        """Follow what the nodes' annotations say."""
        while True:
            try:
                nodes = (await api.ask("GET", NODES))["items"]
                self.why = await self._follow(api, nodes)
            except (ApiError, RunbookError) as error:
                self.why = str(error)
            await asyncio.sleep(LOOK_SECONDS)

    async def _follow(self, api: Api, nodes: Sequence[Mapping[str, Any]]) -> str:
        """Make the network, and the ways to all others; say what is missing for that."""
        own = next((node for node in nodes if node["metadata"]["name"] == self._name), None)
        if own is None:
            return f"the API knows no node {self._name}"
        annotations = own["metadata"].get("annotations", {})
        if (subnet := annotations.get(ANNOTATED_SUBNET)) is None:
            return "no subnet is handed out"
        mac = gateway_mac(subnet)
        await asyncio.to_thread(link.make_overlay, self._port, mac)
        await asyncio.to_thread(link.keep_ways, frozenset(ways(nodes, self._name)))
        self.host.state.windows_part.networks[OVERLAY] = subnet
        if annotations.get(ANNOTATED_MAC) != mac:
            await api.ask("PATCH", f"{NODES}/{self._name}/status", {"metadata": {"annotations": {ANNOTATED_MAC: mac}}})
        return ""


def ways(nodes: Sequence[Mapping[str, Any]], but: str) -> Iterator[Way]:
    """Say how every other node's pods are reached, as far as its annotations tell."""
    for node in nodes:
        said = node["metadata"].get("annotations", {})
        addresses = node.get("status", {}).get("addresses", ())
        end = next((each["address"] for each in addresses if each["type"] == "InternalIP"), "")
        mac = said.get(ANNOTATED_MAC)
        if node["metadata"]["name"] == but or not (mac and end):
            continue
        if (subnet := said.get(ANNOTATED_SUBNET)) is not None:
            # Another Windows host: its gateway is the first address.
            yield Way(subnet, str(IPv4Network(subnet)[1]), mac, end)
        elif (gateway := said.get(LINUX_GATEWAY)) is not None:
            for subnet in _subnets(said.get(LINUX_SUBNETS, "{}")):
                yield Way(subnet, gateway, mac, end)


def _subnets(annotation: str) -> list[str]:
    """Give a Linux node's IPv4 subnets: of the default network one, or a list of them."""
    found = json.loads(annotation).get("default", [])
    subnets = [found] if isinstance(found, str) else found
    return [subnet for subnet in subnets if ":" not in subnet]
