"""What is said about one node of a cluster; the facts are in the forms that real hosts of a lab gave them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Address, IPv4Network

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from plugins.checks.facts import HostFacts
from plugins.checks.kubernetes import Node, rules_for
from plugins.checks.model import Check, Grade, judge_all
from plugins.errors import UsageError
from plugins.inventory.model import ClusterSettings, HostSettings, Role
from plugins.kubernetes import node_services, placement
from plugins.pki.authority import Authority, create_authority
from plugins.pki.issue import issue_leaf
from plugins.pki.keys import new_key
from plugins.pki.profiles import LeafProfile, Names, Usage
from plugins.pki.table import AUTHORITIES, OVN, leaves_for

NOW = datetime.now(UTC)
ADDRESSES = {"master": IPv4Address("10.78.0.2"), "linux-1": IPv4Address("10.78.0.3")}
CLUSTER = ClusterSettings(
    name="lab",
    pod_network=IPv4Network("10.244.0.0/16"),
    service_network=IPv4Network("10.100.0.0/16"),
    dns_address=IPv4Address("10.100.0.10"),
)
CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


@cache
def authority(name: str) -> Authority:
    profile = next(row for row in AUTHORITIES if row.name == name)
    return create_authority(profile, "lab", NOW - timedelta(days=500))


def names(host: str) -> Names:
    return Names("lab", host, "cluster.local", (ADDRESSES[host],), (IPv4Address("10.100.0.1"),))


@cache
def leaf(row: LeafProfile, host: str, *, days: int = 365) -> str:
    issued = NOW - timedelta(days=365 - days)
    made = issue_leaf(authority(row.authority), row, names(host), new_key().public_key(), issued)
    return made.public_bytes(Encoding.PEM).decode()


def role_of(host: str) -> Role:
    return Role.MASTER if host == "master" else Role.LINUX


def rows(host: str) -> list[LeafProfile]:
    return [row for row in leaves_for(role_of(host)) if row.name != OVN]


def facts(host: str, **changes: str) -> dict[str, str]:
    """The facts of a healthy node, some of them changed."""
    master = host == "master"
    label = "node-role.kubernetes.io/control-plane" if master else "node-role.kubernetes.io/worker"
    healthy = {
        **{f"service_{name}": "active" for name in node_services(role_of(host))},
        **{f"health_{part}": "well" for part in ("kubelet", *(PARTS if master else ()))},
        "node_labels": json.dumps({"kubernetes.io/hostname": host, label: ""}),
        "node_taints": json.dumps([CONTROL_PLANE]) if master else "",
        "node_addresses": json.dumps([{"address": str(ADDRESSES[host]), "type": "InternalIP"}]),
        "node_conditions": conditions(),
        "node_version": "v1.36.2",
        "name": "10.100.0.1",
        **({"deployment_coredns": "2/2"} if master else {}),
    }
    for row in rows(host):
        signer = authority(row.authority).certificate.public_bytes(Encoding.PEM).decode()
        healthy[f"certificate_{row.name}"], healthy[f"authority_{row.name}"] = leaf(row, host), signer
        healthy[f"key_mode_{row.name}"] = f"600 {placement(row.name).owner}"
    return healthy | changes


def conditions(ready: str = "True", reason: str = "KubeletReady", **more: str) -> str:
    told = [{"type": "Ready", "status": ready, "reason": reason, "message": "container runtime is down"}]
    return json.dumps([*({"type": name, "status": status} for name, status in more.items()), *told])


def administrator_of(ends: datetime | None) -> Callable[[], datetime | None]:
    return lambda: ends


LASTING = administrator_of(NOW + timedelta(days=90))


def judged(
    host: str,
    texts: dict[str, str],
    *,
    workers: int = 2,
    administrator: Callable[[], datetime | None] = LASTING,
) -> dict[str, Check]:
    keys = {"name": host, "role": role_of(host).value, "address": str(ADDRESSES[host]), "transport": "ssh"}
    node = Node(
        HostSettings.model_validate(keys), CLUSTER, names(host), "v1.36.2", workers, administrator=administrator
    )
    return {check.id: check for check in judge_all(rules_for(role_of(host)), HostFacts(texts), node)}


@pytest.mark.parametrize("host", ADDRESSES)
def test_a_healthy_node_passes_every_check(host: str) -> None:
    """Every check is ok; the master has more of them: its parts, its certificates, the pods of DNS."""
    checks = judged(host, facts(host))
    assert {name: each.seen for name, each in checks.items() if each.status is not Grade.OK} == {}
    assert {f"{row.name}-certificate" for row in rows(host)} <= set(checks)
    assert ("dns-pods" in checks) is (host == "master")


BAD = [
    ("linux-1", "kubernetes-services", {"service_ovnkube": "failed"}, "ovnkube failed"),
    ("linux-1", "kubelet-health", {"health_kubelet": "curl: (7) refused"}, "curl: (7) refused"),
    (
        "linux-1",
        "node-ready",
        {"node_conditions": conditions("False", "KubeletNotReady")},
        "KubeletNotReady: container",
    ),
    ("linux-1", "node-ready", {"node_conditions": "[]"}, "no word about it"),
    ("linux-1", "node-ready", {"node_error": 'nodes "linux-1" not found'}, 'the API says: nodes "linux-1" not found'),
    ("linux-1", "node-version", {"node_version": "v1.35.0"}, "v1.35.0"),
    ("linux-1", "node-address", {"node_addresses": '[{"type": "InternalIP", "address": "10.0.2.15"}]'}, "10.0.2.15"),
    ("linux-1", "node-role", {"node_labels": "{}"}, "no such label, without the taint"),
    ("linux-1", "node-role", {"node_taints": json.dumps([CONTROL_PLANE])}, "with the taint"),
    ("master", "node-role", {"node_taints": ""}, "without the taint"),
    ("master", "etcd-health", {"health_etcd": "curl: (58) no key"}, "curl: (58) no key"),
    ("master", "dns-pods", {"deployment_coredns": "/2"}, "0 pods available"),
    ("master", "dns-pods", {"deployment_coredns": "deployments.apps not found"}, "not found"),
    ("linux-1", "dns-answer", {"name": "no answer from 10.100.0.10"}, "no answer from 10.100.0.10"),
    ("linux-1", "dns-answer", {"name": "10.9.9.9"}, "10.9.9.9"),
    (
        "linux-1",
        "kubelet-certificate",
        {"key_mode_kubelet": "644 root:root"},
        "a key with mode and owner 644 root:root",
    ),
    ("master", "etcd-certificate", {"key_mode_etcd": "600 root:root"}, "600 root:root"),
    ("linux-1", "kubelet-certificate", {"certificate_kubelet": "-----BEGIN"}, "is missing or holds no certificate"),
]


@pytest.mark.parametrize(
    ("host", "check", "changes", "seen"), BAD, ids=[f"{case[1]}-{n}" for n, case in enumerate(BAD)]
)
def test_what_is_wrong_fails_its_check_and_no_other(host: str, check: str, changes: dict[str, str], seen: str) -> None:
    """The check says what was seen and what to do; others that do not read the same fact stay as they are."""
    checks = judged(host, facts(host, **changes))
    assert checks[check].status is Grade.FAILED
    assert seen in checks[check].seen
    assert checks[check].todo
    assert [name for name, each in checks.items() if each.status is Grade.FAILED] == [check]


def test_certificates_that_fit_another_host_or_another_authority() -> None:
    """A node's certificate names that node, and the authority beside it has signed it."""
    client = next(row for row in rows("linux-1") if row.name == "kubelet")
    stranger = judged("linux-1", facts("linux-1", certificate_kubelet=leaf(client, "master")))
    assert stranger["kubelet-certificate"].seen == "for system:node:master"
    other = authority("etcd").certificate.public_bytes(Encoding.PEM).decode()
    unsigned = judged("linux-1", facts("linux-1", authority_kubelet=other))
    assert "signed by another authority" in unsigned["kubelet-certificate"].seen


