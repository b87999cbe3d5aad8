"""containerd on a Linux host, and the kernel settings that pods need."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.steps import StepsResult
from tasks.run_script import run_script


def configure_runtime(task: Task) -> StepsResult:
    """Configure the container runtime for the kubelet, and have it running."""
    return run_script(
        task,
        "linux/configure_runtime.sh.j2",
        containerd=host_settings(task.host).containerd,
        pause_image=context_of(task).release.image("pause"),
    )
