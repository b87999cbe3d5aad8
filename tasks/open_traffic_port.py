"""A host's own port of the temporary switch."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.checks.expected import GENEVE_OVERHEAD
from plugins.inventory import host_settings
from plugins.steps import StepsResult
from plugins.traffic import nodes_of
from tasks.run_script import run_script

BIND_SECONDS = 30


def open_traffic_port(task: Task) -> StepsResult:
    """Plug a port into br-int, in a network namespace of its own, and await that OVN has bound it.

    The result's fact `traffic_mtu` is the port's MTU in bytes: what a tunnel of this host has room for.
    """
    settings = host_settings(task.host)
    return run_script(
        task,
        "linux/open_traffic_port.sh.j2",
        node=nodes_of(task)[task.host.name],
        underlay=settings.address,
        overhead=GENEVE_OVERHEAD,
        seconds=BIND_SECONDS,
        mtu=settings.mtu,
    )
