"""Judge one node's part of the cluster, by what was found there. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from nornir.core.task import Task

from plugins.checks.facts import HostFacts
from plugins.checks.model import judge_all, judged
from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.kubernetes import names_of, node_hosts
from plugins.state_files import KUBECONFIG
from plugins.steps import StepsResult


def compare_cluster(task: Task, gathered: Mapping[str, StepsResult]) -> StepsResult:
    """Judge this host by every check of a node; `gathered` are the results of gather_cluster by host."""
    from plugins.checks.kubernetes import Node, rules_for  # noqa: PLC0415  # X.509 is slow to import
    from plugins.kubeconfig import administrator_ends  # noqa: PLC0415

    context, settings = context_of(task), host_settings(task.host)
    node = Node(
        settings=settings,
        cluster=context.cluster,
        names=names_of(task),
        version=context.release.version("kubelet"),
        workers=len(node_hosts(task, (Role.LINUX,))),
        administrator=partial(administrator_ends, context.state_folder / KUBECONFIG),
    )
    checks = judge_all(rules_for(settings.role), HostFacts(gathered[task.host.name].facts), node)
    return judged(task.host, (check.step() for check in checks))
