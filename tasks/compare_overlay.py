"""Judge one host's part of the overlay, against what the master and the other hosts say. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping

from nornir.core.task import Task

from plugins.checks.cluster import COMPARE_RULES, Cluster, Member, Ring
from plugins.checks.facts import HostFacts
from plugins.checks.model import REMEDY, judge_all
from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.overlay import chassis_id, databases
from plugins.steps import StepsResult

_CLOCK = tuple(rule for rule in COMPARE_RULES if rule.id == "clock-skew")


def compare_overlay(task: Task, gathered: Mapping[str, StepsResult]) -> StepsResult:
    """Judge this host by every check of the overlay; `gathered` are the results of gather_overlay by host."""
    from plugins.checks.overlay import OVERLAY_RULES, Overlay  # noqa: PLC0415  # X.509 is slow to import

    context, hosts = context_of(task), task.nornir.inventory.hosts
    ring = tuple(
        Member(
            name, host_settings(host).address, host_settings(host).role is Role.MASTER, HostFacts(gathered[name].facts)
        )
        for name, host in hosts.items()
        if name in gathered
    )
    linux = {name: host_settings(host) for name, host in hosts.items() if host_settings(host).role is not Role.WINDOWS}
    me = next(member for member in ring if member.name == task.host.name)
    overlay = Overlay(
        settings=host_settings(task.host),
        cluster=context.cluster,
        databases=databases(task),
        chassis={name: chassis_id(context, name) for name in linux},
        addresses={name: settings.address for name, settings in linux.items()},
        master=next((member.facts for member in ring if member.master), None),
    )
    judged = (*judge_all(OVERLAY_RULES, me.facts, overlay), *judge_all(_CLOCK, me.facts, Cluster(me, Ring(ring))))
    result = StepsResult(task.host, tuple(check.step() for check in judged))
    result.todo = REMEDY if result.failed else ""
    return result
