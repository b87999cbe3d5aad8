"""What the Windows hosts' part of the cluster looks like, from them and from the master. Changes nothing."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.checks.bare import with_remedy
from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.inventory.model import Role
from plugins.kubernetes import SUPERUSER_CONFIG, node_hosts, rows_of
from plugins.steps import StepsResult
from plugins.windows import BOOT_TASK, CA, CNI_CONFIG, HEALTH, PROXY_CONFIG, SOURCE_VIP, kubelet_port, pair
from plugins.windows_services import windows_services
from tasks.run_script import run_script


def gather_windows(task: Task) -> StepsResult:
    """Gather what compare_windows judges, as facts of the result.

    On the master: what the API says of the inventory's Windows hosts, which have nothing to ask it with, and whether
    their kubelets are reached.
    """
    if host_settings(task.host).role is Role.WINDOWS:
        return run_script(
            task,
            "windows/gather_windows.ps1.j2",
            services=tuple(windows_services(task)),
            config=CNI_CONFIG,
            proxy=PROXY_CONFIG,
            endpoint=SOURCE_VIP,
            boot_task=BOOT_TASK,
            urls=tuple(HEALTH.values()),
            authority=CA,
            pairs=[(row.name, pair(row.name)) for row in rows_of(context_of(task), Role.WINDOWS)],
        )
    nodes = node_hosts(task, (Role.WINDOWS,))
    if not nodes:
        return StepsResult(task.host)
    result = run_script(
        task,
        "linux/gather_windows.sh.j2",
        config=SUPERUSER_CONFIG,
        nodes=nodes,
        name=task.host.name,
        kubelets=[kubelet_port(host_settings(task.nornir.inventory.hosts[name])) for name in nodes],
    )
    return with_remedy(result)
