"""Checks of a Windows host that is a node: what runs there, its network, and what the master's API says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from json import JSONDecodeError, loads

import yaml

from plugins.checks import kubernetes
from plugins.checks.certificates import PROTECTED
from plugins.checks.facts import HostFacts
from plugins.checks.kubernetes import Node, lasting, silent, told
from plugins.checks.model import Rule, Verdict, failed, ok
from plugins.inventory.model import Role
from plugins.kubernetes import ROLE_LABELS
from plugins.pki.table import leaves_for
from plugins.windows import (
    ANNOTATED_MAC,
    ANNOTATED_SUBNET,
    BOOT_PROGRAM,
    BOOT_WORDS,
    HEALTH,
    KUBE_PROXY,
    KUBELET,
    OVERLAY,
    kubelet_port,
    source_vip,
)
from plugins.windows_services import WindowsService
from plugins.words import listed


@dataclass(frozen=True)
class WindowsNode(Node):
    """What one Windows host is judged against; `services` are what it is to run, by name."""

    services: Mapping[str, WindowsService]


def services(facts: HostFacts, node: WindowsNode) -> Verdict:
    """Every service runs, starts with Windows or by the boot task, and has the command line that it was given."""
    have = facts.pairs("services")
    wanted = f"{', '.join(node.services)} running, started at boot, with the command lines of the release"
    bad = []
    for name, service in node.services.items():
        state, _, rest = have.get(name, "-").partition(" ")
        start, _, command = rest.partition(" ")
        if state == "-":
            bad.append(f"no service {name}")
        elif (state, start) != ("Running", _STARTS[service.start]):
            bad.append(f"{name} {state}, start {start}")
        elif command != service.command:
            bad.append(f"{name} with the command line {command}")
    return failed(listed(bad, 4), wanted) if bad else ok("all of them", wanted)


def healthy(part: str) -> Rule[WindowsNode]:
    """Make the rule that a service says that it is well."""

    def judge(facts: HostFacts, node: WindowsNode) -> Verdict:
        del node
        seen = facts.pairs("answers").get(HEALTH[part], "no answer")
        return (ok if seen == "well" else failed)(seen)

    return Rule(f"{part}-health", "well, by its own word", rf"look at the end of C:\var\log\{part}\{part}.log", judge)


def kubelet_reached(facts: HostFacts, node: WindowsNode) -> Verdict:
    """The API reaches the kubelet, for logs and for commands in pods: neither firewall nor network is in between."""
    seen = facts.text(f"probe {kubelet_port(node.settings)}")
    return (ok if seen == "open" else failed)(seen)


def network(facts: HostFacts, node: WindowsNode) -> Verdict:
    """HNS has the overlay's network, with the subnet that the node was given and the host's own address."""
    have = {name: rest for name, *rest in facts.lines("networks", 3)}
    if OVERLAY not in have:
        return failed(listed(sorted(have)), OVERLAY)
    subnet, address = have[OVERLAY]
    given = _annotations(facts).get(ANNOTATED_SUBNET, subnet)
    wanted = f"{OVERLAY} with {given}, from {node.settings.address}"
    seen = f"{OVERLAY} with {subnet}, from {address}"
    return (ok if seen == wanted else failed)(seen, wanted)


def pod_network(facts: HostFacts, _: WindowsNode) -> Verdict:
    """The container runtime plugs pods into that network; with another name every pod fails."""
    text = facts.may_be_empty("cni")
    try:
        config = loads(text or "{}")
        seen = f"{config.get('name', 'no network')} with {config.get('ipam', {}).get('subnet', 'no subnet')}"
    except (JSONDecodeError, AttributeError):
        raise ValueError(f"cannot read the configuration of pods' network: {text[:100]}") from None
    subnets = {name: subnet for name, subnet, _ in facts.lines("networks", 3)}
    wanted = f"{OVERLAY} with {subnets.get(OVERLAY, 'the subnet that HNS has')}"
    return (ok if seen == wanted else failed)(seen, wanted)


def source_address(facts: HostFacts, _: WindowsNode) -> Verdict:
    """Services answer from the source VIP: the host has it in the network, and kube-proxy is told the same one."""
    subnets = {name: subnet for name, subnet, _ in facts.lines("networks", 3)}
    if OVERLAY not in subnets:
        return failed(f"no network {OVERLAY}")
    vip = source_vip(subnets[OVERLAY])
    text = facts.may_be_empty("proxy")
    try:
        told_proxy = (yaml.safe_load(text) or {}).get("winkernel", {}).get("sourceVip", "none")
    except (yaml.YAMLError, AttributeError):
        raise ValueError(f"cannot read the configuration of kube-proxy: {text[:100]}") from None
    wanted = f"{vip} in {OVERLAY}, and {vip} in kube-proxy's configuration"
    seen = f"{facts.may_be_empty('endpoint') or 'none'}, and {told_proxy} in kube-proxy's configuration"
    return (ok if seen == wanted else failed)(seen, wanted)


def boot_task(facts: HostFacts, _: WindowsNode) -> Verdict:
    """What a boot takes away is made anew by a task of Windows' own."""
    wanted = f"at boot as SYSTEM: {BOOT_PROGRAM} {BOOT_WORDS}"
    seen = facts.text("scheduled")
    return (ok if seen == wanted else failed)(seen, wanted)


