"""Simulated twin of overlay_network, and what hybrid-overlay-node does on a simulated host."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from plugins.simulate.api import NoAnswerError, ask, key_of, unit_of
from plugins.simulate.effects import Part, Pause
from plugins.simulate.vocabulary import FreeVerb, Verb
from plugins.simulate.windows.nodes import options_of, register_nodes
from plugins.steps import Status
from plugins.windows import HYBRID_OVERLAY, OVERLAY

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost
    from plugins.simulate.play import Play

POLL = 0.1  # seconds
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
    if key_of("Node", options["node"]) not in master.state.objects:
        return f"the API knows no node {options['node']}"
    switches = unit_of(master, "ovnkube").options
    if not master.well("ovnkube") or GATEWAY not in switches:
        return "no subnet is handed out"
    if switches[TUNNELS] != options[TUNNELS]:
        return "the tunnels' ports differ"
    network, _, prefix = switches[GATEWAY].rpartition("/")
    place = [name for name, each in host.world.hosts.items() if each.state.windows is not None].index(host.name)
    first = int(IPv4Network(network).network_address) + (place << 32 - int(prefix))
    host.state.windows_part.networks[OVERLAY] = str(IPv4Network((first, int(prefix))))
    return ""


def _overlay_network(play: Play, name: str, seconds: str) -> Part:
    host, waited = play.host, 0.0
    yield from play.begin(f"overlay network {name}")
    if host.state.windows_part.features["Containers"] != "Enabled":
        if not play.dry_run:
            yield from play.fail("Get-HnsNetwork is not installed")
        yield from play.report(Status.WOULD_CHANGE, message="Get-HnsNetwork is not installed")
        return
    if not play.dry_run:
        while (why := make_network(host)) and waited < min(float(seconds), host.world.timing.network_change):
            waited += POLL
            yield Pause(POLL)
        if why:
            yield from play.fail(f"HNS has no such network; awaited for {seconds} s", output=why)
    if name not in host.state.windows_part.networks:
        yield from play.report(Status.WOULD_CHANGE, message="HNS has no such network")
        return
    yield from play.fact("overlay_subnet", host.state.windows_part.networks[name])
    yield from play.fact("overlay_address", host.state.address)
    yield from play.report(Status.OK)


VERBS: dict[str, Verb] = {"overlay_network": FreeVerb(_overlay_network, 2, 2)}
