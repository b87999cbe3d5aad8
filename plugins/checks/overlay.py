"""Checks of an overlay that runs: one host's own part, and what the master says about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address

from plugins.checks.certificates import judge_pair, read_certificate
from plugins.checks.facts import HostFacts
from plugins.checks.model import Rule, Verdict, failed, note, ok
from plugins.checks.tables import rows
from plugins.inventory.model import ClusterSettings, HostSettings, Role
from plugins.overlay import services
from plugins.pki.table import LEAVES, OVN
from plugins.words import listed

_PAIR = next(row for row in LEAVES if row.name == OVN)


@dataclass(frozen=True)
class Overlay:
    """What one host is judged against.

    `databases` are the northbound's and southbound's targets, `chassis` and `addresses` name every Linux host's
    chassis and tunnel end, `master` holds the master's facts, or None where it was not inspected.
    """

    settings: HostSettings
    cluster: ClusterSettings
    databases: tuple[str, str]
    chassis: Mapping[str, str]
    addresses: Mapping[str, IPv4Address]
    master: HostFacts | None


def service_states(facts: HostFacts, overlay: Overlay) -> Verdict:
    """Every service of the host's role is active."""
    return all_active(facts, services(overlay.settings.role))


def all_active(facts: HostFacts, names: Sequence[str]) -> Verdict:
    """Judge services of systemd by the facts of the inspecting verbs."""
    bad = [f"{name} {state}" for name in names if (state := facts.text(f"service_{name}")) != "active"]
    wanted = f"{', '.join(names)} active"
    return failed(", ".join(bad), wanted) if bad else ok("active", wanted)


def external_ids(facts: HostFacts, overlay: Overlay) -> Verdict:
    """Open vSwitch knows who this chassis is, where its tunnels end, and where the databases are."""
    have = _switch(facts)
    northbound, southbound = overlay.databases
    want = {
        "system-id": overlay.chassis[overlay.settings.name],
        "ovn-encap-ip": str(overlay.settings.address),
        "ovn-encap-type": overlay.cluster.encapsulation,
        "ovn-remote": southbound,
        "ovn-nb": northbound,
    }
    wrong = [f"{key}={have.get(key, '(none)')}" for key in want if have.get(key) != want[key]]
    wanted = ", ".join(f"{key}={value}" for key, value in want.items())
    return failed(", ".join(wrong), wanted) if wrong else ok("all of them", wanted)


def bridges(facts: HostFacts, overlay: Overlay) -> Verdict:
    """The integration bridge is there, and the NIC's where one is wanted, which holds it: each with its datapath."""
    _switch(facts)
    datapath = overlay.settings.datapath
    wanted = {"br-int": _bridge("br-int", datapath)}
    if overlay.settings.nic_bridge:
        nic = facts.may_be_empty("nic")
        wanted[f"br{nic}"] = _bridge(f"br{nic}", datapath, nic) if nic else "a default route to tell the NIC by"
    have = _bridges(facts)
    right = all(have.get(name) == text for name, text in wanted.items())
    return (ok if right else failed)(listed(list(have.values()), 8), ", ".join(wanted.values()))


def _bridge(name: str, datapath: str, uplink: str = "") -> str:
    return f"{name} with datapath {datapath}" + (f" and uplink {uplink}" if uplink else "")


def _bridges(facts: HostFacts) -> dict[str, str]:
    """Describe every bridge, in the words that a wanted one is described with if there is nothing wrong with it."""
    nic, found = facts.may_be_empty("nic"), {}
    port = [row["_uuid"] for row in rows(facts.text("port"), "port")]
    ports = {row["name"]: row["ports"] or () for row in rows(facts.text("uplinks"), "uplinks")}
    for row in rows(facts.text("bridges"), "bridges"):
        name, uplink = str(row["name"]), str(dict(row["external_ids"]).get("bridge-uplink", ""))
        # An empty type means the default, which is the system's.
        found[name] = _bridge(name, str(row["datapath_type"] or "system"), uplink)
        # Only this NIC's port was asked for. One port of a bridge is a text, several are a list.
        if uplink and uplink == nic and not any(each in ports[name] for each in port):
            found[name] += ", which is no port of it"
    return found


def controller(facts: HostFacts, _: Overlay) -> Verdict:
    """The OVN controller has its connection to the southbound database."""
    seen = facts.text("controller")
    return ok(seen) if seen == "connected" else failed(seen)


def registered(facts: HostFacts, overlay: Overlay) -> Verdict | None:
    """The southbound database has this chassis with its address, and its address for no other chassis."""
    del facts
    if overlay.master is None:
        return note("the master was not inspected", todo="select the master, too")
    found = _chassis(overlay.master)
    have = found.addresses
    mine, address = overlay.chassis[overlay.settings.name], str(overlay.settings.address)
    wanted = f"{mine} with {overlay.cluster.encapsulation} to {address}"
    others = sorted(found.names.get(address, set()) - {mine})
    # The database has each address once: whoever has it keeps this chassis out.
    taken = f", and {address} is that of {listed(others, 3)}" if others else ""
    if address not in have.get(mine, ()):
        return failed((f"{mine} with {', '.join(have[mine])}" if mine in have else "no such chassis") + taken, wanted)
    return failed(f"{mine}{taken}, too", wanted) if others else ok(wanted, wanted)


