"""A host becomes a node: its kubelet, which registers it."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.kubernetes import CA, KUBELET_CONFIG, MASTER_TAINT, TLS, api_url, placement
from plugins.steps import StepsResult
from plugins.windows import CA as WINDOWS_CA
from plugins.windows import FOLDER, KUBELET, PKI, RESTARTS, pair
from plugins.windows_services import windows_services
from tasks.run_script import run_script

RESOLV_CONF = "/etc/kubernetes/resolv.conf"
UNIT = "/etc/systemd/system/kubelet.service"


def start_kubelet(task: Task) -> StepsResult:
    """Start the kubelet with the host's own identity. What comes of it is await_registration's."""
    settings, client, server = host_settings(task.host), placement("kubelet"), placement("kubelet-server")
    if settings.role is Role.WINDOWS:
        return _on_windows(task)
    files = ("/etc/kubernetes/kubelet.yaml", KUBELET_CONFIG, UNIT, "/usr/local/bin/kubelet", CA)
    return run_script(
        task,
        "linux/start_kubelet.sh.j2",
        name=task.host.name,
        address=settings.address,
        taint=MASTER_TAINT if settings.role is Role.MASTER else "",
        containerd=settings.containerd,
        fields=settings.kubelet,
        tls=TLS,
        resolv_conf=RESOLV_CONF,
        config=KUBELET_CONFIG,
        api_url=api_url(task),
        authority=CA,
        user=f"system:node:{task.host.name}",
        place=client,
        watched=(*files, client.certificate, client.key, server.certificate, server.key),
    )


def _on_windows(task: Task) -> StepsResult:
    settings, client, server = host_settings(task.host), pair("kubelet"), pair("kubelet-server")
    return run_script(
        task,
        "windows/start_kubelet.ps1.j2",
        service=windows_services(task)[KUBELET],
        fields=settings.kubelet,
        folder=FOLDER,
        tls=PKI,
        restarts=RESTARTS,
        api_url=api_url(task),
        authority=WINDOWS_CA,
        user=f"system:node:{task.host.name}",
        place=client,
        pairs=(WINDOWS_CA, client.certificate, client.key, server.certificate, server.key),
    )
