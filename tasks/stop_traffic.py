"""The end of the temporary switch."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.steps import StepsResult
from tasks.run_script import run_script


def stop_traffic(task: Task) -> StepsResult:
    """Take away the switch and all its ports, if they are there."""
    return run_script(task, "linux/stop_traffic.sh.j2")
