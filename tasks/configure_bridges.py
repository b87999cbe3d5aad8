"""The host's bridges: br-int for the overlay, and one that holds the NIC so that pods reach the outside."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.overlay import chassis_id
from plugins.steps import StepsResult
from tasks.run_script import run_script


def configure_bridges(task: Task) -> StepsResult:
    """Make the bridges and say in Open vSwitch's database who this chassis is and where its tunnels end.

    Moving the NIC cuts the connection: the change takes itself back unless this task reaches the host again.
    """
    settings, context = host_settings(task.host), context_of(task)
    return run_script(
        task,
        "linux/configure_bridges.sh.j2",
        datapath=settings.datapath,
        nic_bridge=settings.nic_bridge,
        nic=settings.nic or "",
        mtu=settings.mtu,
        address=settings.address,
        seconds=int(context.settings.network_confirm_deadline),
        chassis=chassis_id(context, task.host.name),
    )
