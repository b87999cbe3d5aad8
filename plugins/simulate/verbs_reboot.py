"""Simulated twins of the reboot verbs: reboot_when reboot_now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.simulate.effects import Part
from plugins.simulate.state import OPEN_VSWITCH
from plugins.simulate.verbs_ovs import no_database
from plugins.simulate.vocabulary import FreeVerb, Verb, needs
from plugins.steps import Asks, Status

if TYPE_CHECKING:
    from plugins.simulate.host import SimulatedHost
    from plugins.simulate.play import Play


def _reboot_when(play: Play, policy: str, *modules: str) -> Part:
    del modules  # a simulated host can load them all
    waits = "it waits, as the host has joined: --reboot always, or reboot it yourself when it suits"
    yield from ask_for_reboot(play, policy, waits=waits if policy == "needed" and _has_joined(play.host) else "")


def _has_joined(host: SimulatedHost) -> bool:
    """Say whether the host's switch knows the databases; one that does not answer may well do."""
    if needs(host, "ovs-vsctl"):
        return False
    return no_database(host) is not None or bool(host.state.ovs.get(OPEN_VSWITCH, {}).get("external_ids:ovn-remote"))


def ask_for_reboot(
    play: Play, policy: str, name: str = "reboot when needed", *, reason: str = "", waits: str = ""
) -> Part:
    """Ask for a reboot where the host wants one, or for this reason, as the policy has it; `name` is the step's.

    `waits` says why it has to wait, where it has.
    """
    yield from play.begin(name)
    reason = play.host.state.reboot_required or reason
    if policy == "always":
        reason = reason or "asked for on the command line"
    if not reason:
        yield from play.report(Status.OK)
    elif waits:
        yield from play.report(Status.OK, message=f"{reason}; {waits}")
    elif policy == "never":
        yield from play.report(Status.OK, message=f"{reason}; not rebooted, as asked for on the command line")
    elif play.dry_run:
        yield from play.report(Status.WOULD_CHANGE, message=reason)
    else:
        yield from play.fact("boot_id", play.host.state.boot_id)
        yield from play.report(Status.CHANGED, message=reason, asks=Asks.REBOOT)
        yield from play.finish()


def reboot_now(play: Play, boot_id: str) -> Part:
    """Reboot, unless the host has done so since it had that boot id."""
    yield from play.begin("reboot")
    if play.host.state.boot_id != boot_id:
        yield from play.report(Status.OK, message="already rebooted")
    elif play.dry_run:
        yield from play.report(Status.WOULD_CHANGE)
    else:
        play.host.world.call_later(play.host.world.timing.until_reboot, play.host.reboot)
        yield from play.report(Status.CHANGED)


VERBS: dict[str, Verb] = {
    "reboot_when": FreeVerb(_reboot_when, 1, None),
    "reboot_now": FreeVerb(reboot_now, 1, 1),
}
