"""Checks of a host that is to become a node of Kubernetes. Without Kubernetes they do not apply."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from plugins.checks.expected import Expected
from plugins.checks.facts import HostFacts
from plugins.checks.model import Rule, Verdict, failed, note, ok
from plugins.inventory.model import Role
from plugins.words import listed

# Packages that bring what this cluster brings, too, with what to say about each.
RIVALS = {
    "containerd.io": "it takes the place of containerd",
    "cri-o": "the kubelet uses containerd",
    "kubelet": "the release brings its own",
    "kubeadm": "it makes clusters of its own",
}


def swap(facts: HostFacts, expected: Expected) -> Verdict:
    """The kubelet does not start where memory is swapped, unless it is told otherwise."""
    spaces = facts.may_be_empty("swap").split()
    if not spaces:
        return ok("none")
    allowed = expected.settings.kubelet.get("failSwapOn") is False
    return (ok if allowed else failed)(listed(spaces), "any, by kubelet.failSwapOn" if allowed else "")


def cgroup_version(facts: HostFacts, expected: Expected) -> Verdict:
    """The kubelet does not start with the control groups of old, unless it is told otherwise."""
    number = facts.number("cgroup_version")
    if number >= 2:  # the version that the check is about
        return ok(f"version {number}")
    allowed = expected.settings.kubelet.get("failCgroupV1") is False
    return note("version 1, which the inventory allows") if allowed else failed("version 1")


def rivals(facts: HostFacts, _: Expected) -> Verdict:
    """No other package takes the place of what the cluster brings."""
    found = [name for name, _ in facts.lines("installed_packages", 2)]
    return failed(listed([f"{name} ({RIVALS.get(name, 'not asked for')})" for name in found])) if found else ok("none")


def name_resolution(facts: HostFacts, expected: Expected) -> Verdict:
    """Pods ask the host's name servers; one on the loopback is the pod's own there, and DNS would ask itself.

    CoreDNS, whose pods workers run, ends at once where it finds none ("no nameservers found", CoreDNS 1.14.2).
    """
    servers = facts.may_be_empty("nameservers").split()
    try:
        loopback = [server for server in servers if ip_address(server.partition("%")[0]).is_loopback]
    except ValueError:
        raise ValueError(f"{listed(servers)} as nameservers, which cannot be read") from None
    if loopback:
        return failed(f"{listed(loopback)}, on the host's loopback")
    if servers:
        return ok(listed(servers))
    if expected.settings.role is Role.MASTER:
        return note("none: what runs here finds the cluster's names only")
    todo = "write the network's name servers into /etc/resolv.conf; where there are none, an address that nobody has"
    return failed("none, and CoreDNS does not start without", todo=todo)


def existing_cluster(facts: HostFacts, expected: Expected) -> Verdict:
    """Nothing on the host belongs to another cluster; this one's own traces are those of an earlier run."""
    own = {f"https://{expected.master}:{expected.cluster.api_port}"}
    mine = f"/var/lib/etcd/{expected.settings.name}/member"
    strange, known = [], []
    for path, what in facts.lines("cluster_traces", 2):
        if what == "etcd" and path == mine and expected.settings.role is Role.MASTER:
            known.append(path)
        elif what in own:
            known.append(what)
        # What Debian's package makes by itself as it is installed; nobody has been told of it.
        elif path != "/var/lib/etcd/default/member":
            strange.append(f"{what} ({path})" if what.startswith("http") else path)
    if strange:
        return failed(listed(strange, 4))
    return ok(f"this cluster's own: {listed(known, 4)}" if known else "none")


def _with_kubernetes(
    judge: Callable[[HostFacts, Expected], Verdict],
) -> Callable[[HostFacts, Expected], Verdict | None]:
    return lambda facts, expected: judge(facts, expected) if expected.cluster.kubernetes else None


RULES: tuple[Rule[Expected], ...] = tuple(
    Rule(name, wanted, todo, _with_kubernetes(judge))
    for name, wanted, todo, judge in (
        (
            "swap",
            "no swap",
            "swapoff -a, and take swap out of /etc/fstab; or write kubelet: {failSwapOn: false} in the inventory",
            swap,
        ),
        (
            "cgroups",
            "control groups of version 2",
            "boot the host with systemd.unified_cgroup_hierarchy=1; or write kubelet: {failCgroupV1: false}",
            cgroup_version,
        ),
        (
            "container-runtime",
            f"none of {', '.join(RIVALS)}",
            "remove these packages: apt-get purge NAME",
            rivals,
        ),
        (
            "name-servers",
            "name servers that pods can ask, too",
            "write the network's name servers into /etc/resolv.conf, or use systemd-resolved",
            name_resolution,
        ),
        (
            "existing-cluster",
            "no trace of another cluster",
            "take the host out of that cluster first (kubeadm reset, or its own tool), and delete what is left",
            existing_cluster,
        ),
    )
)
