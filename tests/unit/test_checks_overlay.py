"""What is said about one host of an overlay; the facts are in the forms that real hosts of a lab gave them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Address
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from plugins.checks.facts import HostFacts
from plugins.checks.model import Check, Grade, judge_all
from plugins.checks.overlay import OVERLAY_RULES, Overlay
from plugins.inventory.model import ClusterSettings, HostSettings, Role
from plugins.pki.authority import Authority, create_authority
from plugins.pki.issue import issue_leaf
from plugins.pki.keys import new_key
from plugins.pki.profiles import Names
from plugins.pki.table import AUTHORITIES, LEAVES

ADDRESSES = {"master": IPv4Address("10.78.0.2"), "linux-1": IPv4Address("10.78.0.3")}
CHASSIS = {"master": "4600a39f-eabf-5fd2-9c26-5a92afcf54f5", "linux-1": "4287936d-8e41-5f54-ab62-65af1788b05a"}
DATABASES = ("ssl:10.78.0.2:6641", "ssl:10.78.0.2:6642")
ROLES = {"master": Role.MASTER, "linux-1": Role.LINUX}
EVERYWHERE = ("openvswitch-switch", "ovsdb-server", "ovs-vswitchd", "ovn-host", "ovn-controller")
CENTRAL = ("ovn-central", "ovn-ovsdb-server-nb", "ovn-ovsdb-server-sb", "ovn-northd")
REFUSED = (
    "status 1: CONNECTION ESTABLISHED\nProtocol version: TLSv1.3\n40973B530B7F0000:error:0A00045C:SSL routines:"
    "ssl3_read_bytes:tlsv13 alert certificate required:../ssl/record/rec_layer_s3.c:918:SSL alert number 116"
)
NOW = datetime.now(UTC)


@cache
def authority(number: int) -> Authority:
    return create_authority(AUTHORITIES[0], f"lab{number}", NOW - timedelta(days=500))


@cache
def leaf(name: str, *, days: int = 365, signer: int = 0) -> str:
    names = Names("lab", name, "cluster.local", (ADDRESSES.get(name, IPv4Address("10.78.0.9")),))
    issued = NOW - timedelta(days=365 - days)
    made = issue_leaf(authority(signer), LEAVES[0], names, new_key().public_key(), issued)
    return made.public_bytes(Encoding.PEM).decode()


def table(headings: list[str], *data: list[Any]) -> str:
    return json.dumps({"data": data, "headings": headings})


def mapped(**values: str) -> list[Any]:
    return ["map", [[key.replace("_", "-"), value] for key, value in values.items()]]


def switch(name: str, **changes: str) -> str:
    ids = {
        "hostname": name,
        "ovn_bridge_datapath_type": "netdev",
        "ovn_encap_ip": str(ADDRESSES[name]),
        "ovn_encap_type": "geneve",
        "ovn_nb": DATABASES[0],
        "ovn_remote": DATABASES[1],
        "system_id": CHASSIS[name],
    }
    return table(["external_ids"], [mapped(**(ids | changes))])


def bridges(datapath: str = "netdev", *more: list[Any], uplink: str = "eth0", outer: str = "netdev") -> str:
    nic = ["breth0", outer, ["set", []], mapped(bridge_id="breth0", **({"bridge_uplink": uplink} if uplink else {}))]
    inner = ["br-int", datapath, "secure", mapped(ovn_nb_cfg="2")]
    return table(["name", "datapath_type", "fail_mode", "external_ids"], inner, nic, *more)


def uplinks(*ports: str, name: str = "breth0") -> str:
    """The ports of the NIC's bridge, by the ends of their ids."""
    each = [["uuid", f"851cf8ec-6f06-4de0-9e52-{port}"] for port in ports]
    return table(["name", "ports"], [name, each[0] if len(each) == 1 else ["set", each]])


