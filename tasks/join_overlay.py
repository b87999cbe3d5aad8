"""A host becomes a chassis of the overlay."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.overlay import AUTHORITY, CERTIFICATE, KEY, chassis_id, databases
from plugins.steps import StepsResult
from tasks.run_script import run_script

CONNECT_SECONDS = 60
REGISTER_SECONDS = 60


def join_overlay(task: Task) -> StepsResult:
    """Connect the host's OVN controller to the databases over TLS, and await its registration."""
    context, settings = context_of(task), host_settings(task.host)
    northbound, southbound = databases(task)
    return run_script(
        task,
        "linux/join_overlay.sh.j2",
        key=KEY,
        certificate=CERTIFICATE,
        authority=AUTHORITY,
        northbound=northbound,
        southbound=southbound,
        chassis=chassis_id(context, task.host.name),
        address=settings.address,
        connect_seconds=CONNECT_SECONDS,
        register_seconds=REGISTER_SECONDS,
    )