def strangers(facts: HostFacts, overlay: Overlay) -> Verdict | None:
    """On the master: no chassis that the inventory does not know."""
    if overlay.settings.role is not Role.MASTER:
        return None
    have = _chassis(facts).addresses
    unknown = sorted(set(have) - set(overlay.chassis.values()))
    return note(listed(unknown, 5)) if unknown else ok(f"{len(have)} chassis, all known")


def tunnels(facts: HostFacts, overlay: Overlay) -> Verdict:
    """There is a tunnel without error to every other chassis that the southbound database has."""
    if overlay.master is None:
        return note("the master was not inspected, so the other ends are not known", todo="select the master, too")
    wanted = _chassis(overlay.master).names.keys() - {str(overlay.settings.address)}
    _switch(facts)
    have = {}
    for row in rows(facts.text("tunnels"), "tunnels"):
        error = str(row["error"] or "") or ("" if row["ofport"] not in {-1, None} else "no port")
        have[str(dict(row["options"]).get("remote_ip", ""))] = error
    missing, broken = sorted(wanted - have.keys()), {ip: error for ip, error in have.items() if error and ip in wanted}
    if not missing and not broken:
        return ok(f"{len(wanted)} tunnels")
    names = {str(address): name for name, address in overlay.addresses.items()}
    bad = [f"none to {names.get(ip, ip)}" for ip in missing]
    return failed(listed([*bad, *(f"{names.get(ip, ip)}: {error}" for ip, error in broken.items())], 8))


def certificate(facts: HostFacts, overlay: Overlay) -> Verdict:
    """The host's certificate is signed by the authority that it trusts, names the host, and lasts."""
    return judge_pair(facts, "", profile=_PAIR, names=(overlay.settings.name,))


def one_authority(facts: HostFacts, overlay: Overlay) -> Verdict:
    """All hosts trust the master's authority."""
    mine = read_certificate(facts, "authority")
    if overlay.master is None:
        return note("the master was not inspected", todo="select the master, too")
    same = mine == read_certificate(overlay.master, "authority")
    return ok("the master's") if same else failed("another one than the master's")


def answers(name: str) -> Rule[Overlay]:
    """Make the rule that a database answers this host over TLS, and refuses who has no certificate."""

    def judge(facts: HostFacts, overlay: Overlay) -> Verdict:
        del overlay
        answer, stranger = facts.text(f"{name}_answer"), facts.text(f"{name}_stranger")
        if answer != "answered":
            return failed(f"with this host's certificate: {answer}")
        # TLS 1.3 and 1.2 say it differently; anything else, a refused connection too, proves nothing.
        if "certificate required" in stranger or "handshake failure" in stranger:
            return ok("answered with a certificate, refused without")
        if "CONNECTION ESTABLISHED" in stranger:
            return failed("a client without a certificate is let in")
        return failed(f"without a certificate: {stranger}")

    todo = "on the master: python -m runbooks.task central; here: python -m runbooks.task certificates"
    return Rule(f"{name}-tls", "an answer over TLS, and none to a client without a certificate", todo, judge)


def _switch(facts: HostFacts) -> dict[str, str]:
    if error := facts.texts.get("switch_error"):
        raise ValueError(f"Open vSwitch says: {error}")
    found = rows(facts.text("switch"), "switch")
    return {str(key): str(value) for key, value in dict(found[0]["external_ids"]).items()} if found else {}


@dataclass(frozen=True)
class _Chassis:
    """The southbound database's chassis: the addresses of each, and whose each address is."""

    addresses: Mapping[str, set[str]]
    names: Mapping[str, set[str]]


def _chassis(facts: HostFacts) -> _Chassis:
    if error := facts.texts.get("chassis_error"):
        raise ValueError(f"the southbound database says: {error}")
    return _read_chassis(facts.text("chassis"))


@lru_cache(maxsize=2)  # every host is judged by the master's
def _read_chassis(text: str) -> _Chassis:
    found = _Chassis(defaultdict(set), defaultdict(set))
    for row in rows(text, "chassis"):
        name, address = str(row["chassis_name"]), str(row["ip"])
        found.addresses[name].add(address)
        found.names[address].add(name)
    return found


_AGAIN = "python -m runbooks.task {} --host NAME"
OVERLAY_RULES: tuple[Rule[Overlay], ...] = (
    Rule("services", "the overlay's services active", "look at journalctl -u SERVICE on the host", service_states),
    Rule("external-ids", "the chassis' settings in Open vSwitch", _AGAIN.format("bridge (and join)"), external_ids),
    Rule("bridges", "br-int, and the NIC's bridge with the NIC in it", _AGAIN.format("bridge"), bridges),
    Rule("controller", "connected", "look at /var/log/ovn/ovn-controller.log on the host", controller),
    Rule("chassis", "this chassis with its address", _AGAIN.format("join"), registered),
    Rule(
        "unknown-chassis",
        "only chassis of the inventory",
        "on the master: ovn-sbctl chassis-del NAME, if that host is gone for good",
        strangers,
    ),
    Rule("tunnels", "a tunnel to every other chassis", "look at ovs-vsctl show on the host", tunnels),
    Rule("certificate", "a certificate that lasts", _AGAIN.format("certificates"), certificate),
    Rule("authority", "the master's authority", _AGAIN.format("certificates"), one_authority),
    answers("northbound"),
    answers("southbound"),
)
