"""A node's own temporary pod; on a Windows host its own endpoint, which is there for good."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.kubernetes import KUBELET_CONFIG, PROBE_NAMESPACE
from plugins.steps import StepsResult
from plugins.windows import SOURCE_VIP
from tasks.run_script import run_script

SECONDS = 60


def await_pod(task: Task) -> StepsResult:
    """Await that the pod runs. Facts: its address, and `traffic_mtu`, the MTU of its NIC in bytes."""
    if host_settings(task.host).role is Role.WINDOWS:
        return run_script(task, "windows/await_pod.ps1.j2", endpoint=SOURCE_VIP)
    return run_script(
        task,
        "linux/await_pod.sh.j2",
        config=KUBELET_CONFIG,
        namespace=PROBE_NAMESPACE,
        name=task.host.name,
        seconds=SECONDS,
    )
