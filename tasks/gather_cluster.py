"""What the cluster looks like from one node. Changes nothing."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.checks.bare import with_remedy
from plugins.context import context_of
from plugins.etcd import etcd_of
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.kubernetes import (
    CA,
    DNS,
    KUBELET_CONFIG,
    SUPERUSER_CONFIG,
    api_name,
    api_url,
    authority_file,
    node_services,
    placement,
    rows_of,
)
from plugins.pki.table import OVN
from plugins.steps import StepsResult
from tasks.run_script import run_script


def gather_cluster(task: Task) -> StepsResult:
    """Gather what compare_cluster judges, as facts of the result."""
    context, role = context_of(task), host_settings(task.host).role
    master = role is Role.MASTER
    result = run_script(
        task,
        "linux/gather_cluster.sh.j2",
        config=KUBELET_CONFIG,
        name=task.host.name,
        services=node_services(role),
        health=_health(task) if master else _KUBELET,
        pairs=[
            {
                "name": row.name,
                "certificate": placement(row.name).certificate,
                "key": placement(row.name).key,
                "authority": authority_file(row.authority),
            }
            for row in rows_of(context, role)
            if row.name != OVN  # which the overlay's own checks look at
        ],
        api_name=api_name(context.cluster),
        deployment=(SUPERUSER_CONFIG, *DNS) if master else None,
    )
    return with_remedy(result)


_KUBELET: list[tuple[str, str, list[str]]] = [("kubelet", "http://127.0.0.1:10248/healthz", [])]


def _health(task: Task) -> list[tuple[str, str, list[str]]]:
    """Where the parts of a control plane tell how they are: name, URL, and the words of inspect_health after it."""
    etcd, client = etcd_of(task), placement("etcd-client")
    return [
        *_KUBELET,
        ("etcd", f"{etcd.url}/health", [etcd.authority, client.certificate, client.key]),
        ("kube-apiserver", f"{api_url(task)}/readyz", [CA]),
        ("kube-controller-manager", "https://127.0.0.1:10257/healthz", [CA]),
        ("kube-scheduler", "https://127.0.0.1:10259/healthz", [CA]),
    ]
