"""The context of a run from its options, the same for whoever starts the run and for workers elsewhere."""

from __future__ import annotations

from nornir.core import Nornir

from plugins.artifacts.mirror import mirror_of
from plugins.artifacts.pins import load_pins
from plugins.artifacts.plan import Downloads
from plugins.context import RunContext, attach
from plugins.inventory.model import ClusterSettings
from plugins.releases import SHIPPED, load_release
from plugins.selection import Options, lock_command
from plugins.settings import Settings


def prepare(nornir: Nornir, settings: Settings, options: Options, run_id: str, owner: str) -> RunContext:
    """Make the context of one run, and attach it to `nornir`. Raises UsageError for what is wrong in its data."""
    cluster: ClusterSettings = nornir.inventory.defaults.data["cluster"]
    release = load_release(cluster.release, options.inventory)
    pins, mirror = load_pins(release.name, options.inventory, SHIPPED), mirror_of(options.mirror)
    context = RunContext(
        settings=settings,
        cluster=cluster,
        release=release,
        downloads=Downloads(release.artifacts, pins, mirror, lock_command(options.inventory)),
        dry_run=options.dry_run,
        reboot=options.reboot,
        run_id=run_id,
        owner=owner,
    )
    attach(nornir, context)
    return context
