"""The end of the temporary pods."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.kubernetes import PROBE_NAMESPACE, SUPERUSER_CONFIG
from plugins.steps import StepsResult
from tasks.run_script import run_script


def stop_pods(task: Task) -> StepsResult:
    """Take away the pods and their namespace, if they are there."""
    return run_script(task, "linux/stop_pods.sh.j2", config=SUPERUSER_CONFIG, namespace=PROBE_NAMESPACE)
