"""A Windows host's part of services: kube-proxy, and the address that it answers from."""

from __future__ import annotations

from collections.abc import Mapping

from nornir.core.task import Task

from plugins.kubernetes import api_url
from plugins.steps import Status, Step, StepsResult
from plugins.windows import (
    BOOT_LOGS,
    BOOT_PROGRAM,
    BOOT_SCRIPT,
    BOOT_TASK,
    BOOT_WORDS,
    CA,
    FOLDER,
    HEALTH,
    KUBE_PROXY,
    OVERLAY,
    PROXY_CONFIG,
    RESTARTS,
    SOURCE_VIP,
    pair,
    source_vip,
)
from plugins.windows_services import windows_services
from tasks.run_script import run_script

SECONDS = 120
BOOT_SECONDS = 600  # less than what a run waits for a script on the host: after that, it is an operator's turn


def start_kube_proxy(task: Task, gathered: Mapping[str, StepsResult]) -> StepsResult:
    """Have the source VIP in the overlay's network, kube-proxy well with it, and both again after each boot.

    `gathered` are the results of start_hybrid_overlay: they tell the host's subnet, once there is one.
    """
    subnet = gathered[task.host.name].facts.get("overlay_subnet", "")
    if not subnet:
        message = "the host's subnet is known once the overlay's network is there"
        return StepsResult(task.host, (Step("start kube-proxy", Status.WOULD_CHANGE, message=message),))
    return run_script(
        task,
        "windows/start_kube_proxy.ps1.j2",
        service=windows_services(task)[KUBE_PROXY],
        name=task.host.name,
        subnet=subnet,
        vip=source_vip(subnet),
        endpoint=SOURCE_VIP,
        network=OVERLAY,
        folder=FOLDER,
        config=PROXY_CONFIG,
        restarts=RESTARTS,
        api_url=api_url(task),
        authority=CA,
        user="system:kube-proxy",
        place=pair("kube-proxy"),
        url=HEALTH[KUBE_PROXY],
        seconds=SECONDS,
        boot_seconds=BOOT_SECONDS,
        boot_task=BOOT_TASK,
        boot_program=BOOT_PROGRAM,
        boot_words=BOOT_WORDS,
        boot_script=BOOT_SCRIPT,
        boot_logs=BOOT_LOGS,
    )
