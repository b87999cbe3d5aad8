"""Simulated twins of inspect_overlay and inspect_chassis: the databases' tables, as JSON that OVSDB's tools print."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from plugins.simulate.effects import Part
from plugins.simulate.overlay import database_at, master_of, register, why_not_connected, why_unanswered
from plugins.simulate.state import OPEN_VSWITCH
from plugins.simulate.verbs_ovs import no_database
from plugins.simulate.vocabulary import FreeVerb, Verb, needs
from plugins.steps import Status

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost
    from plugins.simulate.play import Play

LONGEST_FILE = 65536  # characters
_REFUSED = "status 1: 8080:error:simulated: tlsv13 alert certificate required"
_LET_IN = "status 0: CONNECTION ESTABLISHED"
_NO_ANSWER = "status 1: connect: Connection refused"


def _inspect_overlay(
    play: Play, nic: str, nb: str, sb: str, key: str, certificate: str, authority: str, *services: str
) -> Part:
    host = play.host
    yield from play.begin("inspect overlay")
    if missing := needs(host, "ovs-vsctl") or needs(host, "ovn-appctl"):
        yield from play.fail(missing.message)
    register(host)
    nic = nic or host.state.nic
    yield from play.fact("nic", nic)
    for name, value in _switch(host, nic).items():
        yield from play.fact(name, value)
    entry = host.state.files.behind(key)
    yield from play.fact("key_mode", f"{entry.mode} {entry.owner}" if entry else f"stat: {key}: no such file")
    for name, path in (("certificate", certificate), ("authority", authority)):
        yield from play.fact(name, (host.state.files.text(path) or "")[:LONGEST_FILE])
    for name in services:
        yield from play.fact(f"service_{name}", "active" if host.state.running(name) else "inactive")
    for name, remote in (("northbound", nb), ("southbound", sb)):
        yield from play.fact(f"{name}_answer", why_unanswered(host, remote) or "answered")
        yield from play.fact(f"{name}_stranger", _stranger(host, remote))
    yield from play.fact("controller", why_not_connected(host) or "connected")
    yield from play.fact("clock", str(int((time.time() + host.clock_skew) * 1_000_000)))
    yield from play.report(Status.OK)


def _stranger(host: SimulatedHost, remote: str) -> str:
    """Say what a client without a certificate hears."""
    found = database_at(host, remote)
    if found is None:
        return _NO_ANSWER
    return _REFUSED if found.protocol == "ssl" else _LET_IN


def _switch(host: SimulatedHost, nic: str) -> dict[str, str]:
    if nothing := no_database(host):
        return {"switch_error": nothing.message.rpartition(": ")[2]}
    ovs = host.state.ovs
    bridges = {row.removeprefix("Bridge "): columns for row, columns in ovs.items() if row.startswith("Bridge ")}
    rows = (
        [name, columns.get("datapath_type", ""), columns.get("fail_mode", ""), _map(columns, "external_ids")]
        for name, columns in bridges.items()
    )
    # The NIC's move makes it a port of its bridge, and nothing here takes it out again.
    named = {name: columns.get("external_ids:bridge-uplink", "") for name, columns in bridges.items()}
    uplinks = {name: uplink for name, uplink in named.items() if uplink}
    return {
        "switch": _table(["external_ids"], [[_map(ovs.get(OPEN_VSWITCH, {}), "external_ids")]]),
        "bridges": _table(["name", "datapath_type", "fail_mode", "external_ids"], rows),
        "uplinks": _table(["name", "ports"], ([name, _port(uplink)] for name, uplink in uplinks.items())),
        "port": _table(["_uuid", "name"], [[_port(nic), nic]] if nic in uplinks.values() else []),
        "tunnels": _table(["name", "options", "error", "ofport", "link_state"], _tunnels(host)),
    }


def _port(nic: str) -> list[str]:
    return ["uuid", str(uuid.uuid5(uuid.NAMESPACE_OID, nic))]


def _tunnels(host: SimulatedHost) -> Iterable[list[Any]]:
    """Give one tunnel to every other chassis that is registered."""
    master = master_of(host)
    mine = host.state.ovs.get(OPEN_VSWITCH, {}).get("external_ids:system-id", "")
    chassis = master.state.chassis if master and not why_not_connected(host) else {}
    for number, (name, (_, address)) in enumerate(chassis.items(), start=1):
        if name != mine:
            options = ["map", [["csum", "true"], ["key", "flow"], ["remote_ip", address]]]
            yield [f"ovn-{name[:6]}-0", options, ["set", []], number, "up"]


def _map(columns: dict[str, str], name: str) -> list[Any]:
    pairs = [[key.partition(":")[2], value] for key, value in columns.items() if key.startswith(f"{name}:")]
    return ["map", sorted(pairs)]


def _table(headings: list[str], rows: Iterable[list[Any]]) -> str:
    return json.dumps({"headings": headings, "data": list(rows)}, separators=(",", ":"))


def _inspect_chassis(play: Play) -> Part:
    host = play.host
    yield from play.begin("inspect chassis")
    if missing := needs(host, "ovn-sbctl"):
        yield from play.fail(missing.message)
    if not host.state.running("ovn-central"):
        yield from play.fact("chassis_error", "database connection failed")
        yield from play.report(Status.OK)
        return
    for other in host.world.hosts.values():
        register(other)
    rows = ([name, kind, address] for name, (kind, address) in host.state.chassis.items())
    yield from play.fact("chassis", _table(["chassis_name", "type", "ip"], rows))
    yield from play.report(Status.OK)


VERBS: dict[str, Verb] = {
    "inspect_overlay": FreeVerb(_inspect_overlay, 7, None),
    "inspect_chassis": FreeVerb(_inspect_chassis, 0, 0),
}
