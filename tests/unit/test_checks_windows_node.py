"""What is said about a Windows host that is a node; the forms of the facts are the library's own."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Address, IPv4Network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from plugins.checks.facts import HostFacts
from plugins.checks.model import Check, Grade, judge_all
from plugins.checks.windows_node import WINDOWS_NODE_RULES, WindowsNode
from plugins.inventory.model import ClusterSettings, HostSettings, Role
from plugins.pki.authority import Authority, create_authority
from plugins.pki.issue import issue_leaf
from plugins.pki.keys import new_key
from plugins.pki.profiles import LeafProfile, Names, Usage
from plugins.pki.table import AUTHORITIES, leaves_for
from plugins.windows import ANNOTATED_MAC, ANNOTATED_SUBNET, BOOT_PROGRAM, BOOT_WORDS, HEALTH, OVERLAY
from plugins.windows_services import WindowsService

ADDRESS = IPv4Address("10.142.0.5")
CLUSTER = ClusterSettings(
    name="lab",
    pod_network=IPv4Network("10.244.0.0/16"),
    service_network=IPv4Network("10.100.0.0/16"),
    dns_address=IPv4Address("10.100.0.10"),
)
SERVICES = {
    name: WindowsService(name, rf"C:\k\{name}.exe --config=C:\k\{name}.yaml -v 2")
    for name in ("containerd", "kubelet", "hybrid-overlay-node", "kube-proxy")
}
LABEL = "node-role.kubernetes.io/windows-worker"
TAINT = {"key": "os", "value": "Windows", "effect": "NoSchedule"}

NAMES = Names("lab", "windows-1", "cluster.local", (ADDRESS,), (IPv4Address("10.100.0.1"),))
NOW = datetime.now(UTC)
ROWS = leaves_for(Role.WINDOWS)


@cache
def authority(name: str) -> Authority:
    profile = next(row for row in AUTHORITIES if row.name == name)
    return create_authority(profile, "lab", NOW - timedelta(days=500))


def leaf(row: LeafProfile, names: Names = NAMES, *, days: int = 365, signer: str = "kubernetes") -> str:
    """A certificate of this row that has so many days left."""
    issued = NOW - timedelta(days=365 - days)
    return pem(issue_leaf(authority(signer), row, names, new_key().public_key(), issued))


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


@cache
def pairs() -> dict[str, str]:
    """The facts of all certificates and keys."""
    found = {}
    for row in ROWS:
        found[f"certificate_{row.name}"], found[f"authority_{row.name}"] = (
            leaf(row),
            pem(authority("kubernetes").certificate),
        )
        found[f"key_mode_{row.name}"] = "protected"
    return found


def lines(**changes: str) -> str:
    """The fact of services, some of them with another state, start and command."""
    good = {name: f"Running Auto {service.command}" for name, service in SERVICES.items()}
    return "\n".join(f"{name} {words}" for name, words in (good | changes).items())


def answers(**changes: str) -> str:
    """The fact of health, some of it changed."""
    return "\n".join(f"{url} {changes.get(name, 'well')}" for name, url in HEALTH.items())


GOOD = {
    **pairs(),
    "services": lines(),
    "answers": answers(),
    "networks": f"nat 172.20.0.0/20 {ADDRESS}\n{OVERLAY} 10.160.1.0/24 {ADDRESS}",
    "cni": json.dumps({"name": OVERLAY, "ipam": {"subnet": "10.160.1.0/24"}}),
    "endpoint": f"10.160.1.2 in {OVERLAY}",
    f"probe tcp:{ADDRESS}:10250": "open",
    "proxy": "winkernel: {sourceVip: 10.160.1.2}",
    "scheduled": f"at boot as SYSTEM: {BOOT_PROGRAM} {BOOT_WORDS}",
    "node_labels": json.dumps({LABEL: ""}),
    "node_taints": json.dumps([TAINT]),
    "node_addresses": json.dumps([{"address": str(ADDRESS), "type": "InternalIP"}]),
    "node_conditions": json.dumps([{"type": "Ready", "status": "True"}]),
    "node_version": "v1.36.2",
    "node_annotations": json.dumps({ANNOTATED_SUBNET: "10.160.1.0/24", ANNOTATED_MAC: "00:15:5d:01:02:03"}),
}


def judged(texts: dict[str, str]) -> dict[str, Check]:
    node = WindowsNode(
        settings=HostSettings(name="windows-1", role="windows", address=str(ADDRESS), transport="winrm"),
        cluster=CLUSTER,
        names=NAMES,
        version="v1.36.2",
        workers=1,
        services=SERVICES,
    )
    return {check.id: check for check in judge_all(WINDOWS_NODE_RULES, HostFacts(texts), node)}


def test_a_healthy_node_passes_every_check() -> None:
    """Each check is made, and says that all is as wanted."""
    checks = judged(GOOD)
    assert set(checks) == {rule.id for rule in WINDOWS_NODE_RULES}
    assert {name: each.seen for name, each in checks.items() if each.status is not Grade.OK} == {}


BAD = [
    ("kubernetes-services", {"services": lines(kubelet="-")}, "no service kubelet"),
    ("kubernetes-services", {"services": lines(kubelet="Stopped Auto C:\\k\\kubelet.exe")}, "kubelet Stopped"),
    ("kubernetes-services", {"services": lines(kubelet="Running Manual C:\\k\\kubelet.exe")}, "start Manual"),
    ("kubernetes-services", {"services": lines(containerd="Running Auto C:\\x.exe")}, "the command line C:\\x.exe"),
    ("kubernetes-services", {"services": ""}, "no service containerd"),
    ("kubelet-health", {"answers": answers(kubelet="(500) oh no")}, "(500) oh no"),
    ("kubelet-health", {"answers": f"{HEALTH['kube-proxy']} well"}, "no answer"),
    ("kubelet-port", {f"probe tcp:{ADDRESS}:10250": "timeout"}, "timeout"),
    ("kubelet-certificate", {"key_mode_kubelet": "inherited"}, "a key with access inherited"),
    ("kubelet-certificate", {"key_mode_kubelet": "(missing)"}, "a key with access (missing)"),
    ("ovn-node-certificate", {"certificate_ovn-node": ""}, "is missing or holds no certificate"),
    ("kube-proxy-certificate", {"authority_kube-proxy": "?"}, "is missing or holds no certificate"),
    ("kube-proxy-health", {"answers": answers(**{"kube-proxy": "(503) no network"})}, "(503) no network"),
    ("boot-task", {"scheduled": "(missing)"}, "(missing)"),
    ("boot-task", {"scheduled": f"disabled, at boot as SYSTEM: {BOOT_PROGRAM} {BOOT_WORDS}"}, "disabled"),
    ("source-vip", {"endpoint": ""}, "none, and 10.160.1.2"),
    ("source-vip", {"endpoint": f"10.160.1.9 in {OVERLAY}"}, "10.160.1.9 in"),
    ("source-vip", {"endpoint": f"10.160.1.2 in {OVERLAY}, on no NIC of the host"}, "on no NIC"),
    ("source-vip", {"proxy": "winkernel: {sourceVip: 10.160.1.9}"}, "10.160.1.9 in kube-proxy's"),
    ("source-vip", {"proxy": ""}, "and none in kube-proxy's"),
    ("source-vip", {"proxy": "[]"}, "10.160.1.2 in"),
    ("source-vip", {"proxy": "winkernel: {"}, "cannot read"),
    ("overlay-network", {"networks": f"{OVERLAY} 10.160.1.0/24 10.0.0.9"}, "from 10.0.0.9"),
    ("pod-network", {"cni": ""}, "no network with no subnet"),
    ("pod-network", {"cni": '{"name": "nat", "ipam": {"subnet": "10.160.1.0/24"}}'}, "nat with 10.160.1.0/24"),
    ("pod-network", {"cni": "[]"}, "cannot read"),
    ("node-ready", {"node_conditions": '[{"type": "Ready", "status": "False", "reason": "Bad"}]'}, "Bad"),
    ("node-ready", {"node_error": 'nodes "windows-1" not found'}, "not found"),
    ("node-overlay", {"node_annotations": json.dumps({ANNOTATED_SUBNET: "10.160.1.0/24"})}, f"no {ANNOTATED_MAC}"),
    ("node-overlay", {"node_annotations": ""}, f"no {ANNOTATED_SUBNET}"),
    ("node-version", {"node_version": "v1.35.0"}, "v1.35.0"),
    ("node-address", {"node_addresses": "[]"}, "none"),
    ("node-role", {"node_labels": "{}"}, "no such label"),
    ("node-role", {"node_taints": ""}, "no taint"),
]


@pytest.mark.parametrize(("check", "changes", "seen"), BAD, ids=[f"{case[0]}-{n}" for n, case in enumerate(BAD)])
def test_what_is_wrong_fails_its_check_and_no_other(check: str, changes: dict[str, str], seen: str) -> None:
    """The check says what was seen and what to do; others stay as they are."""
    checks = judged(GOOD | changes)
    assert seen in checks[check].seen
    assert checks[check].todo
    assert [name for name, each in checks.items() if each.status is Grade.FAILED] == [check]


ROW = {row.name: row for row in ROWS}
OTHER = Names("lab", "windows-2", "cluster.local", (ADDRESS,), (IPv4Address("10.100.0.1"),))
WRONG = {
    "another-authority": ("kubelet", leaf(ROW["kubelet"], signer="etcd"), "signed by another authority"),
    "another-host": ("ovn-node", leaf(ROW["ovn-node"], OTHER), "for system:ovn-node:windows-2"),
    "another-name": ("kubelet-server", leaf(ROW["kubelet-server"], OTHER), "for windows-2"),
    "another-use": (
        "kubelet-server",
        leaf(replace(ROW["kubelet-server"], usages=frozenset({Usage.CLIENT}))),
        "its usage differs",
    ),
    "too-old": ("kube-proxy", leaf(ROW["kube-proxy"], days=20), "19 days left"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_certificate_that_is_not_as_it_should_be_fails_its_check_and_no_other(what: str) -> None:
    """Chain, names, use and days are looked at, as on Linux and in the same words."""
    name, certificate, seen = WRONG[what]
    checks = judged(GOOD | {f"certificate_{name}": certificate})
    assert [check for check, each in checks.items() if each.status is not Grade.OK] == [f"{name}-certificate"]
    assert seen in checks[f"{name}-certificate"].seen
    assert "runbooks.task certificates" in checks[f"{name}-certificate"].todo


def test_a_network_with_another_subnet_than_the_node_was_given() -> None:
    """What HNS has is compared with the node's annotation, and pods' configuration with what HNS has."""
    checks = judged(GOOD | {"networks": f"{OVERLAY} 10.160.9.0/24 {ADDRESS}"})
    assert {name for name, each in checks.items() if each.status is Grade.FAILED} == {
        "overlay-network",
        "pod-network",
        "source-vip",
    }
    assert "wanted" not in checks["overlay-network"].seen
    assert "10.160.1.0/24" in checks["overlay-network"].wanted


@pytest.mark.parametrize(
    "fact",
    [
        "key_mode_kubelet",
        "certificate_ovn-node",
        "services",
        "answers",
        f"probe tcp:{ADDRESS}:10250",
        "networks",
        "cni",
        "endpoint",
        "proxy",
        "scheduled",
        "node_conditions",
        "node_version",
    ],
)
def test_a_fact_that_is_missing_fails_a_check(fact: str) -> None:
    """Nothing passes because nobody looked."""
    checks = judged({name: text for name, text in GOOD.items() if name != fact})
    assert [each for each in checks.values() if each.status is Grade.FAILED]
