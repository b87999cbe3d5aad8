"""The services of a Windows node: their command lines, what each starts after, and where each writes its log."""

from __future__ import annotations

from dataclasses import dataclass

from nornir.core.task import Task

from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.kubernetes import api_url
from plugins.windows import (
    CA,
    CONTAINERD,
    CONTAINERD_FOLDER,
    FOLDER,
    HYBRID_OVERLAY,
    KUBE_PROXY,
    KUBELET,
    LOGS,
    PROXY_CONFIG,
)


@dataclass(frozen=True)
class WindowsService:
    """What Windows is told of a service; `after` names the one that is started first, if any.

    `start` is automatic, or manual for one that the boot task starts.
    """

    name: str
    command: str
    after: str = ""
    start: str = "automatic"

    @property
    def logs(self) -> str:
        """The folder of its log."""
        return rf"{LOGS}\{self.name}"

    @property
    def log(self) -> str:
        """The file that it writes to."""
        return rf"{self.logs}\{self.name}.log"


def windows_services(task: Task) -> dict[str, WindowsService]:
    """Give the services of the task's host by name, in the order in which they start."""
    name, settings = task.host.name, host_settings(task.host)
    containerd = WindowsService(
        CONTAINERD,
        rf"{CONTAINERD_FOLDER}\containerd.exe --config {CONTAINERD_FOLDER}\containerd.toml"
        rf" --log-file {LOGS}\{CONTAINERD}\{CONTAINERD}.log --log-level info --run-service",
    )
    kubelet = WindowsService(
        KUBELET,
        rf"{_runner(KUBELET)} --config={FOLDER}\kubelet.yaml --kubeconfig={FOLDER}\kubelet.kubeconfig"
        f" --hostname-override={name} --node-ip={settings.address}"
        " --windows-service --windows-priorityclass=ABOVE_NORMAL_PRIORITY_CLASS",
        after=CONTAINERD,
    )
    overlay = WindowsService(
        HYBRID_OVERLAY,
        rf"{FOLDER}\hybrid-overlay-node.exe --node={name} --k8s-apiserver={api_url(task)} --k8s-cacert={CA}"
        rf" --k8s-kubeconfig={FOLDER}\ovn-node.kubeconfig"
        f" --hybrid-overlay-vxlan-port={context_of(task).cluster.vxlan_port} --windows-service"
        rf" --logfile={LOGS}\{HYBRID_OVERLAY}\{HYBRID_OVERLAY}.log --loglevel=4",
        after=KUBELET,
    )
    proxy = WindowsService(
        KUBE_PROXY,
        f"{_runner(KUBE_PROXY)} --config={PROXY_CONFIG} --windows-service",
        after=HYBRID_OVERLAY,
        # Before its source VIP is there it would make an endpoint of its own for that address.
        start="manual",
    )
    return {service.name: service for service in (containerd, kubelet, overlay, proxy)}


def _runner(name: str) -> str:
    # It writes down what the program prints, and hands on what Windows' service manager says.
    return rf"{FOLDER}\kube-log-runner.exe -log-file={LOGS}\{name}\{name}.log {FOLDER}\{name}.exe"
