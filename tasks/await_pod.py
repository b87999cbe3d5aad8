"""A node's own temporary pod."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.kubernetes import KUBELET_CONFIG, PROBE_NAMESPACE
from plugins.steps import StepsResult
from tasks.run_script import run_script

SECONDS = 60


def await_pod(task: Task) -> StepsResult:
    """Await that the pod runs. Facts: its address, and `traffic_mtu`, the MTU of its NIC in bytes."""
    return run_script(
        task,
        "linux/await_pod.sh.j2",
        config=KUBELET_CONFIG,
        namespace=PROBE_NAMESPACE,
        name=task.host.name,
        seconds=SECONDS,
    )
