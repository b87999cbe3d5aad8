"""The temporary switch over which hosts send each other packets."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.steps import StepsResult
from plugins.traffic import nodes_of
from tasks.run_script import run_script


def start_traffic(task: Task) -> StepsResult:
    """Put up a logical switch with a port for each host, in place of one that an earlier probe has left."""
    return run_script(task, "linux/start_traffic.sh.j2", nodes=tuple(nodes_of(task).values()))
