"""Open vSwitch and OVN on a host, and what Kubernetes runs on: their packages, and their service."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.context import context_of
from plugins.etcd import etcd_of
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.steps import StepsResult
from tasks.run_script import run_script


def install_ovn(task: Task) -> StepsResult:
    """Install the release's packages for the host's role."""
    context, role = context_of(task), host_settings(task.host).role
    kubernetes = context.cluster.kubernetes
    return run_script(
        task,
        "linux/install_ovn.sh.j2",
        packages=context.release.packages_for(role, kubernetes=kubernetes),
        etcd=etcd_of(task) if kubernetes and role is Role.MASTER else None,
    )
