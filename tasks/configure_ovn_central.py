"""OVN's databases on the master, over TLS."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.context import context_of
from plugins.overlay import AUTHORITY, CERTIFICATE, KEY
from plugins.steps import StepsResult
from tasks.run_script import run_script


def configure_ovn_central(task: Task) -> StepsResult:
    """Have the northbound and southbound database listen with TLS, for clients with a certificate only."""
    cluster = context_of(task).cluster
    return run_script(
        task,
        "linux/configure_ovn_central.sh.j2",
        databases=(("nb", cluster.northbound_port), ("sb", cluster.southbound_port)),
        key=KEY,
        certificate=CERTIFICATE,
        authority=AUTHORITY,
    )
