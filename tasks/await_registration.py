"""The API knows a host's node."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.kubernetes import CA, KUBELET_CONFIG
from plugins.steps import StepsResult
from tasks.run_script import run_script

SECONDS = 120


def await_registration(task: Task) -> StepsResult:
    """Await that the host's kubelet is well and that the API knows its node.

    A Windows host has nothing to ask the API with: its node is awaited by label_nodes, on the master.
    """
    if host_settings(task.host).role is Role.WINDOWS:
        return StepsResult(task.host)
    return run_script(
        task,
        "linux/await_registration.sh.j2",
        name=task.host.name,
        config=KUBELET_CONFIG,
        authority=CA,
        seconds=SECONDS,
    )
