"""Simulated twins of the traffic verbs: a temporary switch, a port of it on each host, and pings between them."""

from __future__ import annotations

from ipaddress import IPv4Interface
from typing import TYPE_CHECKING

from plugins.simulate.effects import Part
from plugins.simulate.overlay import master_of, why_not_connected
from plugins.simulate.verbs_ovs import no_database
from plugins.simulate.verbs_probe import TUNNEL_PORT
from plugins.simulate.vocabulary import FreeVerb, Verb, needs
from plugins.steps import Status

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost
    from plugins.simulate.play import Play

DRY_RUN = "dry run: no packets are sent"


def _switch(play: Play, *words: str) -> Part:
    yield from play.begin("traffic switch")
    if play.dry_run:
        yield from play.report(Status.OK, message=DRY_RUN)
        return
    if missing := needs(play.host, "ovn-nbctl"):
        yield from play.fail(missing.message)
    if not play.host.state.running("ovn-central"):
        message = "what an earlier probe left could not be removed from the northbound database"
        yield from play.fail(message, output="ovn-nbctl: database connection failed")
    play.host.state.traffic_switch = dict(zip(words[::2], words[1::2], strict=False))
    yield from play.report(Status.OK)


def _switch_gone(play: Play) -> Part:
    yield from play.begin("traffic switch gone")
    if not play.dry_run:
        play.host.state.traffic_switch = {}
    yield from play.report(Status.OK, message=DRY_RUN if play.dry_run else "")


def _port(
    play: Play, port: str, mac: str, interface: str, underlay: str, overhead: str, seconds: str, mtu: str = ""
) -> Part:
    host = play.host
    yield from play.begin("traffic port")
    if play.dry_run:
        yield from play.report(Status.OK, message=DRY_RUN)
        return
    if nothing := no_database(host):
        yield from play.fail(nothing.message)
    if underlay != host.state.address:
        yield from play.fail(f"no device here has the address {underlay}: correct address in the inventory")
    master = master_of(host)
    address = IPv4Interface(interface).ip
    if why_not_connected(host) or master is None or master.state.traffic_switch.get(port) != f"{mac} {address}":
        yield from play.fail(f"OVN did not bind the port {port} here within {seconds} s")
    size = min(host.state.mtu, int(mtu or host.state.mtu)) - int(overhead)
    host.state.traffic_port = {"address": str(address), "mtu": str(size)}
    yield from play.fact("traffic_mtu", str(size))
    yield from play.report(Status.OK)


def _port_gone(play: Play) -> Part:
    yield from play.begin("traffic port gone")
    if not play.dry_run:
        play.host.state.traffic_port = {}
    yield from play.report(Status.OK, message=DRY_RUN if play.dry_run else "")


def _ping(play: Play, count: str, *targets: str) -> Part:
    host = play.host
    yield from play.begin(f"ping {len(targets)} times {count}")
    if play.dry_run:
        yield from play.report(Status.OK, message=DRY_RUN)
        return
    if not host.state.traffic_port:
        yield from play.fail("there is no network namespace ovn-runbooks-probe: the port is not open")
    ports = {other.state.traffic_port.get("address", ""): other for other in host.world.hosts.values()}
    for target in targets:
        address, _, size = target.partition(":")
        answered = _answers(host, ports.get(address), int(size))
        yield from play.fact(f"ping {target}", f"{count if answered else 0}/{count}")
    yield from play.report(Status.OK)


def _answers(host: SimulatedHost, other: SimulatedHost | None, size: int) -> bool:
    """Whether a packet gets to the other's port, and its answer back."""
    if other is None or not other.up or why_not_connected(other):
        return False
    ends = (host, other)
    fits = all(size <= int(end.state.traffic_port["mtu"]) for end in ends)
    return fits and not any(end.blocked("udp", TUNNEL_PORT) for end in ends)


VERBS: dict[str, Verb] = {
    "traffic_switch": FreeVerb(_switch, 2, None),
    "traffic_switch_gone": FreeVerb(_switch_gone, 0, 0),
    "traffic_port": FreeVerb(_port, 6, 7),
    "traffic_port_gone": FreeVerb(_port_gone, 0, 0),
    "traffic_ping": FreeVerb(_ping, 2, None),
}