def node_overlay(facts: HostFacts, _: WindowsNode) -> Verdict | None:
    """The node tells the others its subnet and where to send: without either there is no tunnel to it."""
    if silent(facts):
        return None
    have = _annotations(facts)
    missing = [name for name in (ANNOTATED_SUBNET, ANNOTATED_MAC) if not have.get(name)]
    if missing:
        return failed(f"no {', no '.join(missing)}")
    return ok(f"{have[ANNOTATED_SUBNET]} by {have[ANNOTATED_MAC]}")


def role(facts: HostFacts, node: WindowsNode) -> Verdict | None:
    """The node has the label of its role, and the taint that keeps pods for Linux away."""
    if silent(facts):
        return None
    key = ROLE_LABELS[node.settings.role].partition("=")[0]
    taints = [f"{each.get('key')}={each.get('value')}:{each.get('effect')}" for each in told(facts, "taints", list)]
    seen = f"label {key}" if key in told(facts, "labels", dict) else "no such label"
    seen += f", {', '.join(taints) or 'no taint'}"
    good = seen.startswith("label") and "os=Windows:NoSchedule" in taints
    return (ok if good else failed)(seen, f"label {key}, os=Windows:NoSchedule")


def _annotations(facts: HostFacts) -> dict[str, str]:
    return {str(name): str(text) for name, text in told(facts, "annotations", dict).items()} if _heard(facts) else {}


def _heard(facts: HostFacts) -> bool:
    return bool(facts.texts.get("node_annotations")) and not silent(facts)


_STARTS = {"automatic": "Auto", "manual": "Manual"}
_AGAIN = "python -m runbooks.task {} --host NAME"
WINDOWS_NODE_RULES: tuple[Rule[WindowsNode], ...] = (
    Rule(
        "kubernetes-services",
        "the node's services running",
        _AGAIN.format("runtime (and kubelet, hybrid-overlay, kube-proxy)"),
        services,
    ),
    healthy(KUBELET),
    Rule(
        "kubelet-port",
        "TCP 10250 (the kubelet) open from the master",
        "python -m runbooks.task protection --host NAME; firewalls, security groups",
        kubelet_reached,
    ),
    healthy(KUBE_PROXY),
    *(lasting(row, PROTECTED) for row in leaves_for(Role.WINDOWS)),
    Rule(
        "overlay-network",
        f"the network {OVERLAY}",
        r"look at the end of C:\var\log\hybrid-overlay-node\hybrid-overlay-node.log",
        network,
    ),
    Rule("pod-network", "pods are plugged into that network", _AGAIN.format("hybrid-overlay"), pod_network),
    Rule(
        "source-vip",
        "one source VIP, on the host and in kube-proxy's configuration",
        _AGAIN.format("kube-proxy"),
        source_address,
    ),
    Rule("boot-task", "the task that makes the source VIP anew", _AGAIN.format("kube-proxy"), boot_task),
    Rule("node-ready", "Ready", r"look at the end of C:\var\log\kubelet\kubelet.log", kubernetes.ready),
    Rule(
        "node-overlay",
        "the node's subnet and gateway's MAC address among its annotations",
        r"look at journalctl -u ovnkube on the master, and C:\var\log\hybrid-overlay-node on the host",
        node_overlay,
    ),
    Rule("node-version", "the release's kubelet", _AGAIN.format("artifacts (and kubelet)"), kubernetes.version),
    Rule("node-address", "the inventory's address", _AGAIN.format("kubelet"), kubernetes.address),
    Rule("node-role", "label and taint of the role", "python -m runbooks.task labels", role),
)
