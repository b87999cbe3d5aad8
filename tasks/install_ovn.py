"""Open vSwitch and OVN on a host: their packages, and their service."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.steps import StepsResult
from tasks.run_script import run_script


def install_ovn(task: Task) -> StepsResult:
    """Install the release's packages for the host's role."""
    packages = context_of(task).release.packages[host_settings(task.host).role]
    return run_script(task, "linux/install_ovn.sh.j2", packages=packages)
