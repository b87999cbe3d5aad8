"""The host's bridges: br-int for the overlay, one that holds the NIC, and the kernel modules that they need."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.overlay import chassis_id
from plugins.steps import StepsResult
from tasks.run_script import run_script


def configure_bridges(task: Task) -> StepsResult:
    """Reboot where it is due and harms nobody, make the bridges, say who this chassis is and where its tunnels end.

    Moving the NIC cuts the connection: the change takes itself back unless this task reaches the host again.
    """
    settings, context = host_settings(task.host), context_of(task)
    return run_script(
        task,
        "linux/configure_bridges.sh.j2",
        modules=context.release.kernel_modules if settings.datapath == "system" else (),
        datapath=settings.datapath,
        nic_bridge=settings.nic_bridge,
        nic=settings.nic or "",
        mtu=settings.mtu,
        address=settings.address,
        # Half of the time that this side tries to reach the host: so it finds the host again after a take-back,
        # and can tell why the host took the change back.
        seconds=max(1, int(context.settings.network_confirm_deadline / 2)),
        chassis=chassis_id(context, task.host.name),
    )