def port(*names: str) -> str:
    """The NIC's port, whose id ends in its name; none where no bridge has it."""
    return table(["_uuid", "name"], *([["uuid", f"851cf8ec-6f06-4de0-9e52-{name}"], name] for name in names))


def tunnel(remote: IPv4Address | str, error: str = "", port: Any = 2) -> list[Any]:
    options = ["map", [["csum", "true"], ["key", "flow"], ["remote_ip", str(remote)]]]
    return ["ovn0-4600a-0", options, error or ["set", []], port, "up"]


def tunnels(*each: list[Any]) -> str:
    return table(["name", "options", "error", "ofport", "link_state"], *each)


def chassis(**more: str) -> str:
    known = {CHASSIS[name]: str(ADDRESSES[name]) for name in CHASSIS}
    rows = [[name, "geneve", address] for name, address in (known | more).items() if address]
    return table(["chassis_name", "type", "ip"], *rows)


def facts(name: str, **changes: str) -> dict[str, str]:
    """The facts of a host of a healthy overlay of two, some of them changed."""
    other = next(address for each, address in ADDRESSES.items() if each != name)
    healthy = {
        "switch": switch(name),
        "nic": "eth0",
        "bridges": bridges(),
        "uplinks": uplinks("breth0", "eth0", "patch"),
        "port": port("eth0"),
        "tunnels": tunnels(tunnel(other)),
        "key_mode": "600 root:root",
        "certificate": leaf(name),
        "authority": authority(0).certificate.public_bytes(Encoding.PEM).decode(),
        "controller": "connected",
        **{f"{each}_answer": "answered" for each in ("northbound", "southbound")},
        **{f"{each}_stranger": REFUSED for each in ("northbound", "southbound")},
        **{f"service_{each}": "active" for each in EVERYWHERE + (CENTRAL if name == "master" else ())},
        **({"chassis": chassis()} if name == "master" else {}),
    }
    return healthy | changes


def judged(
    name: str, mine: dict[str, str], master: dict[str, str] | None = None, *, inspected: bool = True, **settings: Any
) -> dict[str, Check]:
    """All checks of a host by id."""
    given = {"name": name, "role": ROLES[name], "address": ADDRESSES[name], "transport": "memory", "datapath": "netdev"}
    master = mine if name == "master" else master or facts("master")
    overlay = Overlay(
        settings=HostSettings(**(given | settings)),
        cluster=ClusterSettings(
            name="lab", pod_network="10.244.0.0/16", service_network="10.100.0.0/16", dns_address="10.100.0.10"
        ),
        databases=DATABASES,
        chassis=CHASSIS,
        addresses=ADDRESSES,
        master=HostFacts(master) if inspected else None,
    )
    return {check.id: check for check in judge_all(OVERLAY_RULES, HostFacts(mine), overlay)}


def test_a_healthy_overlay_passes() -> None:
    """Every check of both roles is ok, and only the master is asked for unknown chassis."""
    for name in CHASSIS:
        assert {check.id: check.status for check in judged(name, facts(name)).values()} == {
            rule.id: Grade.OK for rule in OVERLAY_RULES if rule.id != "unknown-chassis" or name == "master"
        }


