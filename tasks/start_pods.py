"""The temporary pods from which nodes reach each other."""

from __future__ import annotations

from collections.abc import Mapping

from nornir.core.task import Task

from plugins.context import context_of
from plugins.kubernetes import PROBE_NAMESPACE, SUPERUSER_CONFIG
from plugins.steps import StepsResult
from tasks.run_script import run_script


def start_pods(task: Task, gathered: Mapping[str, StepsResult]) -> StepsResult:
    """Ask for a pod on each node that was inspected (`gathered`, results of gather_cluster by host)."""
    return run_script(
        task,
        "linux/start_pods.sh.j2",
        config=SUPERUSER_CONFIG,
        namespace=PROBE_NAMESPACE,
        nodes=tuple(gathered),
        image=context_of(task).release.image("pause"),
    )
