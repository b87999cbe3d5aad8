"""The end of a host's port of the temporary switch."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.steps import StepsResult
from tasks.run_script import run_script


def close_traffic_port(task: Task) -> StepsResult:
    """Take away the port and its network namespace, if they are there."""
    return run_script(task, "linux/close_traffic_port.sh.j2")