@pytest.mark.parametrize(
    ("check", "changes", "seen"),
    [
        ("services", {"service_ovn-controller": "failed"}, "ovn-controller failed"),
        ("external-ids", {"switch": switch("linux-1", system_id="stranger")}, "system-id=stranger"),
        ("external-ids", {"switch": switch("linux-1", ovn_encap_ip="10.9.9.9")}, "ovn-encap-ip=10.9.9.9"),
        ("external-ids", {"switch": switch("linux-1", ovn_remote="tcp:10.78.0.2:6642")}, "ovn-remote=tcp:"),
        ("bridges", {"bridges": bridges("system")}, "br-int with datapath system"),
        ("bridges", {"bridges": bridges(uplink="")}, "br-int with datapath netdev"),
        ("bridges", {"bridges": bridges(outer="")}, "breth0 with datapath system and uplink eth0"),
        ("bridges", {"bridges": bridges(uplink="eth1")}, "breth0 with datapath netdev and uplink eth1"),
        ("bridges", {"uplinks": uplinks("breth0", "patch"), "port": port()}, "uplink eth0, which is no port of it"),
        ("bridges", {"uplinks": uplinks("breth0")}, "uplink eth0, which is no port of it"),
        ("bridges", {"nic": "eth1", "port": port()}, "breth0 with datapath netdev and uplink eth0"),
        ("bridges", {"nic": ""}, "breth0 with datapath netdev and uplink eth0"),
        ("bridges", {"bridges": table(["name", "datapath_type", "fail_mode", "external_ids"])}, "none"),
        ("controller", {"controller": "not connected"}, "not connected"),
        ("tunnels", {"tunnels": tunnels()}, "none to master"),
        ("tunnels", {"tunnels": tunnels(tunnel("10.78.0.2", "could not add"))}, "master: could not add"),
        ("tunnels", {"tunnels": tunnels(tunnel("10.78.0.2", port=-1))}, "master: no port"),
        ("tunnels", {"tunnels": tunnels(tunnel("10.78.0.2", port=["set", []]))}, "master: no port"),
        ("certificate", {"certificate": leaf("linux-1", days=20)}, "19 days left"),
        ("certificate", {"certificate": leaf("linux-1", days=-3)}, "-4 days left"),
        ("certificate", {"certificate": leaf("linux-9")}, "for linux-9"),
        ("certificate", {"certificate": leaf("linux-1", signer=1)}, "another authority"),
        ("certificate", {"key_mode": "644 root:root"}, "644 root:root"),
        ("certificate", {"certificate": ""}, "is missing or holds no certificate"),
        ("certificate", {"certificate": "no pem"}, "holds no certificate"),
        ("northbound-tls", {"northbound_answer": "Protocol error"}, "with this host's certificate: Protocol error"),
        ("southbound-tls", {"southbound_stranger": "status 124: CONNECTION ESTABLISHED"}, "is let in"),
        ("southbound-tls", {"southbound_stranger": "status 1: Connection refused"}, "Connection refused"),
    ],
)
def test_what_is_wrong_is_seen_and_nothing_else(check: str, changes: dict[str, str], seen: str) -> None:
    """One thing wrong fails its own check, whose words say what was seen and what to do."""
    found = judged("linux-1", facts("linux-1", **changes))
    assert [name for name, each in found.items() if each.status is Grade.FAILED] == [check]
    assert seen in found[check].seen
    assert found[check].todo


def test_a_certificate_that_names_its_authority_only() -> None:
    """The CA's own certificate in a leaf's place has no alternative names: its own name is shown."""
    mine = facts("linux-1")
    found = judged("linux-1", mine | {"certificate": mine["authority"]})["certificate"]
    assert (found.status, found.seen) == (Grade.FAILED, "for OVN CA of lab0")


def test_who_trusts_another_authority() -> None:
    """A host with a pair of another authority fails, although the pair fits."""
    other = authority(1).certificate.public_bytes(Encoding.PEM).decode()
    found = judged("linux-1", facts("linux-1", authority=other, certificate=leaf("linux-1", signer=1)))
    assert {name for name, each in found.items() if each.status is Grade.FAILED} == {"authority"}


def test_a_chassis_that_does_not_register() -> None:
    """The host fails, and is told who has its address in the database; the master notes the stranger."""
    master = facts("master", chassis=chassis(**{CHASSIS["linux-1"]: "", "former-life": "10.78.0.3"}))
    found = judged("linux-1", facts("linux-1"), master)["chassis"]
    assert (found.status, found.seen) == (Grade.FAILED, "no such chassis, and 10.78.0.3 is that of former-life")
    assert "join" in found.todo
    stranger = judged("master", master)["unknown-chassis"]
    assert (stranger.status, stranger.seen) == (Grade.NOTE, "former-life")
    assert "chassis-del" in stranger.todo


