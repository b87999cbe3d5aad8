"""The cluster's DNS."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.context import context_of
from plugins.kubernetes import SUPERUSER_CONFIG
from plugins.steps import StepsResult
from tasks.run_script import run_script


def deploy_dns(task: Task) -> StepsResult:
    """Tell the API about CoreDNS; its pods run once there is a node that takes them."""
    return run_script(
        task, "linux/deploy_dns.sh.j2", config=SUPERUSER_CONFIG, image=context_of(task).release.image("coredns")
    )
