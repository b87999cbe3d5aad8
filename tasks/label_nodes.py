"""Nodes' roles, for whoever lists them."""

from __future__ import annotations

from collections.abc import Mapping

from nornir.core.task import Task

from plugins.inventory.model import Role
from plugins.kubernetes import ROLE_LABELS, SUPERUSER_CONFIG, node_hosts
from plugins.steps import StepsResult
from tasks.run_script import run_script

SECONDS = 120


def label_nodes(task: Task, gathered: Mapping[str, StepsResult]) -> StepsResult:
    """Label the nodes that have registered (`gathered`: by await_registration): a kubelet may not do so itself."""
    labels = {
        label: [name for name in node_hosts(task, (role,)) if name in gathered] for role, label in ROLE_LABELS.items()
    }
    windows = [name for name in node_hosts(task, (Role.WINDOWS,)) if name in gathered]
    return run_script(
        task, "linux/label_nodes.sh.j2", config=SUPERUSER_CONFIG, labels=labels, awaited=windows, seconds=SECONDS
    )
