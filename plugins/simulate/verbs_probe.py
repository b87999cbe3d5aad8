"""Simulated twins of listen, unlisten and probe: which host reaches which port of which other."""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING

from plugins.simulate.api import unit_of
from plugins.simulate.effects import Part
from plugins.simulate.host import Listening
from plugins.simulate.vocabulary import FreeVerb, Verb
from plugins.steps import Status

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost
    from plugins.simulate.play import Play

TUNNEL_PORT = 6081  # UDP, of Geneve
_TARGET = re.compile(r"(?P<proto>tcp|udp):(?P<address>[0-9.]+):(?P<port>\d+)(:(?P<token>\w*)(:(?P<bytes>\d+))?)?")


def holders(host: SimulatedHost) -> dict[tuple[str, int], str]:
    """Name what holds which port: services of the host, not listeners of the probe."""
    state = host.state
    held = {("tcp", 22): "sshd"}
    if state.running("ovn-central"):
        connections = [row for rows in (state.nb, state.sb) for row in rows if row.startswith("Connection p")]
        held |= {("tcp", int(row.split(":")[1])): "ovsdb-server" for row in connections}
    datapaths = {columns.get("datapath_type", "") for row, columns in state.ovs.items() if row.startswith("Bridge ")}
    if datapaths and state.running("openvswitch-switch"):
        held["udp", TUNNEL_PORT] = "Open vSwitch (userspace datapath)" if "netdev" in datapaths else "the kernel"
    if port := unit_of(host, "ovnkube").options.get("hybrid-overlay-vxlan-port"):
        held |= {("udp", int(port)): "the kernel"} if state.running("ovnkube") else {}
    return held | {("tcp", port): service for service, port in _kubernetes(host) if state.running(service)}


def _kubernetes(host: SimulatedHost) -> tuple[tuple[str, int], ...]:
    api = int(unit_of(host, "kube-apiserver").options.get("secure-port", 0))
    return ("kube-apiserver", api), ("etcd", 2379), ("etcd", 2380), ("kubelet", 10250)


def listening(host: SimulatedHost) -> list[tuple[str, int]]:
    """Give every port that something listens on."""
    return sorted({*holders(host), *(port for each in _tokens(host).values() for port in each.ports)})


def _tokens(host: SimulatedHost) -> dict[str, Listening]:
    for token in [token for token, each in host.listeners.items() if each.over]:
        del host.listeners[token]
    return host.listeners


def _listen(play: Play, token: str, seconds: str, *ports: str) -> Part:
    yield from play.begin(f"listen {seconds} s")
    held = holders(play.host)
    mine = Listening(monotonic() + float(seconds), set())
    for port in ports:
        proto, _, number = port.partition(":")
        holder = held.get((proto, int(number)))
        if holder is None:
            mine.ports.add((proto, int(number)))
        yield from play.fact(f"listen {port}", "listening" if holder is None else f"in-use {holder}")
    play.host.listeners[token] = mine
    yield from play.report(Status.OK)


def _unlisten(play: Play, token: str, *expected: str) -> Part:
    yield from play.begin("unlisten all" if token == "all" else "unlisten")  # noqa: S105  # a word, not a secret
    if token == "all":  # noqa: S105
        play.host.listeners.clear()
    elif token in play.host.listeners:
        play.host.listeners[token].expected = frozenset(expected)
    yield from play.report(Status.OK)


def read_target(text: str) -> re.Match[str] | None:
    """Take apart whom to ask, PROTO:ADDRESS:PORT[:TOKEN[:BYTES]]; None where it is none."""
    return _TARGET.fullmatch(text)


def _probe(play: Play, name: str, *targets: str) -> Part:
    yield from play.begin(f"probe {len(targets)} ports")
    for target in targets:
        match = read_target(target)
        if match is None:
            yield from play.fail("the ports could not be probed", output=f"{target} is no target")
            return
        label = ":".join(filter(None, (match["proto"], match["address"], match["port"], match["bytes"])))
        yield from play.fact(f"probe {label}", reached(play.host, name, match))
    yield from play.report(Status.OK)


def reached(host: SimulatedHost, name: str, target: re.Match[str]) -> str:
    """Give the state that a probe from `host` finds at another one of its world."""
    size, port = int(target["bytes"] or 0), (target["proto"], int(target["port"]))
    other = host.world.at(target["address"])
    if other is None:
        return "unreachable"
    if size > host.state.mtu:
        return "too-big"
    if not other.up or size > other.state.mtu or other.blocked(*port):
        return "timeout"
    if other.state.windows is not None:
        return other.state.windows_part.answer(*port)
    token = target["token"]
    asked = _tokens(other).get(token or "")
    if asked is not None and port in asked.ports:
        asked.seen.add(f"{name}:{port[0]}:{port[1]}")
        return "open"
    if port in listening(other):
        return "wrong-answer" if token else "open"
    return "refused"


VERBS: dict[str, Verb] = {
    "listen": FreeVerb(_listen, 3, None),
    "unlisten": FreeVerb(_unlisten, 1, None),
    "probe": FreeVerb(_probe, 2, None),
}
