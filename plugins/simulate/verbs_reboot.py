"""Simulated twins of the reboot verbs: reboot_when reboot_now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.simulate.effects import Part
from plugins.simulate.vocabulary import FreeVerb, Verb
from plugins.steps import Asks, Status

if TYPE_CHECKING:
    from plugins.simulate.play import Play


def _reboot_when(play: Play, policy: str) -> Part:
    yield from play.begin("reboot when needed")
    reason = play.host.state.reboot_required
    if policy == "always":
        reason = reason or "asked for on the command line"
    if not reason:
        yield from play.report(Status.OK)
    elif policy == "never":
        yield from play.report(Status.OK, message=f"{reason}; not rebooted, as asked for on the command line")
    elif play.dry_run:
        yield from play.report(Status.WOULD_CHANGE, message=reason)
    else:
        yield from play.fact("boot_id", play.host.state.boot_id)
        yield from play.report(Status.CHANGED, message=reason, asks=Asks.REBOOT)
        yield from play.finish()


def _reboot_now(play: Play, boot_id: str) -> Part:
    yield from play.begin("reboot")
    if play.host.state.boot_id != boot_id:
        yield from play.report(Status.OK, message="already rebooted")
    elif play.dry_run:
        yield from play.report(Status.WOULD_CHANGE)
    else:
        play.host.world.call_later(play.host.world.timing.until_reboot, play.host.reboot)
        yield from play.report(Status.CHANGED)


VERBS: dict[str, Verb] = {
    "reboot_when": FreeVerb(_reboot_when, 1, 1),
    "reboot_now": FreeVerb(_reboot_now, 1, 1),
}
