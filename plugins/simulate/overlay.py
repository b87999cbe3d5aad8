"""What connects simulated hosts with each other: OVN controllers that register at the master's database."""

from __future__ import annotations

import re
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Database:
    """A database that listens: where it is, and whether it speaks `ssl` or `tcp`."""

    host: SimulatedHost
    rows: dict[str, dict[str, str]]
    protocol: str


def database_at(host: SimulatedHost, remote: str) -> Database | None:
    """Find what listens at `remote` (ssl:ADDRESS:PORT), as seen from a host; None where nothing does."""
    match = _REMOTE.fullmatch(remote)
    master = host.world.at(match[2]) if match else None
    if match is None or master is None or not master.up or not master.state.running("ovn-central"):
        return None
    for rows in (master.state.nb, master.state.sb):
        for protocol in ("ssl", "tcp"):
            if any(row.startswith(f"Connection p{protocol}:{match[3]}") for row in rows):
                return Database(master, rows, protocol)
    return None


def why_unanswered(host: SimulatedHost, remote: str) -> str:
    """Say why the database at `remote` (ssl:ADDRESS:PORT) does not answer this host; empty where it does."""
    if not _REMOTE.fullmatch(remote):
        return "not connected"
    database = database_at(host, remote)
    if database is None:
        return "connection attempt failed (Connection refused)"
    if not remote.startswith(database.protocol):
        return "connection attempt failed (Protocol error)"
    return "" if database.protocol == "tcp" else _why_untrusted(host, database)


def _why_untrusted(host: SimulatedHost, database: Database) -> str:
    mine, theirs = host.state.ovs.get("SSL .", {}), database.rows.get("SSL .", {})
    sides = ((mine, host), (theirs, database.host))
    for rows, owner in sides:
        if not all(owner.state.files.text(rows.get(column, "")) for column in _TLS_FILES):
            return "Private key, certificate or authority is missing"
    authorities = {owner.state.files.text(rows["ca_cert"]) for rows, owner in sides}
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
