"""Compare hosts with each other and probe the ports between them. Changes nothing."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.checks.cluster import COMPARE_RULES
from plugins.checks.expected import KUBELET_PORT
from plugins.checks.facts import HostFacts
from plugins.checks.model import judge_all, judged
from plugins.checks.reach import REACH_RULES, Ports, expected_probes, plan
from plugins.checks.ring import Cluster, Member, Ring
from plugins.context import context_of
from plugins.gathered import Gathered
from plugins.inventory import host_settings
from plugins.inventory.model import ClusterSettings, Role
from plugins.inventory.networks import GENEVE_PORT
from plugins.steps import Status, Step, StepsResult
from tasks.run_script import run_script


def check_network(task: Task, gathered: Gathered) -> StepsResult:
    """Judge this host against the others of `gathered` (results of check_host), and probe master and neighbours.

    Only hosts whose preflight went well are compared and probed. On Windows nothing listens for probes: they ask, and
    are asked for what they serve. The listener that check_host started here ends when all have probed it, or by
    itself.
    """
    ring = gathered.once("ring", lambda: Ring(_members(task, gathered)))
    me = ring.named.get(task.host.name)
    if me is None:
        message = "seen no preflight of this host; wanted one to compare with; a note only: run preflight, too"
        return StepsResult(task.host, (Step("check network", Status.OK, message=message),))
    cluster = Cluster(me, ring)
    compared = tuple(check.step() for check in judge_all(COMPARE_RULES, me.facts, cluster))
    ports = _ports(context_of(task).cluster)
    if not me.listens and not (me.windows and ports.hybrid):
        return judged(task.host, compared)
    reach = plan(cluster, ports)
    targets = [probe.target for probe in reach.probes]
    if me.windows:
        result = run_script(task, "windows/check_network.ps1.j2", name=me.name, targets=targets) if targets else None
    else:
        result = run_script(
            task,
            "linux/check_network.sh.j2",
            name=me.name,
            targets=targets,
            token=me.facts.texts["listen_token"],
            expected=expected_probes(cluster, ports),
        )
    if result is None:
        result = StepsResult(task.host)
    if result.failed:
        return result
    reached = tuple(check.step() for check in judge_all(REACH_RULES, HostFacts(result.facts), reach))
    return judged(task.host, (*result.steps, *compared, *reached), result.facts)


def _ports(settings: ClusterSettings) -> Ports:
    databases, tunnel = (f"tcp:{settings.northbound_port}", f"tcp:{settings.southbound_port}"), f"udp:{GENEVE_PORT}"
    if not settings.kubernetes:
        return Ports(databases, tunnel)
    api = (f"tcp:{settings.api_port}",)
    return Ports((*databases, *api), tunnel, (KUBELET_PORT,), api, f"udp:{settings.vxlan_port}")


def _members(task: Task, gathered: Gathered) -> tuple[Member, ...]:
    """Give the gathered hosts in the inventory's order, which is the order of the ring."""
    members = []
    for name, host in task.nornir.inventory.hosts.items():
        if name in gathered and "clock_latest" in gathered[name].facts:
            settings = host_settings(host)
            facts = HostFacts(gathered[name].facts)
            members.append(
                Member(name, settings.address, settings.role is Role.MASTER, facts, settings.role is Role.WINDOWS)
            )
    return tuple(members)
