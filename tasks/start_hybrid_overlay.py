"""A Windows host's part of the overlay: its network, tunnels to Linux hosts, and where pods are plugged in."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.connections import reopen_shell
from plugins.kubernetes import api_url
from plugins.steps import Status, StepsResult
from plugins.windows import CA, CNI_CONFIG, FOLDER, HYBRID_OVERLAY, OVERLAY, RESTARTS, pair, source_vip
from plugins.windows_services import windows_services
from tasks.run_script import run_script

SECONDS = 180
AWAY = 120  # seconds that the host is away at most while its first virtual switch is made


def start_hybrid_overlay(task: Task) -> StepsResult:
    """Start the overlay's service, await its network, and tell the container runtime of it.

    The first network takes the host's connections down for up to a minute; the script is run again then.
    """
    result = _start(task)
    if result.lost:
        reopen_shell(task, AWAY)
        result = _merged(result, _start(task))
    subnet, address = (result.facts.get(name, "") for name in ("overlay_subnet", "overlay_address"))
    if result.failed or not subnet:
        return result
    return result + run_script(
        task,
        "windows/configure_network.ps1.j2",
        config=CNI_CONFIG,
        network=OVERLAY,
        subnet=subnet,
        first=source_vip(subnet) + 1,
        provider=address,
    )


def _start(task: Task) -> StepsResult:
    return run_script(
        task,
        "windows/start_hybrid_overlay.ps1.j2",
        service=windows_services(task)[HYBRID_OVERLAY],
        network=OVERLAY,
        folder=FOLDER,
        restarts=RESTARTS,
        api_url=api_url(task),
        authority=CA,
        user=f"system:ovn-node:{task.host.name}",
        place=pair("ovn-node"),
        seconds=SECONDS,
    )


def _merged(before: StepsResult, after: StepsResult) -> StepsResult:
    """Put what changed before the connection was lost before what the second script says."""
    changed = {step.name: step for step in before.steps if step.status is Status.CHANGED}
    rest = [step for step in after.steps if step.name not in changed or step.status is not Status.OK]
    return StepsResult(after.host, (*changed.values(), *rest), after.facts, after.todo)
