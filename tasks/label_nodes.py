"""Nodes' roles, for whoever lists them."""

from __future__ import annotations

from collections.abc import Mapping

from nornir.core.task import Task

from plugins.inventory.model import Role
from plugins.kubernetes import MASTER_TAINT, ROLE_LABELS, SUPERUSER_CONFIG, node_hosts
from plugins.steps import StepsResult
from tasks.run_script import run_script

SECONDS = 120


def label_nodes(task: Task, gathered: Mapping[str, StepsResult]) -> StepsResult:
    """Label the nodes that have registered (`gathered`: by await_registration): a kubelet may not do so itself.

    A kubelet gives its node a taint once, as it registers; whoever takes the master's away is to have it back here.
    """
    labels = {
        label: [name for name in node_hosts(task, (role,)) if name in gathered] for role, label in ROLE_LABELS.items()
    }
    windows = [name for name in node_hosts(task, (Role.WINDOWS,)) if name in gathered]
    return run_script(
        task,
        "linux/label_nodes.sh.j2",
        config=SUPERUSER_CONFIG,
        labels=labels,
        taint=MASTER_TAINT,
        tainted=[name for name in node_hosts(task, (Role.MASTER,)) if name in gathered],
        awaited=windows,
        seconds=SECONDS,
    )
