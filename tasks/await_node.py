"""A node is ready for pods."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.kubernetes import KUBELET_CONFIG, has_windows
from plugins.steps import StepsResult
from tasks.run_script import run_script

SECONDS = 180
PATIENCE, TUNNEL_SECONDS = 3, 60


def await_node(task: Task) -> StepsResult:
    """Await that the API calls the host's node ready, which it is once ovnkube has its subnet.

    With Windows hosts, its end of the tunnels to them has to be there, too.
    """
    return run_script(
        task,
        "linux/await_node.sh.j2",
        config=KUBELET_CONFIG,
        name=task.host.name,
        seconds=SECONDS,
        hybrid=has_windows(task),
        patience=PATIENCE,
        tunnel_seconds=TUNNEL_SECONDS,
    )
