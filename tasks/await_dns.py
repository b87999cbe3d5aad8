"""The cluster's DNS answers."""

from __future__ import annotations

from collections.abc import Mapping

from nornir.core.task import Task

from plugins.inventory.model import Role
from plugins.kubernetes import DNS, SUPERUSER_CONFIG, node_hosts
from plugins.steps import Status, Step, StepsResult
from tasks.run_script import run_script

SECONDS = 120


def await_dns(task: Task, gathered: Mapping[str, StepsResult]) -> StepsResult:
    """Await a pod of DNS, which there is once a worker takes it: one that is ready (`gathered`, of await_node)."""
    if not gathered.keys() & set(node_hosts(task, (Role.LINUX,))):
        nobody = Step("DNS available", Status.OK, message="not awaited: no worker that could take its pods is ready")
        return StepsResult(task.host, (nobody,))
    return run_script(task, "linux/await_dns.sh.j2", config=SUPERUSER_CONFIG, dns=DNS, seconds=SECONDS)
