"""Simulated twin of overlay_network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugins.simulate.effects import Part, Pause
from plugins.simulate.vocabulary import FreeVerb, Verb
from plugins.simulate.windows.overlay import make_network
from plugins.steps import Status

if TYPE_CHECKING:
    from plugins.simulate.play import Play

POLL = 0.1  # seconds


def _overlay_network(play: Play, name: str, seconds: str) -> Part:
    host, waited = play.host, 0.0
    yield from play.begin(f"overlay network {name}")
    if host.state.windows_part.features["Containers"] != "Enabled":
        if not play.dry_run:
            yield from play.fail("Get-HnsNetwork is not installed")
        yield from play.report(Status.WOULD_CHANGE, message="Get-HnsNetwork is not installed")
        return
    if not play.dry_run:
        while (why := make_network(host)) and waited < min(float(seconds), host.world.timing.network_change):
            waited += POLL
            yield Pause(POLL)
        if why:
            yield from play.fail(f"HNS has no such network; awaited for {seconds} s", output=why)
    if name not in host.state.windows_part.networks:
        yield from play.report(Status.WOULD_CHANGE, message="HNS has no such network")
        return
    yield from play.fact("overlay_subnet", host.state.windows_part.networks[name])
    yield from play.fact("overlay_address", host.state.address)
    yield from play.report(Status.OK)


VERBS: dict[str, Verb] = {"overlay_network": FreeVerb(_overlay_network, 2, 2)}
