"""Checks of a cluster that runs: one node, and on the master the parts that all of them need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json import JSONDecodeError, loads
from typing import Any, TypeVar

from plugins.checks.certificates import judge_pair
from plugins.checks.facts import HostFacts
from plugins.checks.model import Rule, Verdict, failed, note, ok
from plugins.checks.overlay import all_active
from plugins.errors import UsageError
from plugins.inventory.model import ClusterSettings, HostSettings, Role
from plugins.kubernetes import DNS, MASTER_TAINT, ROLE_LABELS, api_address, api_name, node_services, placement
from plugins.pki.issue import RENEW_DAYS
from plugins.pki.profiles import LeafProfile, Names, identity
from plugins.pki.table import OVN, leaves_for
from plugins.words import listed


@dataclass(frozen=True)
class Node:
    """What one node is judged against.

    `names` fill the table of certificates, `version` is the kubelet's in this release, `workers` is how many hosts
    take ordinary pods; `administrator` tells when the operator's own certificate ends, None where there is none.
    """

    settings: HostSettings
    cluster: ClusterSettings
    names: Names
    version: str
    workers: int
    administrator: Callable[[], datetime | None] = field(default=lambda: None, kw_only=True)


AnyNode = TypeVar("AnyNode", bound=Node)


def service_states(facts: HostFacts, node: Node) -> Verdict:
    """Every service of Kubernetes that the host's role has is active."""
    return all_active(facts, node_services(node.settings.role))


def ready(facts: HostFacts, node: Node) -> Verdict:
    """The API calls the node ready, and nothing about it is short."""
    del node
    if silent(facts):
        return failed(f"the API says: {facts.text('node_error')}")
    have = {str(each["type"]): each for each in told(facts, "conditions", list)}
    if "Ready" not in have:
        return failed("no word about it")
    if have["Ready"]["status"] != "True":
        return failed(f"{have['Ready'].get('reason')}: {have['Ready'].get('message')}")
    short = [name for name, each in have.items() if name != "Ready" and each["status"] == "True"]
    return note(listed(short), todo="make room on the host: memory, disk or processes") if short else ok("Ready")


def version(facts: HostFacts, node: Node) -> Verdict | None:
    """The kubelet is the release's."""
    if silent(facts):
        return None
    seen = facts.text("node_version")
    return (ok if seen == node.version else failed)(seen, node.version)


def address(facts: HostFacts, node: Node) -> Verdict | None:
    """The API reaches the node by the address of the inventory."""
    if silent(facts):
        return None
    have = [str(each["address"]) for each in told(facts, "addresses", list) if each["type"] == "InternalIP"]
    wanted = str(node.settings.address)
    return (ok if have == [wanted] else failed)(listed(have) or "none", wanted)


def role(facts: HostFacts, node: Node) -> Verdict | None:
    """The node has the label of its role; the master takes no ordinary pods, and a worker does."""
    if silent(facts):
        return None
    label = ROLE_LABELS[node.settings.role]
    key = label.partition("=")[0]
    kept_free = any(each.get("key") == MASTER_TAINT.partition(":")[0] for each in told(facts, "taints", list))
    master = node.settings.role is Role.MASTER
    wanted = f"label {key}, " + ("a taint that keeps ordinary pods away" if master else "no taint of a control plane")
    seen = f"label {key}" if key in told(facts, "labels", dict) else "no such label"
    seen += ", with the taint" if kept_free else ", without the taint"
    return (ok if seen.startswith("label") and kept_free is master else failed)(seen, wanted)


def name_answered(facts: HostFacts, node: Node) -> Verdict:
    """The cluster's DNS tells this host the API's service address."""
    wanted = f"{api_name(node.cluster)} is {api_address(node.cluster)}"
    if not node.workers:
        return note("no worker in the inventory takes the pods of DNS", wanted, "add a worker")
    seen = facts.text("name")
    return ok(wanted, wanted) if seen == str(api_address(node.cluster)) else failed(seen, wanted)


def deployment(facts: HostFacts, node: Node) -> Verdict:
    """As many pods of DNS are available as are wanted."""
    seen = facts.text(f"deployment_{DNS[1]}")
    have, _, wanted = seen.partition("/")
    if not wanted.isdecimal():
        return failed(seen)
    words = f"{wanted} pods available"
    if have == wanted:
        return ok(words, words)
    verdict = failed if node.workers and not have else note
    return verdict(f"{have or 0} pods available", words)