def test_a_certificate_for_another_use_fails() -> None:
    """A server refuses a client whose certificate is a server's, and the other way round."""
    row = next(row for row in rows("linux-1") if row.name == "kubelet")
    other = leaf(replace(row, usages=frozenset({Usage.SERVER})), "linux-1")
    found = judged("linux-1", facts("linux-1", certificate_kubelet=other))["kubelet-certificate"]
    assert (found.status, found.seen) == (Grade.FAILED, "its usage differs")
    assert found.wanted.endswith("for clientAuth")


def test_a_certificate_that_ends_soon() -> None:
    """It fails while there is still time to issue another."""
    row = next(row for row in rows("master") if row.name == "apiserver")
    found = judged("master", facts("master", certificate_apiserver=leaf(row, "master", days=20)))
    assert (found["apiserver-certificate"].status, found["apiserver-certificate"].seen) == (
        Grade.FAILED,
        "19 days left",
    )


def test_the_operators_own_certificate_ends_soon() -> None:
    """Nobody else looks at it: it is on no host, and its owner would be locked out one day."""
    soon = judged("master", facts("master"), administrator=administrator_of(NOW + timedelta(days=20)))[
        "administrator-certificate"
    ]
    assert (soon.status, soon.seen) == (Grade.FAILED, "19 days left")
    assert soon.todo.startswith("python -m runbooks.task access; ")
    none = judged("master", facts("master"), administrator=administrator_of(None))["administrator-certificate"]
    assert none.status is Grade.NOTE
    assert "administrator-certificate" not in judged("linux-1", facts("linux-1"))


def test_a_kubeconfig_that_cannot_be_read_fails_its_own_check_alone() -> None:
    """It lies here and not on the host, whose other checks are made all the same."""

    def unreadable() -> datetime:
        raise UsageError("state/kubeconfig: other users may use this private key")

    checks = judged("master", facts("master"), administrator=unreadable)
    assert [name for name, each in checks.items() if each.status is Grade.FAILED] == ["administrator-certificate"]
    assert "other users" in checks["administrator-certificate"].seen


def test_what_works_but_is_worth_knowing_is_a_note() -> None:
    """A node that runs short, a DNS with one pod of two, a cluster that has no worker yet."""
    short = judged("linux-1", facts("linux-1", node_conditions=conditions(DiskPressure="True")))["node-ready"]
    assert (short.status, short.seen) == (Grade.NOTE, "DiskPressure")
    assert judged("master", facts("master", deployment_coredns="1/2"))["dns-pods"].status is Grade.NOTE
    alone = judged("master", facts("master", deployment_coredns="/2", name="no answer"), workers=0)
    assert {alone["dns-pods"].status, alone["dns-answer"].status} == {Grade.NOTE}


@pytest.mark.parametrize("garbage", ["", "{", "[1]", '"text"', "null", "\x1b[31mred"])
@pytest.mark.parametrize("fact", ["node_conditions", "node_labels", "node_taints", "node_addresses"])
def test_garbled_words_of_the_api_never_pass_for_more_than_they_are(fact: str, garbage: str) -> None:
    """Nothing crashes; what is read wrongly fails, and no taints at all is what a worker has."""
    checks = judged("linux-1", facts("linux-1", **{fact: garbage}))
    failed = [name for name, each in checks.items() if each.status is Grade.FAILED]
    assert failed or (fact, garbage) == ("node_taints", "")
