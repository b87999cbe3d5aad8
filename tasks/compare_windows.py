"""Judge one Windows host's part of the cluster, by what was found there and on the master. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping

from nornir.core.task import Task

from plugins.checks.facts import HostFacts
from plugins.checks.model import judge_all, judged
from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.kubernetes import master_name, names_of, node_hosts
from plugins.steps import StepsResult
from plugins.windows_services import windows_services


def compare_windows(task: Task, gathered: Mapping[str, StepsResult]) -> StepsResult:
    """Judge this host by every check of a Windows node; `gathered` are the results of gather_windows by host."""
    from plugins.checks.windows_node import WINDOWS_NODE_RULES, WindowsNode  # noqa: PLC0415  # X.509 is slow to import

    context, name = context_of(task), task.host.name
    node = WindowsNode(
        settings=host_settings(task.host),
        cluster=context.cluster,
        names=names_of(task),
        version=context.release.version("kubelet.exe"),
        workers=len(node_hosts(task, (Role.LINUX,))),
        services=windows_services(task),
    )
    said = gathered[master_name(task)].facts
    mine = {fact.removeprefix(f"{name}/"): text for fact, text in said.items() if fact.startswith(f"{name}/")}
    mine |= {fact: text for fact, text in said.items() if fact.startswith("probe ")}
    checks = judge_all(WINDOWS_NODE_RULES, HostFacts(gathered[name].facts | mine), node)
    return judged(task.host, (check.step() for check in checks))
