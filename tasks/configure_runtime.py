"""containerd on a host, and the kernel settings that pods need on a Linux host."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.steps import StepsResult
from plugins.windows import CNI_FOLDER, CONTAINERD, CONTAINERD_FOLDER, RESTARTS
from plugins.windows_services import windows_services
from tasks.run_script import run_script


def configure_runtime(task: Task) -> StepsResult:
    """Configure the container runtime for the kubelet, and have it running."""
    if host_settings(task.host).role is Role.WINDOWS:
        return run_script(
            task,
            "windows/configure_runtime.ps1.j2",
            service=windows_services(task)[CONTAINERD],
            folder=CONTAINERD_FOLDER,
            cni=CNI_FOLDER,
            restarts=RESTARTS,
            pause_image=context_of(task).release.image("pause"),
        )
    return run_script(
        task,
        "linux/configure_runtime.sh.j2",
        containerd=host_settings(task.host).containerd,
        pause_image=context_of(task).release.image("pause"),
    )
