"""The store of Kubernetes, on the master."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.etcd import etcd_of
from plugins.steps import StepsResult
from tasks.run_script import run_script


def start_etcd(task: Task) -> StepsResult:
    """Start etcd with TLS for its clients and its data on the host's disk. Who needs it waits for it."""
    return run_script(task, "linux/start_etcd.sh.j2", etcd=etcd_of(task))
