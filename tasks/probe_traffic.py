"""Packets over the overlay, from one host to the others."""

from __future__ import annotations

from collections.abc import Mapping

from nornir.core.task import Task

from plugins.checks.model import judged
from plugins.kubernetes import master_name
from plugins.steps import Status, Step, StepsResult
from plugins.traffic import COUNT, SMALL, judge, nodes_of, peers, plan, targets
from tasks.run_script import run_script


def probe_traffic(task: Task, gathered: Mapping[str, StepsResult]) -> StepsResult:
    """Ping the ports of other hosts with small packets and with the largest that both ends have room for.

    `gathered` are the results of open_traffic_port by host: whoever has no port is not pinged. One check per host that
    is; more than 50 hosts do not ping all others, and a step says so.
    """
    nodes = nodes_of(task)
    names = [name for name in nodes if name in gathered]
    me = nodes[task.host.name]
    sizes = {name: int(gathered[name].facts.get("traffic_mtu", SMALL)) for name in names}
    chosen = {nodes[name]: min(sizes[name], sizes[me.name]) for name in peers(names, me.name, master_name(task))}
    first = Step("traffic peers", Status.OK, message=plan(len(names), len(chosen)))
    if not chosen:
        return StepsResult(task.host, (first,))
    result = run_script(task, "linux/probe_traffic.sh.j2", count=COUNT, targets=targets(chosen))
    if result.failed or task.is_dry_run():
        return result
    checks = (judge(me, peer, size, result.facts).step() for peer, size in chosen.items())
    return judged(task.host, (first, *result.steps, *checks), result.facts)
