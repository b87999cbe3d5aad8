"""Packets between pods, and from pods to services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address

from nornir.core.task import Task

from plugins.checks.model import Check, Grade, judged
from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.inventory.model import ClusterSettings, HostSettings, Role
from plugins.kubernetes import CA, api_address, api_name, master_name
from plugins.steps import Status, Step, StepsResult
from plugins.traffic import COUNT, GENEVE, Peer, judge, peers, plan, targets
from tasks.run_script import run_script


def probe_pods(task: Task, gathered: Mapping[str, StepsResult]) -> StepsResult:
    """Ping the pods of other nodes from this node's, and reach the API by its service and a name by the DNS.

    A Windows host pings, and is pinged, by its own endpoint, and reaches no services here: what programs those there is
    in no script of ours. `gathered` are the results of await_pod by host. One check per node that is pinged, and one
    per service.
    """
    cluster, hosts = context_of(task).cluster, task.nornir.inventory.hosts
    if task.is_dry_run():
        return StepsResult(task.host)
    pods = {name: IPv4Address(result.facts["pod_address"]) for name, result in gathered.items()}
    sizes = {name: int(result.facts["traffic_mtu"]) for name, result in gathered.items()}
    ends = {name: _end(host_settings(hosts[name]), address, cluster) for name, address in pods.items()}
    me = ends[task.host.name]
    chosen = {ends[name]: min(sizes[name], sizes[me.name]) for name in peers(tuple(pods), me.name, master_name(task))}
    first = Step("pod traffic peers", Status.OK, message=plan(len(pods), len(chosen)))
    windows = host_settings(task.host).role is Role.WINDOWS
    if windows and not chosen:
        return StepsResult(task.host, (first,))
    result = run_script(
        task,
        "windows/probe_pods.ps1.j2" if windows else "linux/probe_pods.sh.j2",
        address=me.address,
        count=COUNT,
        targets=targets(chosen),
        url=f"https://{api_address(cluster)}/readyz",
        authority=CA,
        api_name=api_name(cluster),
    )
    if result.failed:
        return result
    checks = [judge(me, peer, size, result.facts, "pod traffic") for peer, size in chosen.items()]
    checks += () if windows else _services(cluster, result.facts)
    return judged(task.host, (first, *result.steps, *(check.step() for check in checks)), result.facts)


def _end(settings: HostSettings, address: IPv4Address, cluster: ClusterSettings) -> Peer:
    tunnels = f"UDP {cluster.vxlan_port}" if settings.role is Role.WINDOWS else GENEVE
    return Peer(settings.name, address, settings.address, tunnels)


def _services(cluster: ClusterSettings, facts: Mapping[str, str]) -> Iterator[Check]:
    api, name = facts.get("api", "not asked"), facts.get("name", "not asked")
    wanted = f"{api_name(cluster)} is {api_address(cluster)}"
    yield _check("service-api", api == "well", api, f"well, through the service at {api_address(cluster)}", "ovnkube")
    right = name == str(api_address(cluster))
    yield _check("service-dns", right, wanted if right else name, wanted, "ovnkube, and at the pods of DNS")


def _check(name: str, good: bool, seen: str, wanted: str, where: str) -> Check:
    todo = "" if good else f"look at journalctl -u {where}"
    return Check(Grade.OK if good else Grade.FAILED, seen, wanted, todo, name)
