"""What connects simulated hosts with each other: OVN controllers that register at the master's database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plugins.simulate.state import OPEN_VSWITCH

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost

_REMOTE = re.compile(r"(ssl|tcp):([0-9.]+):(\d+)")
_TLS_FILES = ("private_key", "certificate", "ca_cert")


def why_not_connected(host: SimulatedHost) -> str:
    """Say why a host's OVN controller has no connection to the southbound database; empty where it has one."""
    state = host.state
    if not state.running("ovn-controller"):
        return "ovn-controller does not run"
    return why_unanswered(host, state.ovs.get(OPEN_VSWITCH, {}).get("external_ids:ovn-remote", ""))


def why_unanswered(host: SimulatedHost, remote: str) -> str:
    """Say why the database at `remote` (ssl:ADDRESS:PORT) does not answer this host; empty where it does."""
    match = _REMOTE.fullmatch(remote)
    if match is None:
        return "not connected"
    protocol, address, port = match.groups()
    master = host.world.at(address)
    if master is None or not master.up:
        return "connection attempt timed out"
    target = f"Connection p{protocol}:{port}"
    if not master.state.running("ovn-central") or not any(row.startswith(target) for row in master.state.sb):
        return "connection attempt failed (Connection refused)"
    return "" if protocol == "tcp" else _why_untrusted(host, master)


def _why_untrusted(host: SimulatedHost, master: SimulatedHost) -> str:
    mine, theirs = host.state.ovs.get("SSL .", {}), master.state.sb.get("SSL .", {})
    for rows, owner in ((mine, host), (theirs, master)):
        if not all(owner.state.files.text(rows.get(column, "")) for column in _TLS_FILES):
            return "Private key, certificate or authority is missing"
    authorities = {owner.state.files.text(rows["ca_cert"]) for rows, owner in ((mine, host), (theirs, master))}
    return "" if len(authorities) == 1 else "certificate verify failed"


def master_of(host: SimulatedHost) -> SimulatedHost | None:
    """Find the host whose southbound database this one is told to use."""
    match = _REMOTE.fullmatch(host.state.ovs.get(OPEN_VSWITCH, {}).get("external_ids:ovn-remote", ""))
    return host.world.at(match[2]) if match else None


def register(host: SimulatedHost) -> None:
    """Let the host's OVN controller do its work: its chassis is in the database, if nobody else has its address."""
    master, keys = master_of(host), host.state.ovs.get(OPEN_VSWITCH, {})
    if master is None or why_not_connected(host):
        return
    wanted = ("system-id", "ovn-encap-type", "ovn-encap-ip")
    name, kind, address = (keys.get(f"external_ids:{key}", "") for key in wanted)
    chassis = master.state.chassis
    taken = any(other != name and [kind, address] == end for other, end in chassis.items())
    if name and kind and address and not taken:
        chassis[name] = [kind, address]