def test_a_chassis_at_another_address() -> None:
    """Registered, and with another tunnel end than the inventory's."""
    master = facts("master", chassis=chassis(**{CHASSIS["linux-1"]: "10.9.9.9"}))
    found = judged("linux-1", facts("linux-1"), master)["chassis"]
    assert (found.status, found.seen) == (Grade.FAILED, f"{CHASSIS['linux-1']} with 10.9.9.9")


def test_a_tunnel_to_a_chassis_that_the_inventory_does_not_know() -> None:
    """The database says where tunnels have to end: one that is missing is named by its address."""
    master = facts("master", chassis=chassis(**{"windows-1": "10.78.0.77"}))
    found = judged("linux-1", facts("linux-1"), master)["tunnels"]
    assert (found.status, found.seen) == (Grade.FAILED, "none to 10.78.0.77")


def test_without_the_master_nothing_is_claimed() -> None:
    """What only the master can tell is a note that says so."""
    found = judged("linux-1", facts("linux-1"), inspected=False)
    notes = {name for name, each in found.items() if each.status is Grade.NOTE}
    assert notes == {"chassis", "tunnels", "authority"}
    assert not [each for each in found.values() if each.status is Grade.FAILED]


def test_a_host_without_a_nic_bridge() -> None:
    """With nic_bridge off no bridge has to hold the NIC, and none has to be known."""
    mine = facts("linux-1", bridges=bridges(uplink=""), uplinks=table(["name", "ports"]), port=port(), nic="")
    assert judged("linux-1", mine, nic_bridge=False)["bridges"].status is Grade.OK


def test_what_is_wanted_of_the_nic_s_bridge_is_said() -> None:
    """Its name, its datapath and its uplink; without a NIC to tell them by, what the NIC is told by."""
    wanted = judged("linux-1", facts("linux-1", nic="eth1"))["bridges"].wanted
    assert wanted == "br-int with datapath netdev, breth1 with datapath netdev and uplink eth1"
    assert judged("linux-1", facts("linux-1", nic=""))["bridges"].wanted.endswith("a default route to tell the NIC by")


def test_bridges_that_are_right() -> None:
    """The kernel's datapath, told or left out, a NIC of another name, and bridges of somebody else's beside ours."""
    for inner, outer in (("system", "system"), ("", "")):
        mine = facts("linux-1", bridges=bridges(inner, outer=outer))
        assert judged("linux-1", mine, datapath="system")["bridges"].status is Grade.OK
    external = ["br-ext", "netdev", "secure", ["map", []]]
    spare = ["brens7", "system", ["set", []], mapped(bridge_uplink="ens7")]
    found = judged("linux-1", facts("linux-1", bridges=bridges("netdev", external, spare)))["bridges"]
    assert found.status is Grade.OK
    assert "br-ext with datapath netdev, brens7 with datapath system and uplink ens7" in found.seen


def test_a_southbound_database_that_is_down() -> None:
    """Its own words are in every check that needs it, the master's other checks go on."""
    master = {name: text for name, text in facts("master").items() if name != "chassis"}
    found = judged("master", master | {"chassis_error": "database connection failed"})
    assert {name for name, each in found.items() if "connection failed" in each.seen} == {
        "chassis",
        "unknown-chassis",
        "tunnels",
    }
    assert found["services"].status is Grade.OK


def test_open_vswitch_that_is_down() -> None:
    """Its own words are in every check that needs its database, and the others go on."""
    mine = facts("linux-1", switch_error="database connection failed")
    found = judged("linux-1", mine)
    assert {name for name, each in found.items() if "connection failed" in each.seen} == {
        "external-ids",
        "bridges",
        "tunnels",
    }
