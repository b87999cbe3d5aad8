"""Judge one host's part of the overlay, against what the master and the other hosts say. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from nornir.core.task import Task

from plugins.checks.cluster import COMPARE_RULES
from plugins.checks.facts import HostFacts
from plugins.checks.model import judge_all, judged
from plugins.checks.ring import Cluster, Member, Ring
from plugins.context import context_of
from plugins.gathered import Gathered
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.overlay import chassis_id, databases
from plugins.steps import StepsResult

_CLOCK = tuple(rule for rule in COMPARE_RULES if rule.id == "clock-skew")


@dataclass(frozen=True)
class _Everyone:
    """What every host is judged against."""

    ring: Ring
    chassis: dict[str, str]
    addresses: dict[str, IPv4Address]
    databases: tuple[str, str]


def compare_overlay(task: Task, gathered: Gathered) -> StepsResult:
    """Judge this host by every check of the overlay; `gathered` are the results of gather_overlay by host."""
    from plugins.checks.overlay import OVERLAY_RULES, Overlay  # noqa: PLC0415  # X.509 is slow to import

    all_of_them = gathered.once("everyone", lambda: _everyone(task, gathered))
    ring = all_of_them.ring
    me = ring.named[task.host.name]
    overlay = Overlay(
        settings=host_settings(task.host),
        cluster=context_of(task).cluster,
        databases=all_of_them.databases,
        chassis=all_of_them.chassis,
        addresses=all_of_them.addresses,
        master=ring.masters[0].facts if ring.masters else None,
    )
    checks = (*judge_all(OVERLAY_RULES, me.facts, overlay), *judge_all(_CLOCK, me.facts, Cluster(me, ring)))
    return judged(task.host, (check.step() for check in checks))


def _everyone(task: Task, gathered: Gathered) -> _Everyone:
    settings = {name: host_settings(host) for name, host in task.nornir.inventory.hosts.items()}
    linux = {name: each for name, each in settings.items() if each.role is not Role.WINDOWS}
    context = context_of(task)
    return _Everyone(
        ring=Ring(
            tuple(
                Member(name, each.address, each.role is Role.MASTER, HostFacts(gathered[name].facts))
                for name, each in settings.items()
                if name in gathered
            )
        ),
        chassis={name: chassis_id(context, name) for name in linux},
        addresses={name: each.address for name, each in linux.items()},
        databases=databases(task),
    )
