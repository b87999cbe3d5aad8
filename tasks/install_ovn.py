"""Open vSwitch and OVN on a host: packages, kernel modules, and a reboot where a package asks for one."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.steps import StepsResult
from tasks.run_script import run_script


def install_ovn(task: Task) -> StepsResult:
    """Install the release's packages for the host's role."""
    settings, release = host_settings(task.host), context_of(task).release
    return run_script(
        task,
        "linux/install_ovn.sh.j2",
        packages=release.packages[settings.role],
        modules=release.kernel_modules if settings.datapath == "system" else (),
        userspace=settings.datapath == "netdev",
    )