def administrator(facts: HostFacts, node: Node) -> Verdict:
    """The operator's own way in stays open; no host has that certificate."""
    del facts
    try:
        ends = node.administrator()
    except UsageError as error:
        return failed(str(error))
    if ends is None:
        return note("no kubeconfig in the state folder")
    days = (ends - datetime.now(UTC)).days
    return (ok if days >= RENEW_DAYS else failed)(f"{days} days left")


def healthy(part: str) -> Rule[Node]:
    """Make the rule that a part of the cluster says that it is well."""

    def judge(facts: HostFacts, node: Node) -> Verdict:
        del node
        seen = facts.text(f"health_{part}")
        return (ok if seen == "well" else failed)(seen, "well")

    return Rule(f"{part}-health", "well, by its own word", f"look at journalctl -u {part} on the host", judge)


def lasting(row: LeafProfile, access: str = "") -> Rule[AnyNode]:
    """Make the rule that one pair of the host's is right and lasts; `access` to its key is that of Linux by default."""

    def judge(facts: HostFacts, node: AnyNode) -> Verdict:
        who = identity(row, node.names)
        names = [*who.dns, *map(str, who.addresses)] or [who.common_name]
        kept = access or f"600 {placement(row.name).owner}"
        return judge_pair(facts, f"_{row.name}", profile=row, names=names, access=kept)

    wanted = "a certificate that chains and lasts"
    return Rule(f"{row.name}-certificate", wanted, _AGAIN.format("certificates"), judge)


def rules_for(role: Role) -> tuple[Rule[Node], ...]:
    """Give the checks of a host with this role."""
    pairs: tuple[Rule[Node], ...] = tuple(lasting(row) for row in leaves_for(role) if row.name != OVN)
    if role is not Role.MASTER:
        return (*_NODE_RULES, *pairs, _NAME)
    parts = tuple(map(healthy, ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")))
    return (*_NODE_RULES, *parts, *pairs, _ADMINISTRATOR, _DEPLOYMENT, _NAME)


def silent(facts: HostFacts) -> bool:
    """Whether the API says nothing about the node, which one check tells of."""
    return bool(facts.texts.get("node_error"))


def told(facts: HostFacts, part: str, kind: type) -> Any:
    """Read one part of what the API says of the node; ValueError where that cannot be read."""
    text = facts.may_be_empty(f"node_{part}")
    try:
        told = loads(text) if text else kind()
    except JSONDecodeError:
        raise ValueError(f"cannot read the node's {part}: {text[:100]}") from None
    if not isinstance(told, kind):
        raise ValueError(f"cannot read the node's {part}: {text[:100]}")  # noqa: TRY004  # a fact, not a caller
    if isinstance(told, list) and not all(isinstance(each, Mapping) for each in told):
        raise ValueError(f"cannot read the node's {part}: {text[:100]}")
    return told


_AGAIN = "python -m runbooks.task {} --host NAME"
_NODE_RULES: tuple[Rule[Node], ...] = (
    Rule(
        "kubernetes-services", "the node's services active", "look at journalctl -u SERVICE on the host", service_states
    ),
    healthy("kubelet"),
    Rule("node-ready", "Ready", "look at journalctl -u kubelet -u ovnkube on the host", ready),
    Rule("node-version", "the release's kubelet", _AGAIN.format("artifacts (and kubelet)"), version),
    Rule("node-address", "the inventory's address", _AGAIN.format("kubelet"), address),
    Rule(
        "node-role",
        "label and taints of the role",
        "python -m runbooks.task labels; a worker's taint goes with kubectl taint node NAME KEY-",
        role,
    ),
)
_ADMINISTRATOR = Rule(
    "administrator-certificate",
    f"a kubeconfig of the operator's, at least {RENEW_DAYS} days left",
    "python -m runbooks.task access; then write copies anew with python -m runbooks.kubeconfig",
    administrator,
)
_DEPLOYMENT = Rule(
    "dns-pods",
    "the pods of DNS available",
    "on the master: kubectl -n kube-system describe pods -l k8s-app=kube-dns",
    deployment,
)
_NAME = Rule(
    "dns-answer", "the cluster's DNS answers", "look at the pods of DNS and at journalctl -u ovnkube", name_answered
)
