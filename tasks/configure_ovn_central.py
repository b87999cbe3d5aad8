"""OVN's databases on the master, over TLS."""

from __future__ import annotations

from nornir.core.task import Task

from plugins.context import context_of
from plugins.inventory import host_settings
from plugins.overlay import AUTHORITY, CERTIFICATE, KEY
from plugins.steps import StepsResult
from tasks.run_script import run_script

# How long a client may be silent before the database asks whether it is still there. OVN's default of 5 seconds
# cuts off a controller that computes for longer than that, and it computes all of it anew after that.
PROBE_MILLISECONDS = 60_000


def configure_ovn_central(task: Task) -> StepsResult:
    """Have the northbound and southbound database listen with TLS, for clients with a certificate only."""
    cluster = context_of(task).cluster
    return run_script(
        task,
        "linux/configure_ovn_central.sh.j2",
        databases=(("nb", cluster.northbound_port), ("sb", cluster.southbound_port)),
        address=host_settings(task.host).address,
        probe=PROBE_MILLISECONDS,
        key=KEY,
        certificate=CERTIFICATE,
        authority=AUTHORITY,
    )
