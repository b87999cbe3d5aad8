"""What services of Windows hosts do outside their host: in the simulated world, or, in a lab, for real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Protocol

from plugins.simulate.api import NoAnswerError, ask, key_of, unit_of
from plugins.simulate.windows.nodes import options_of, register_nodes
from plugins.simulate.windows.traffic import TUNNELS, end_at, reaches
from plugins.windows import ANNOTATED_MAC, ANNOTATED_SUBNET, HYBRID_OVERLAY, OVERLAY

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost

GATEWAY = "hybrid-overlay-cluster-subnets"


class Plane(Protocol):
    """The world around Windows hosts, as their services meet it."""

    def refusal(self, host: SimulatedHost, service: str) -> str:
        """Say why a service ends as soon as it is started; empty where it goes on."""

    def make_network(self, host: SimulatedHost) -> str:
        """Let hybrid-overlay-node do its work; say why there is no network, empty where there is one."""

    def why_no_api(self, host: SimulatedHost, config: str) -> str:
        """Say why kube-proxy cannot ask the API with the kubeconfig at this path; empty where it can."""

    def has_address(self, host: SimulatedHost, address: str) -> bool:
        """Whether the host itself has an address in the overlay's network."""

    def add_address(self, host: SimulatedHost, address: str) -> None:
        """Give the host itself an address in the overlay's network."""

    def ping(self, host: SimulatedHost, source: str, count: int, targets: Sequence[str]) -> Future[Mapping[str, int]]:
        """Ping each of `targets` (ADDRESS:BYTES) `count` times from one of the host's addresses; the answers."""


class SimulatedPlane:
    """The simulated world: its API lies with the simulated master."""

    def refusal(self, host: SimulatedHost, service: str) -> str:  # noqa: ARG002
        """Every service goes on."""
        return ""

    def make_network(self, host: SimulatedHost) -> str:
        """Have a subnet of those that the master's ovnkube hands out, if it answers."""
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

    def why_no_api(self, host: SimulatedHost, config: str) -> str:
        """Ask the simulated master."""
        try:
            ask(host, config)
        except NoAnswerError as error:
            return str(error)
        return ""

    def has_address(self, host: SimulatedHost, address: str) -> bool:
        """The host has what its endpoints say."""
        return address in {each.partition(" ")[0] for each in host.state.windows_part.endpoints.values()}

    def add_address(self, host: SimulatedHost, address: str) -> None:
        """The endpoint says it all."""

    def ping(self, host: SimulatedHost, source: str, count: int, targets: Sequence[str]) -> Future[Mapping[str, int]]:  # noqa: ARG002
        """All packets come through, or none."""
        answers: Future[Mapping[str, int]] = Future()
        answers.set_result({target: count if _answers(host, target) else 0 for target in targets})
        return answers


def _answers(host: SimulatedHost, target: str) -> bool:
    address, _, size = target.partition(":")
    other = end_at(host, address)
    return other is not None and reaches(host, other, int(size))
