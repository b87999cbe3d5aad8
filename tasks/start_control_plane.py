"""The control plane on the master: API server, controller manager, scheduler, as services of systemd."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.etcd import etcd_of
from plugins.inventory import host_settings
from plugins.kubernetes import (
    CA,
    CONTROL_PLANE,
    ENCRYPTION_CONFIG,
    SUPERUSER_CONFIG,
    TLS,
    api_url,
    authority_file,
    placement,
    public_key_file,
)
from plugins.pki.table import leaves_for
from plugins.steps import StepsResult
from tasks.run_script import run_script

SECONDS = 120
CONFIGS = {
    "controller_manager": "/etc/kubernetes/controller-manager.kubeconfig",
    "scheduler": "/etc/kubernetes/scheduler.kubeconfig",
}


def start_control_plane(task: Task) -> StepsResult:
    """Start what is not running as it should, and await that each of them says that it is well."""
    users = {"controller_manager": "controller-manager", "scheduler": "scheduler"}
    configs = [(CONFIGS[name], user, placement(user)) for name, user in users.items()]
    return run_script(
        task,
        "linux/start_control_plane.sh.j2",
        services=CONTROL_PLANE,
        address=host_settings(task.host).address,
        api_url=api_url(task),
        authority=CA,
        etcd=etcd_of(task),
        etcd_client=placement("etcd-client"),
        tls=TLS,
        encryption_config=ENCRYPTION_CONFIG,
        config=CONFIGS,
        configs=[*configs, (SUPERUSER_CONFIG, "superuser", placement("superuser"))],
        watched={name: _watched(name, task) for name in CONTROL_PLANE},
        seconds=SECONDS,
    )


def _watched(service: str, task: Task) -> tuple[str, ...]:
    """Name the files that a service reads at its start only."""
    unit, program = f"/etc/systemd/system/{service}.service", f"/usr/local/bin/{service}"
    if service != "kube-apiserver":
        name = service.removeprefix("kube-")
        pair = placement(name)
        own = (unit, program, CONFIGS[name.replace("-", "_")], pair.certificate, pair.key, CA)
        return (*own, placement("service-account").key) if name == "controller-manager" else own
    pairs = [placement(row.name) for row in leaves_for(host_settings(task.host).role) if row.name in _SERVER_PAIRS]
    return (
        unit,
        program,
        "/etc/kubernetes/authentication.yaml",
        "/etc/kubernetes/audit-policy.yaml",
        ENCRYPTION_CONFIG,
        placement("service-account").key,
        public_key_file("service-account"),
        *(authority_file(name) for name in ("kubernetes", "etcd", "front-proxy")),
        *(path for pair in pairs for path in (pair.certificate, pair.key)),
    )


_SERVER_PAIRS = frozenset({"etcd-client", "apiserver", "front-proxy-client", "apiserver-kubelet-client"})
